// npm install ai @ai-sdk/openai zod @opentelemetry/sdk-node @opentelemetry/exporter-trace-otlp-http
import { createOpenAI } from "@ai-sdk/openai";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { embed, embedMany, generateText, streamText, tool } from "ai";
import { z } from "zod";

const sdk = new NodeSDK({ traceExporter: new OTLPTraceExporter(), instrumentations: [], serviceName: "vercel" });
sdk.start();
const openai = createOpenAI({ baseURL: process.env.MODEL_URL + "/v1", apiKey: process.env.MODEL_KEY });
const model = openai.chat("gpt-4");
const experimental_telemetry = {
  isEnabled: true,
  functionId: "answer",
  metadata: { sessionId: "session-7", userId: "ada" },
};
const system = "be brief";
const weather = tool({
  description: "Say how the weather is.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => ({ city, weather: "sunny" }),
});
await generateText({ model, system, prompt: "why", experimental_telemetry });
await generateText({ model, system, prompt: "use a tool", tools: { weather }, experimental_telemetry });
const stream = streamText({ model, system, prompt: "stream this", experimental_telemetry });
for await (const part of stream.textStream) void part;
await generateText({ model, system, prompt: "fail 429", maxRetries: 0, experimental_telemetry }).catch(() => {});
await embed({ model: openai.embedding("embed"), value: "one", experimental_telemetry });
await embedMany({ model: openai.embedding("embed"), values: ["one", "two"], experimental_telemetry });
await sdk.shutdown();
