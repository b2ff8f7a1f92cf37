// One trace: its head, the waterfall with a time axis and a search within the trace, and the pane with details.
// Knows a source and what it opened. The first row of the waterfall is the trace as a whole.
import {
  amountText,
  costText,
  countText,
  durationText,
  exactTime,
  line,
  millisecondsText,
  timeText,
} from "./words.js";
import { button, copyButton, delayed, element, fill } from "./elements.js";
import { VirtualList } from "./virtual.js";
import { exactJson, stateMark } from "./list.js";
import { Detail } from "./detail.js";
import { errorOf } from "./filter.js";

const COLOURS = {
  __proto__: null, // "constructor" may be recorded, too
  LLM: "model",
  CHAT_MODEL: "model",
  CHAIN: "chain",
  WORKFLOW: "chain",
  TASK: "chain",
  AGENT: "agent",
  TOOL: "tool",
  RETRIEVER: "retriever",
  RERANKER: "retriever",
  EMBEDDING: "embedding",
  MEMORY: "embedding",
  PARSER: "parser",
  GUARDRAIL: "guard",
  EVALUATOR: "guard",
};
const MAX_TICKS = 5;
const DECIMAL = Array.from({ length: 10 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const STEPS_NS = [
  ...DECIMAL,
  ...[10, 15, 30].map((seconds) => seconds * 1e9),
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 6e10),
  ...[1, 2, 6, 12].map((hours) => hours * 36e11),
  ...DECIMAL.map((days) => days * 864e11),
];

/** The view. `back` and `step` (by -1 or 1 in the list) are null where there is no list. */
export class TraceView {
  constructor(source, trace, { back = null, step = null, openTrace, changed }) {
    Object.assign(this, { source, trace, back, step });
    this.folded = new Set();
    this.found = null;
    this.detail = new Detail({
      source,
      trace,
      openTrace,
      changed: (record, spanId) => {
        trace.record = record;
        changed(record);
        if (spanId === null) this.detail.showTrace();
        else this.detail.showSpan(trace.spans.find((span) => span.id === spanId));
      },
    });
    this.cause = causeOf(trace.spans);
    const isCounted = trace.spans.some((span) => span.tokens);
    this.rows = new VirtualList({
      label: "Spans",
      role: "treegrid",
      make: (place) => (place ? this.spanRow(this.shown[place - 1]) : this.traceRow()),
      act: (place, event) => this.act(place, event),
      move: (place) => this.select(place),
    });
    this.rows.element.addEventListener("keydown", (event) => this.press(event));
    this.element = element(
      "div",
      { class: "tu-trace" },
      this.head(),
      element(
        "div",
        { class: "tu-split" },
        element(
          "div",
          { class: `tu-waterfall${isCounted ? " tu-counted" : ""}` },
          this.finder(),
          this.axis(),
          this.rows.element,
        ),
        this.detail.element,
      ),
    );
    this.rows.element.style.setProperty("--tu-step", this.share);
    this.layOut();
    this.detail.showTrace();
  }

  head() {
    const { record, spans } = this.trace;
    const tools = [
      this.back &&
        button(["←", element("span", { class: "tu-word" }, " Traces")], this.back, {
          name: "← Traces",
          title: "Back to the list (Esc)",
        }),
      this.step && button("↑", () => this.step(-1), { name: "Trace above ([)" }),
      this.step && button("↓", () => this.step(1), { name: "Trace below (])" }),
    ];
    const facts = [
      [timeText(record.start_ms, true), exactTime(record.start_ms)],
      [amountText(spans.length, "span")],
      [
        record.tokens?.total_tokens === undefined ? "" : `${countText(record.tokens.total_tokens)} tokens`,
        exactJson(record.tokens),
      ],
      [costText(record.cost), exactJson(record.cost)],
    ].filter(([text]) => text);
    return element(
      "header",
      { class: "tu-head" },
      element(
        "div",
        { class: "tu-title" },
        tools,
        stateMark(record.state),
        element("h1", { title: line(record.name) }, line(record.name) || "unnamed trace"),
        element(
          "span",
          { class: "tu-total", title: `${record.duration_ms} ms` },
          millisecondsText(record.duration_ms),
        ),
      ),
      element(
        "div",
        { class: "tu-line" },
        facts.map(([text, title]) => element("span", { title: title ?? null }, text)),
        element("code", {}, line(record.id)),
        copyButton("Copy the trace's id", () => record.id),
      ),
      this.problem(),
    );
  }

  problem() {
    if (this.cause === null) return null;
    const span = this.trace.spans[this.cause];
    const failed = this.trace.spans.filter((each) => each.status === "ERROR").length;
    const said = errorOf(span) ?? span.message ?? "failed";
    return element(
      "div",
      { class: "tu-problem" },
      button(line(span.name) || "unnamed span", () => this.reveal(this.cause), {
        kind: "tu-link",
        title: "Show this span",
      }),
      `: ${line(said, 300)}${failed > 1 ? ` (${countText(failed)} spans failed)` : ""}`,
    );
  }

  finder() {
    this.status = element("span", { class: "tu-count", role: "status" });
    this.box = element("input", {
      type: "search",
      class: "tu-box",
      placeholder: "search within this trace",
      "aria-label": "Search within this trace",
      spellcheck: "false",
      on: {
        input: delayed(() => this.find(), 200),
        keydown: (event) => {
          if (event.key !== "Enter") return;
          this.stepFound(event.shiftKey ? -1 : 1);
          event.preventDefault();
        },
      },
    });
    const next = (step, text, name) => button(text, () => this.stepFound(step), { name, kind: "tu-small" });
    return element(
      "div",
      { class: "tu-bar" },
      this.box,
      this.status,
      next(-1, "↑", "Match above"),
      next(1, "↓", "Match below"),
    );
  }

  axis() {
    const length = this.trace.axis_ns;
    const step = stepOf(length);
    const ticks = [];
    for (let tick = 0; length && tick <= 0.9 * length; tick += step) {
      ticks.push(
        element(
          "span",
          { class: "tu-tick", style: { left: `${(100 * tick) / length}%` } },
          durationText(tick),
        ),
      );
    }
    this.share = length ? `${(100 * step) / length}%` : "100%";
    return element(
      "div",
      { class: "tu-axis", "aria-hidden": "true" },
      element("span", {}, "Span"),
      element("span", { class: "tu-tokens" }, "Tokens"),
      element("span", { class: "tu-duration" }, "Duration"),
      element("div", { class: "tu-ticks" }, ticks),
    );
  }

  /** Work out which spans are in rows: all but those below a folded one. */
  layOut() {
    const { spans } = this.trace;
    this.shown = [];
    for (let place = 0; place < spans.length; place += 1) {
      this.shown.push(place);
      if (this.folded.has(place)) place = endOf(spans, place) - 1;
    }
    this.rows.reset(this.shown.length + 1, Math.max(0, this.rows.active));
  }

  traceRow() {
    return element(
      "div",
      { class: "tu-span tu-whole", "aria-level": "1" },
      element("span", { class: "tu-label", role: "gridcell" }, "Whole trace"),
      tokensCell(this.trace.record),
      element(
        "span",
        { class: "tu-duration", role: "gridcell" },
        millisecondsText(this.trace.record.duration_ms),
      ),
      element("span", { class: "tu-track", role: "gridcell" }),
    );
  }

  spanRow(place) {
    const span = this.trace.spans[place];
    const isParent = this.trace.spans[place + 1]?.depth > span.depth;
    const isOpen = span.duration_ns === undefined;
    const isFolded = this.folded.has(place);
    const dimmed = this.found && !this.found.has(place) ? " tu-dim" : this.found ? " tu-found" : "";
    return element(
      "div",
      {
        class: `tu-span tu-type-${COLOURS[span.type] ?? "other"}${dimmed}`,
        "aria-level": String(span.depth + 2),
        "aria-expanded": isParent ? String(!isFolded) : null,
      },
      element(
        "span",
        { class: "tu-label", role: "gridcell", style: { "--tu-depth": String(Math.min(span.depth, 24)) } },
        element("span", { class: `tu-fold${isParent ? (isFolded ? " tu-shut" : " tu-open") : ""}` }),
        element("span", { class: "tu-name", title: line(span.name) }, line(span.name) || "unnamed span"),
        span.type ? element("span", { class: "tu-type" }, line(span.type, 30)) : null,
        span.status === "ERROR" ? element("span", { class: "tu-mark tu-is-error" }, "error") : null,
        isOpen ? element("span", { class: "tu-mark tu-is-open" }, "open") : null,
        span.orphan ? element("span", { class: "tu-mark tu-is-plain" }, "no parent") : null,
      ),
      tokensCell(span),
      element(
        "span",
        { class: "tu-duration", role: "gridcell" },
        isOpen ? "…" : durationText(span.duration_ns),
      ),
      this.track(span, isOpen),
    );
  }

  track(span, isOpen) {
    const length = this.trace.axis_ns || 1;
    const left = Math.min(99.5, (100 * span.start_ns) / length);
    const width = isOpen ? 100 - left : Math.min(100 - left, (100 * Math.max(0, span.duration_ns)) / length);
    const title = `starts after ${durationText(span.start_ns)}, ${isOpen ? "still open" : `takes ${durationText(span.duration_ns)} (${countText(span.duration_ns)} ns)`}`;
    const kind = span.status === "ERROR" ? " tu-is-error" : isOpen ? " tu-is-open" : "";
    const bar = element("span", {
      class: `tu-span-bar${kind}`,
      style: { left: `${left}%`, width: `${width}%` },
    });
    return element("span", { class: "tu-track", role: "gridcell", title }, bar);
  }

  select(place) {
    if (place <= 0) this.detail.showTrace();
    else this.detail.showSpan(this.trace.spans[this.shown[place - 1]]);
  }

  act(place, event) {
    if (place && event.target.closest?.(".tu-fold")) this.fold(this.shown[place - 1]);
  }

  fold(place, isFolded = !this.folded.has(place)) {
    if (isFolded) this.folded.add(place);
    else this.folded.delete(place);
    this.layOut();
  }

  press(event) {
    if (event.target !== this.rows.element || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    const place = this.rows.active > 0 ? this.shown[this.rows.active - 1] : -1;
    if (place < 0) return;
    const { spans } = this.trace;
    const isParent = spans[place + 1]?.depth > spans[place].depth;
    if (event.key === "ArrowRight") {
      if (this.folded.has(place)) this.fold(place, false);
      else if (isParent) this.rows.go(this.rows.active + 1);
    } else if (isParent && !this.folded.has(place)) this.fold(place, true);
    else this.reveal(parentOf(spans, place));
    event.preventDefault();
  }

  /** Unfold what a span is in, make it the active row and show it; for null the trace as a whole. */
  reveal(place) {
    if (place === null) {
      this.rows.go(0);
      return;
    }
    for (
      let above = parentOf(this.trace.spans, place);
      above !== null;
      above = parentOf(this.trace.spans, above)
    ) {
      this.folded.delete(above);
    }
    this.layOut();
    this.rows.go(this.shown.indexOf(place) + 1);
  }

  async find() {
    const words = this.box.value.trim();
    const found = words ? await this.source.find(this.trace.record.id, words) : null;
    if (words !== this.box.value.trim()) return;
    this.found = found;
    fill(this.status, found ? amountText(found.size, "match").replace("matchs", "matches") : "");
    this.rows.draw(true);
  }

  stepFound(step) {
    if (!this.found?.size) return;
    const places = [...this.found].sort((a, b) => a - b);
    const here = this.rows.active > 0 ? this.shown[this.rows.active - 1] : -1;
    const next = step > 0 ? places.find((place) => place > here) : places.findLast((place) => place < here);
    this.reveal(next ?? (step > 0 ? places[0] : places.at(-1)));
  }

  focus() {
    this.rows.element.focus({ preventScroll: true });
  }

  close() {
    this.rows.close();
  }
}

/** Return the tokens of a trace or a span, what they cost in the tooltip. */
function tokensCell({ tokens, cost }) {
  const title = [exactJson(tokens), costText(cost)].filter(Boolean).join("\n");
  return element(
    "span",
    { class: "tu-tokens", role: "gridcell", title: title || null },
    countText(tokens?.total_tokens),
  );
}

function endOf(spans, place) {
  let end = place + 1;
  while (end < spans.length && spans[end].depth > spans[place].depth) end += 1;
  return end;
}

function parentOf(spans, place) {
  for (let above = place - 1; above >= 0; above -= 1) {
    if (spans[above].depth < spans[place].depth) return above;
  }
  return null;
}

/** Return the place of the span that explains the first failure: from there down the last child that failed. */
function causeOf(spans) {
  let cause = null;
  for (const [place, span] of spans.entries()) {
    if (span.status !== "ERROR") continue;
    const before = cause === null ? null : spans[cause];
    if (before === null || (span.depth > before.depth && span.parent === before.id)) cause = place;
    else if (span.depth === before.depth && span.depth && span.parent === before.parent) cause = place;
  }
  return cause;
}

/** Return the distance of ticks, a round time; at most five of them fit. */
function stepOf(length) {
  return STEPS_NS.find((step) => step * MAX_TICKS >= length) ?? length;
}
