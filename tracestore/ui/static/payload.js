// Recorded values to what a person reads: chat messages, tools, documents, outlines. The same shapes as in
// tracestore/display/payload.py. A shape that is almost right is no error, it is shown as an outline.
import { countText, sizeText } from "./words.js";

const LANGCHAIN_ROLES = { __proto__: null, human: "user", ai: "assistant", system: "system", tool: "tool" };
const TEXT_PARTS = new Set(["text", "input_text", "output_text", "refusal", "summary_text"]);
const CALL_PARTS = new Set(["tool_use", "function_call", "tool_call", "server_tool_use"]);
const RESULT_PARTS = new Set(["tool_result", "function_call_output"]);
const SOURCE_KEYS = ["title", "source", "doc_uri", "url", "id"];
const TOOL_ROLES = new Set(["tool", "function"]);
const SCHEMA_KEYS = ["parameters", "input_schema", "inputSchema"];

/** Return the value of JSON text, the text itself where it is no JSON; undefined for none. */
export function decode(text) {
  if (text === null || text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Return whether a value is an object with keys. */
export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Return the conversation that `value` is as `{role, parts: [{title, value}], extra}`, null if it is none. */
export function messagesIn(value) {
  if (isMessage(value)) return [message(value)];
  if (!Array.isArray(value) || !value.length) return null;
  const flat = value.every(Array.isArray) ? value.flat() : value;
  const turns = flat.map((item) =>
    isObject(item) && isMessage(item.message) ? { ...without(item, ["message"]), ...item.message } : item,
  );
  if (!turns.some(isMessage) || !turns.every(isTurn)) return null;
  return turns.map(message);
}

function kindOf(value) {
  return typeof value.type === "string" ? value.type : "";
}

function roleOf(value) {
  return typeof value.role === "string" ? value.role : LANGCHAIN_ROLES[kindOf(value)];
}

function isMessage(value) {
  return (
    isObject(value) &&
    roleOf(value) !== undefined &&
    ("content" in value || "parts" in value || "tool_calls" in value)
  );
}

function isTurn(value) {
  if (isMessage(value)) return true;
  const kind = isObject(value) ? kindOf(value) : "";
  return CALL_PARTS.has(kind) || RESULT_PARTS.has(kind) || kind === "reasoning";
}

function message(value) {
  if (!isMessage(value)) {
    const role = RESULT_PARTS.has(kindOf(value)) ? "tool" : "assistant";
    return { role, parts: [part(value)], extra: {} };
  }
  const calls = Array.isArray(value.tool_calls) ? value.tool_calls : [];
  const content = "content" in value ? value.content : value.parts;
  const shown = ["role", "content" in value ? "content" : "parts"];
  if (Array.isArray(value.tool_calls)) shown.push("tool_calls");
  if (kindOf(value) === "message" || kindOf(value) in LANGCHAIN_ROLES) shown.push("type");
  const said = TOOL_ROLES.has(roleOf(value)) ? [{ title: "", value: structured(content) }] : null;
  return {
    role: roleOf(value),
    parts: [...(typeof content === "string" && said ? said : partsOf(content)), ...calls.map(part)],
    extra: filled(without(value, shown)),
  };
}

function partsOf(content) {
  if (content === null || content === undefined) return [];
  return Array.isArray(content) ? content.map(part) : [{ title: "", value: content }];
}

function part(item) {
  if (!isObject(item)) return { title: "", value: item };
  const kind = kindOf(item);
  if (isObject(item.function) && typeof item.function.name === "string") {
    return { title: `calls ${item.function.name}`, value: opened(item.function.arguments) };
  }
  if (CALL_PARTS.has(kind)) {
    const given = item.input ?? item.arguments ?? item.args;
    return { title: `calls ${item.name ?? ""}`, value: opened(given) };
  }
  if (RESULT_PARTS.has(kind)) return { title: "result", value: structured(item.content ?? item.output) };
  const isText = TEXT_PARTS.has(kind) || Object.keys(item).length === 1;
  if (typeof item.text === "string" && isText) return { title: "", value: item.text };
  return { title: kind, value: item };
}

function opened(given) {
  return typeof given === "string" ? decode(given) : given;
}

/** Return the object or array that a text holds; any other text stays text. */
function structured(said) {
  const value = opened(said);
  return typeof value === "object" && value !== null ? value : said;
}

/** Return the tools that `value` offers a model as `{name, description, schema}`, null if it offers none. */
export function toolsIn(value) {
  if (!Array.isArray(value) || !value.length) return null;
  const tools = value.map(tool);
  return tools.every(Boolean) ? tools : null;
}

function tool(item) {
  const given = isObject(item) && isObject(item.function) ? item.function : item;
  if (!isObject(given) || typeof given.name !== "string") return null;
  const key = SCHEMA_KEYS.find((each) => isObject(given[each]));
  if (!key) return null;
  const description = typeof given.description === "string" ? given.description : "";
  return { name: given.name, description, schema: given[key] };
}

function without(value, keys) {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

function filled(value) {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([, each]) => each !== null && !(typeof each === "object" && !Object.keys(each).length),
    ),
  );
}

/** Return the documents that `value` holds as `{source, text, extra}`, null if it holds none. */
export function documentsIn(value) {
  if (!Array.isArray(value) || !value.length) return null;
  if (!value.every((each) => isObject(each) && typeof each.page_content === "string")) return null;
  return value.map((item) => {
    const fields = isObject(item.metadata) ? { ...without(item, ["metadata"]), ...item.metadata } : item;
    const key = SOURCE_KEYS.find((each) => typeof fields[each] === "string");
    return {
      source: key ? fields[key] : "",
      text: item.page_content,
      extra: filled(without(fields, ["page_content", key])),
    };
  });
}

const MAX_ITEMS = 100;
const MAX_LINE = 72;
const MAX_DEPTH = 24;
const MAX_NUMBERS = 32;

/** Return `value` as indented JSON for people, of about `most` characters at most. */
export function outline(value, most) {
  const pieces = [];
  let length = 0;
  for (const piece of outlinePieces(value, 0, Math.max(80, most))) {
    pieces.push(piece);
    length += piece.length;
    if (length > most) return `${pieces.join("").slice(0, most)}… cut`;
  }
  return pieces.join("");
}

function* outlinePieces(value, depth, most) {
  const short = oneLine(value);
  if (short !== null) yield short;
  else if (typeof value === "string") yield quoted(value, depth, most);
  else if (Array.isArray(value) && value.length) yield* itemPieces(value, depth, most);
  else if (isObject(value) && Object.keys(value).length) yield* memberPieces(value, depth, most);
  else yield JSON.stringify(value) ?? "";
}

/** Return an object or array of a few scalars as one line, null where it needs more. */
function oneLine(value) {
  if (typeof value !== "object" || value === null) return null;
  const size = Array.isArray(value) ? value.length : Object.keys(value).length;
  if (!size || size > MAX_LINE / 4) return null;
  const items = Object.entries(value);
  if (!items.every(([key, each]) => isShort(key) && isShort(each))) return null;
  const text = Array.isArray(value)
    ? `[${value.map((each) => JSON.stringify(each)).join(", ")}]`
    : `{${items.map(([key, each]) => `${JSON.stringify(key)}: ${JSON.stringify(each)}`).join(", ")}}`;
  return text.length <= MAX_LINE ? text : null;
}

function isShort(value) {
  if (typeof value === "string") return value.length < MAX_LINE && !value.includes("\n");
  return typeof value !== "object" || value === null;
}

function newLine(depth) {
  return `\n${"  ".repeat(depth)}`;
}

function* memberPieces(value, depth, most) {
  const entries = Object.entries(value);
  if (depth >= MAX_DEPTH) {
    yield `{… ${countText(entries.length)} keys}`;
    return;
  }
  yield "{";
  for (const [place, [key, item]] of entries.slice(0, MAX_ITEMS).entries()) {
    yield `${place ? "," : ""}${newLine(depth + 1)}${quoted(key, depth + 1, most)}: `;
    yield* outlinePieces(item, depth + 1, most);
  }
  if (entries.length > MAX_ITEMS) {
    yield `,${newLine(depth + 1)}… ${countText(entries.length - MAX_ITEMS)} more keys`;
  }
  yield `${newLine(depth)}}`;
}

function* itemPieces(value, depth, most) {
  if (depth >= MAX_DEPTH) {
    yield `[… ${countText(value.length)} items]`;
    return;
  }
  if (value.slice(0, MAX_ITEMS).every((item) => typeof item === "number")) {
    const rest = value.length - MAX_NUMBERS;
    const shown = value.slice(0, MAX_NUMBERS).join(", ");
    yield rest > 0 ? `[${shown}, … ${countText(rest)} more]` : `[${shown}]`;
    return;
  }
  yield "[";
  for (const [place, item] of value.slice(0, MAX_ITEMS).entries()) {
    yield `${place ? "," : ""}${newLine(depth + 1)}`;
    yield* outlinePieces(item, depth + 1, most);
  }
  if (value.length > MAX_ITEMS) {
    yield `,${newLine(depth + 1)}… ${countText(value.length - MAX_ITEMS)} more items`;
  }
  yield `${newLine(depth)}]`;
}

function quoted(text, depth, most) {
  const lines = text
    .slice(0, most)
    .split("\n")
    .map((each) => JSON.stringify(each).slice(1, -1));
  const note = text.length > most ? `… ${sizeText(text.length - most)} more` : "";
  return `"${lines.join(newLine(depth))}"${note}`;
}

/** Return a preview as a person reads it: a text or the only text of an object by itself, fields without quotes. */
export function previewOf(text) {
  const value = decode(text);
  if (value === null || value === undefined) return "";
  if (!isObject(value)) return typeof value === "string" ? value : text;
  const items = Object.entries(value);
  if (items.length === 1 && typeof items[0][1] === "string") return items[0][1];
  const said = (each) => (typeof each === "string" ? each : JSON.stringify(each));
  return items.map(([key, each]) => `${key}: ${said(each)}`).join(", ");
}

/** Return the keys and scalars of a value, one a line: what a person reads, and what is searched. */
export function readable(value) {
  const found = [];
  const waiting = [value];
  while (waiting.length) {
    const current = waiting.pop();
    if (typeof current === "string") found.push(current);
    else if (Array.isArray(current)) waiting.push(...current.slice().reverse());
    else if (isObject(current)) {
      for (const [key, item] of Object.entries(current).reverse()) waiting.push(item, key);
    } else if (current !== null && current !== undefined) found.push(String(current));
  }
  return found.join("\n");
}

/** Return the text of a span that `text` and the search within a trace look at. */
export function spanText(span) {
  const events = decode(span.events);
  const happened = Array.isArray(events) ? events.map((each) => [each?.name, each?.attributes]) : [];
  const pieces = [span.name, ...["inputs", "outputs", "attributes"].map((key) => decode(span[key]))];
  return readable([...pieces.filter((each) => each !== undefined), happened]);
}
