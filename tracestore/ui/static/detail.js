// What is known about the trace as a whole, or about one of its spans: the pane beside the waterfall.
import {
  amountText,
  costText,
  countText,
  durationText,
  exactTime,
  line,
  millisecondsText,
  sizeText,
  timeText,
} from "./words.js";
import { button, copyButton, element, fill, saveText } from "./elements.js";
import { decode, isObject, previewOf } from "./payload.js";
import { assessmentMark, exactJson, stateMark } from "./list.js";
import { fieldsBlock, note, section, textBlock, valueBlock } from "./content.js";

const MAX_LIST = 100;
const LOADED_AT_ONCE = 200_000; // characters of a payload that the kernel is asked for without a click
const SHOWN_ATTRIBUTES = new Set([
  "mlflow.spanInputs",
  "mlflow.spanOutputs",
  "mlflow.spanType",
  "mlflow.traceRequestId",
  "mlflow.spanLogLevel",
]);
const COUNTED_ATTRIBUTES = new Set(["mlflow.chat.tokenUsage", "mlflow.llm.cost"]);

/** The pane. `context`: source, trace (what it opened), openTrace(id), changed(record). */
export class Detail {
  constructor(context) {
    this.context = context;
    this.element = element("div", {
      class: "tu-detail",
      role: "region",
      "aria-label": "Details",
      tabindex: "0",
    });
  }

  /** Show the trace as a whole. */
  showTrace() {
    const { record, spans } = this.context.trace;
    const root = spans[0];
    fill(
      this.element,
      element("h2", {}, line(record.name) || "unnamed trace"),
      this.facts(traceFacts(record)),
      root ? [this.payload("Request", root, "inputs"), this.payload("Response", root, "outputs")] : null,
      this.assessments(record.assessments, null),
      this.neighbours(record),
      fieldSection("Tags", ownFirst(record.tags)),
      fieldSection("Metadata", ownFirst(record.metadata)),
      rawSection("Raw JSON of the trace", record.id, () => ({ ...record, spans: spans.map(readableSpan) })),
    );
    this.element.scrollTop = 0;
  }

  /** Show one span. */
  showSpan(span) {
    const { record } = this.context.trace;
    const events = listOf(decode(span.events));
    const attributes = decode(span.attributes);
    const shown = isObject(attributes) ? shownAttributes(attributes) : {};
    const exceptions = events.filter((event) => event?.name === "exception");
    const others = events.filter((event) => event?.name !== "exception");
    fill(
      this.element,
      element("h2", {}, line(span.name) || "unnamed span"),
      this.facts(spanFacts(span, this.context.trace)),
      exceptions.map(exceptionSection),
      span.status === "ERROR" && !exceptions.length && span.message
        ? section("Error", textBlock(span.message))
        : null,
      this.payload("Inputs", span, "inputs"),
      this.payload("Outputs", span, "outputs"),
      this.assessments(
        record.assessments.filter((each) => each.span === span.id),
        span.id,
      ),
      fieldSection("Attributes", shown),
      span.sizes?.attributes ? this.payload("Attributes", span, "attributes") : null,
      others.length ? eventSection(others, span, this.context.trace) : null,
      linkSection(listOf(decode(span.links))),
      rawSection("Raw JSON of the span", span.id, () => readableSpan(span)),
    );
    this.element.scrollTop = 0;
  }

  facts(pairs) {
    const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
    return element(
      "dl",
      { class: "tu-facts" },
      shown.map(([label, value, title]) =>
        element("div", {}, element("dt", {}, label), element("dd", { title: title ?? null }, value)),
      ),
    );
  }

  payload(title, span, name) {
    const size = span.sizes?.[name];
    if (size === undefined) {
      if (span[name] === undefined) return null;
      return section(title, valueBlock(decode(span[name])), [copyButton(`Copy ${title}`, () => span[name])]);
    }
    const holder = element("div", {});
    const load = () => this.load(holder, title, span, name);
    fill(
      holder,
      section(title, note(`${sizeText(size)} that are not loaded`), [
        button("Load", load, { kind: "tu-small" }),
      ]),
    );
    if (size <= LOADED_AT_ONCE) load();
    return holder;
  }

  async load(holder, title, span, name) {
    const { source, trace } = this.context;
    const text = await source.payload(trace.record.id, span, name);
    if (text === null) {
      const code = `tracestore.get_trace(${JSON.stringify(trace.record.id)}).search_spans(span_id=${JSON.stringify(span.id)})[0].${name}`;
      const said = `Too large to be sent here (${sizeText(span.sizes[name])}). In a cell it is:`;
      fill(
        holder,
        section(
          title,
          [note(said), element("pre", { class: "tu-outline" }, code)],
          [copyButton("Copy the code", () => code)],
        ),
      );
      return;
    }
    span[name] = text;
    delete span.sizes[name];
    fill(holder, section(title, valueBlock(decode(text)), [copyButton(`Copy ${title}`, () => text)]));
  }

  assessments(found, spanId) {
    const { source, trace } = this.context;
    const items = found.slice(0, MAX_LIST).map((each) => assessmentItem(each, trace, spanId));
    const form = source.assess ? this.assessmentForm(spanId) : null;
    if (!items.length && !form) return null;
    return section("Assessments", [element("ul", { class: "tu-assessments" }, items), form]);
  }

  assessmentForm(spanId) {
    const name = element("input", {
      class: "tu-box",
      "aria-label": "Name of the assessment",
      maxlength: "250",
    });
    name.value = "correct";
    const value = element("input", {
      class: "tu-box",
      "aria-label": "Score or text",
      placeholder: "score or text",
    });
    const reason = element("input", { class: "tu-box", "aria-label": "Why", placeholder: "why (optional)" });
    const said = element("span", { class: "tu-rest", role: "status" });
    const save = async (given, kind = "feedback") => {
      try {
        const record = await this.context.source.assess(this.context.trace.record.id, {
          kind,
          name: name.value.trim(),
          value: given,
          rationale: reason.value.trim() || null,
          span: spanId,
        });
        this.context.changed(record, spanId);
      } catch (error) {
        fill(said, error.message);
      }
    };
    const typed = () =>
      value.value.trim() !== "" && Number.isFinite(Number(value.value)) ? Number(value.value) : value.value;
    return element(
      "form",
      { class: "tu-assess", "aria-label": "Assess", on: { submit: (event) => event.preventDefault() } },
      name,
      button("👍", () => save(true), { name: "Good: true" }),
      button("👎", () => save(false), { name: "Bad: false" }),
      value,
      reason,
      button("Save feedback", () => save(typed())),
      button("Save as expected", () => save(typed(), "expectation"), {
        title: "What the right answer would have been",
      }),
      said,
    );
  }

  neighbours(record) {
    if (!record.session) return null;
    const list = element("ol", { class: "tu-session" });
    this.context.source.session(record.session).then((found) => {
      fill(
        list,
        found.slice(0, MAX_LIST).map((each) => this.neighbour(each, each.id === record.id)),
      );
      if (found.length > MAX_LIST)
        list.append(note(`… ${amountText(found.length - MAX_LIST, "more trace")}`));
    });
    return section(`Session ${line(record.session, 80)}`, list);
  }

  neighbour(record, isThis) {
    const text = [
      stateMark(record.state),
      element("span", { class: "tu-time" }, ` ${timeText(record.start_ms)}`),
      ` ${line(previewOf(record.request), 160) || line(record.name)}`,
    ];
    const label = isThis
      ? element("strong", { "aria-current": "true" }, text)
      : button(text, () => this.context.openTrace(record), { kind: "tu-link" });
    return element("li", {}, label);
  }
}

/** Return the attributes that stand nowhere else. */
function shownAttributes(attributes) {
  const isShown = (key, value) =>
    !SHOWN_ATTRIBUTES.has(key) && !(COUNTED_ATTRIBUTES.has(key) && isObject(value));
  return Object.fromEntries(Object.entries(attributes).filter(([key, value]) => isShown(key, value)));
}

function listOf(value) {
  return Array.isArray(value) ? value : [];
}

/** Return fields with those of MLflow's own after the program's. */
function ownFirst(fields) {
  const isOwn = ([key]) => !key.startsWith("mlflow.");
  const entries = Object.entries(fields);
  return Object.fromEntries([...entries.filter(isOwn), ...entries.filter((each) => !isOwn(each))]);
}

/** Return what the head does not say. */
function traceFacts(record) {
  return [
    ["tokens", tokensText(record.tokens ?? {}), exactJson(record.tokens)],
    ["user", line(record.user)],
    ["session", line(record.session)],
    ["request id", line(record.client_request_id)],
  ];
}

function tokensText(tokens) {
  const parts = [
    ["input_tokens", "in"],
    ["output_tokens", "out"],
    ["total_tokens", "in all"],
    ["cache_read_input_tokens", "from the cache"],
  ];
  return parts
    .filter(([key]) => typeof tokens[key] === "number")
    .map(([key, word]) => `${countText(tokens[key])} ${word}`)
    .join(", ");
}

function spanFacts(span, trace) {
  const start_ms = trace.axis_ms + span.start_ns / 1e6;
  const exact = span.duration_ns === undefined ? "still open" : `${countText(span.duration_ns)} ns`;
  return [
    ["type", line(span.type)],
    [
      "status",
      span.status === "ERROR" ? element("span", { class: "tu-mark tu-is-error" }, "ERROR") : span.status,
    ],
    ["took", span.duration_ns === undefined ? "still open" : durationText(span.duration_ns), exact],
    [
      "starts after",
      durationText(span.start_ns),
      `${countText(span.start_ns)} ns\n${exactTime(Math.floor(start_ms))}`,
    ],
    ["model", line(span.model)],
    ["tokens", tokensText(span.tokens ?? {}), exactJson(span.tokens)],
    ["cost", costText(span.cost), exactJson(span.cost)],
    ["span id", line(span.id)],
    ["parent", span.orphan ? `${line(span.parent)}, not recorded` : ""],
  ];
}

function fieldSection(title, fields) {
  if (!Object.keys(fields).length) return null;
  return section(title, fieldsBlock(fields), [
    copyButton(`Copy ${title}`, () => JSON.stringify(fields, null, 2)),
  ]);
}

function exceptionSection(event) {
  const given = event.attributes ?? {};
  const { "exception.type": type, "exception.message": text, "exception.stacktrace": stack, ...rest } = given;
  return section(
    "Exception",
    element(
      "div",
      { class: "tu-exception" },
      element("div", {}, element("strong", {}, line(type) || "Error"), text ? ": " : "", line(text, 2000)),
      stack ? textBlock(String(stack), "tu-outline") : null,
      Object.keys(rest).length ? fieldsBlock(rest) : null,
    ),
    [copyButton("Copy the stack trace", () => String(stack ?? text ?? ""))],
  );
}

function eventSection(events, span, trace) {
  const items = events.slice(0, MAX_LIST).map((event) => {
    const since = (event?.time_unix_nano ?? 0) / 1e6 - trace.axis_ms - span.start_ns / 1e6;
    const fields = isObject(event?.attributes) ? event.attributes : {};
    return element(
      "li",
      {},
      element(
        "span",
        { class: "tu-time", title: exactTime(Math.floor((event?.time_unix_nano ?? 0) / 1e6)) },
        `+${durationText(Math.round(since * 1000) * 1000)}`,
      ),
      " ",
      element("strong", {}, line(event?.name)),
      Object.keys(fields).length ? fieldsBlock(fields) : null,
    );
  });
  const rest = events.length - MAX_LIST;
  return section("Events", [
    element("ul", { class: "tu-events" }, items),
    rest > 0 ? note(`… ${amountText(rest, "more event")}`) : null,
  ]);
}

function linkSection(links) {
  if (!links.length) return null;
  const items = links
    .slice(0, MAX_LIST)
    .map((link) => element("li", {}, line(`${link?.trace_id} ${link?.span_id}`)));
  return section("Links", element("ul", { class: "tu-events" }, items));
}

function assessmentItem(each, trace, spanId) {
  const of = spanId === null && each.span ? trace.spans.find((span) => span.id === each.span) : null;
  const where = of ? ` on ${line(of.name)}` : "";
  const source = element(
    "span",
    { class: "tu-quiet", title: each.time_ms ? exactTime(each.time_ms) : null },
    ` ${each.kind}${where}, ${line(each.source)}`,
  );
  return element(
    "li",
    { class: each.valid ? "" : "tu-overridden" },
    assessmentMark(each),
    source,
    each.error ? element("div", { class: "tu-quiet" }, line(each.error, 600)) : null,
    each.rationale ? textBlock(each.rationale, "tu-rationale") : null,
    isObject(each.value) || Array.isArray(each.value) ? valueBlock(each.value) : null,
  );
}

/** Return a span with its payloads decoded. */
function readableSpan(span) {
  const payloads = ["inputs", "outputs", "attributes", "events", "links"].filter(
    (name) => span[name] !== undefined,
  );
  return { ...span, ...Object.fromEntries(payloads.map((name) => [name, decode(span[name])])) };
}

function rawSection(title, name, read) {
  const body = element("div", {});
  const text = () => JSON.stringify(read(), null, 2);
  const tools = [
    copyButton(`Copy ${title}`, text),
    button("Save", () => saveText(`${name}.json`, text()), {
      kind: "tu-small",
      name: `Save ${title} as a file`,
    }),
  ];
  const details = element(
    "details",
    { class: "tu-raw" },
    element("summary", {}, title),
    element("div", { class: "tu-tools" }, tools),
    body,
  );
  details.addEventListener("toggle", () => fill(body, details.open ? textBlock(text(), "tu-outline") : ""));
  return details;
}
