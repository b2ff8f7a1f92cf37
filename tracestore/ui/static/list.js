// The list of traces: filter box, columns, order, rows. Knows what a source finds; opening a trace is up to
// whoever made the list. Rows come in pages and only those in view are drawn.
import {
  amountText,
  costText,
  countText,
  exactTime,
  line,
  millisecondsText,
  timeText,
  zoneText,
} from "./words.js";
import { button, choice, delayed, element, fill } from "./elements.js";
import { previewOf } from "./payload.js";
import { VirtualList } from "./virtual.js";

const CHOICES = { "": "Any state", OK: "OK", ERROR: "Error", IN_PROGRESS: "In progress" };
const AGES = { "": "Any time", "1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days" };
const MAX_LABELS = 4;
const STATES = { OK: ["ok", "OK"], ERROR: ["error", "Error"], IN_PROGRESS: ["open", "In progress"] };

/** Return a trace's state as a mark with its word. */
export function stateMark(state) {
  const [kind, word] = STATES[state] ?? ["unknown", "Unknown"];
  return element("span", { class: `tu-state tu-is-${kind}` }, word);
}

/** Return an assessment as a short label. */
export function assessmentMark(each) {
  const said = saidIn(each);
  const isGood = ["true", "yes", "good"].includes(String(each.value).toLowerCase());
  const kind = isBad(each) ? "error" : isGood ? "ok" : "plain";
  const title = [`${each.name}: ${said}`, each.source, each.rationale].filter(Boolean).join("\n");
  return element(
    "span",
    { class: `tu-mark tu-is-${kind}`, title: line(title, 600) },
    `${line(each.name, 40)} ${line(said, 40)}`,
  );
}

// title, width, field to order by, how to draw a cell; the first is always there
const COLUMNS = {
  trace: ["Trace", "minmax(140px, 1.4fr)", "name", traceCell],
  start: [
    "Start",
    "minmax(70px, 140px)",
    "timestamp_ms",
    (record) => [timeText(record.start_ms), exactTime(record.start_ms)],
  ],
  duration: [
    "Duration",
    "minmax(56px, 80px)",
    "duration",
    (record) => [
      millisecondsText(record.duration_ms),
      record.duration_ms === null ? null : `${record.duration_ms} ms`,
    ],
  ],
  spans: ["Spans", "minmax(40px, 64px)", "span_count", (record) => [countText(record.span_count)]],
  tokens: [
    "Tokens",
    "minmax(44px, 68px)",
    "tokens.total",
    (record) => [countText(record.tokens?.total_tokens), exactJson(record.tokens)],
  ],
  cost: [
    "Cost",
    "minmax(44px, 84px)",
    "cost.total",
    (record) => [costText(record.cost), exactJson(record.cost)],
  ],
  request: ["Request", "minmax(50px, 2fr)", null, (record) => previewCell(record.request)],
  response: ["Response", "minmax(50px, 2fr)", null, responseCell],
  labels: ["Assessments", "minmax(40px, 1.5fr)", null, labelsCell],
  session: ["Session", "minmax(40px, 110px)", null, (record) => [line(record.session), record.session]],
  user: ["User", "minmax(40px, 110px)", null, (record) => [line(record.user), record.user]],
  tags: ["Tags", "minmax(40px, 1fr)", null, tagsCell],
};
const FIRST_COLUMNS = ["trace", "start", "duration", "tokens", "cost", "request", "response", "labels"];
const NUMBERS = new Set(["duration", "spans", "tokens", "cost"]);

function traceCell(record) {
  return [
    [stateMark(record.state), element("span", { class: "tu-name" }, line(record.name) || "unnamed trace")],
    record.id,
  ];
}

/** Return JSON for a tooltip, nothing for nothing. */
export function exactJson(value) {
  return value ? JSON.stringify(value) : null;
}

function previewCell(text) {
  return [line(previewOf(text)), line(text, 1000)];
}

/** Return what came out, of a trace that failed what it failed of. */
function responseCell(record) {
  if (!record.error) return previewCell(record.response);
  return [element("span", { class: "tu-failure" }, line(record.error)), line(record.error, 1000)];
}

/** Return the assessments in force, what is bad before what is not. */
function labelsCell(record) {
  const inForce = record.assessments.filter((each) => each.valid);
  const inOrder = [...inForce.filter(isBad), ...inForce.filter((each) => !isBad(each))];
  const all = inOrder.slice(0, MAX_LABELS).map((each) => `${each.name}: ${saidIn(each)}`);
  return [inOrder.slice(0, MAX_LABELS).map(assessmentMark), line(all.join(", "), 600)];
}

function saidIn({ error, value }) {
  if (error) return "failed";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isBad({ error, value }) {
  return Boolean(error) || ["false", "no", "bad"].includes(String(value).toLowerCase());
}

function tagsCell(record) {
  const shown = Object.entries(record.tags).filter(([key]) => !key.startsWith("mlflow."));
  const text = shown.map(([key, value]) => `${key}: ${value}`).join(", ");
  return [line(text), line(text, 1000)];
}

/** The list with its tools. `open(record)` is called for the trace that was chosen. */
export class TraceList {
  constructor(source, open) {
    Object.assign(this, { source, open });
    this.columns = new Set(FIRST_COLUMNS);
    this.query = { filter: "", state: "", age: "", order: "timestamp_ms", isDescending: true };
    this.records = [];
    this.number = 0;
    this.box = element("input", {
      type: "search",
      class: "tu-box",
      placeholder: "words, or a filter such as status = 'ERROR' AND duration > 2s",
      "aria-label": "Filter: words, or a filter",
      spellcheck: "false",
      autocomplete: "off",
      on: {
        input: delayed(() => this.search(), 250),
        keydown: (event) => {
          if (event.key === "Enter") this.search();
          if (event.key === "ArrowDown") this.rows.element.focus();
        },
      },
    });
    this.status = element("span", { class: "tu-count", role: "status" });
    this.problem = element("p", { class: "tu-problem", role: "alert", hidden: true });
    this.header = element("div", { class: "tu-header", role: "row" });
    this.rows = new VirtualList({
      label: "Traces",
      role: "grid",
      make: (place) => this.row(this.records[place]),
      act: (place) => this.open(this.records[place]),
      nearEnd: () => this.more(),
    });
    this.header.id = `${this.rows.name}-header`; // above what scrolls, and a row of the same grid
    this.rows.element.setAttribute("aria-owns", this.header.id);
    const refresh = source.isFixed ? null : button("↻", () => this.search(), { name: "Search again" });
    this.element = element(
      "div",
      { class: "tu-list" },
      element(
        "div",
        { class: "tu-bar" },
        this.box,
        choice("State", CHOICES, (state) => this.search({ state })),
        choice("Time", AGES, (age) => this.search({ age })),
        this.status,
        refresh,
        this.chooser(),
      ),
      this.problem,
      this.header,
      this.rows.element,
    );
    this.setColumns();
  }

  chooser() {
    const boxes = Object.entries(COLUMNS).map(([name, [title]]) => {
      const input = element("input", { type: "checkbox", disabled: name === "trace" });
      input.checked = this.columns.has(name);
      input.addEventListener("change", () => {
        if (input.checked) this.columns.add(name);
        else this.columns.delete(name);
        this.setColumns();
        this.rows.reset(this.records.length, this.rows.active);
      });
      return element("label", {}, input, title);
    });
    return element(
      "details",
      { class: "tu-chooser" },
      element("summary", { class: "tu-button" }, "Columns"),
      element("div", { class: "tu-menu" }, boxes),
    );
  }

  shownColumns() {
    return Object.entries(COLUMNS).filter(([name]) => this.columns.has(name));
  }

  setColumns() {
    const shown = this.shownColumns();
    this.element.style.setProperty("--tu-columns", shown.map(([, [, width]]) => width).join(" "));
    fill(
      this.header,
      shown.map(([name, [title, , field]]) => this.heading(name, title, field)),
    );
  }

  heading(name, title, field) {
    const isOrder = field !== null && this.query.order === field;
    const sort = isOrder ? (this.query.isDescending ? "descending" : "ascending") : null;
    const text = name === "start" ? `${title} (${zoneText()})` : title;
    const content =
      field === null
        ? text
        : button(
            [
              text,
              isOrder
                ? element("span", { "aria-hidden": "true" }, this.query.isDescending ? " ▾" : " ▴")
                : "",
            ],
            () => this.sort(field),
            { kind: "tu-sort", title: `Order by ${title}` },
          );
    return element(
      "div",
      { role: "columnheader", "aria-sort": sort, class: NUMBERS.has(name) ? "tu-number" : "" },
      content,
    );
  }

  sort(field) {
    const isDescending = this.query.order === field ? !this.query.isDescending : field !== "name";
    Object.assign(this.query, { order: field, isDescending });
    this.setColumns();
    this.search();
  }

  row(record) {
    const cells = this.shownColumns().map(([name, [, , , draw]]) => {
      const [content, title] = draw(record);
      const kind = `tu-cell tu-cell-${name}${NUMBERS.has(name) ? " tu-number" : ""}`;
      return element("div", { role: "gridcell", class: kind, title: title ?? null }, content);
    });
    return element("div", { class: `tu-row${record.state === "ERROR" ? " tu-failed" : ""}` }, cells);
  }

  /** Ask the source anew; the answer to an older question is not shown. */
  async search(changed = {}) {
    const number = (this.number += 1);
    Object.assign(this.query, { filter: this.box.value }, changed);
    try {
      const found = await this.source.search(this.query);
      if (number !== this.number) return;
      this.show(found);
    } catch (error) {
      if (number === this.number) this.fail(error);
    }
  }

  show(found) {
    this.problem.hidden = true;
    this.records = found.records;
    this.next = found.next;
    const total = amountText(found.total, "trace");
    this.status.textContent = total;
    this.status.title = found.note;
    this.note = found.note;
    this.rows.element.scrollTop = 0;
    this.rows.reset(this.records.length, this.records.length ? 0 : -1);
    this.rows.element.classList.toggle("tu-empty", !this.records.length);
    this.rows.element.setAttribute("aria-description", this.records.length ? "" : this.nothing());
  }

  nothing() {
    const { filter, state, age } = this.query;
    return filter.trim() || state || age ? "No trace meets the filter." : "There are no traces yet.";
  }

  fail(error) {
    this.problem.hidden = false;
    fill(this.problem, error.message);
  }

  async more() {
    if (!this.next || this.isLoading) return;
    this.isLoading = true;
    const number = this.number;
    try {
      const found = await this.source.search({ ...this.query, page: this.next });
      if (number !== this.number) return;
      this.records.push(...found.records);
      this.next = found.next;
      this.rows.reset(this.records.length, this.rows.active);
    } catch (error) {
      this.fail(error);
    } finally {
      this.isLoading = false;
    }
  }

  /** Put a record in the place of the one of the same trace, because it was assessed. */
  replace(record) {
    const place = this.records.findIndex((each) => each.id === record.id);
    if (place < 0) return;
    this.records[place] = record;
    this.rows.draw(true);
  }

  /** Return the record that is `step` rows from the one of that id, undefined where there is none. */
  neighbour(id, step) {
    const place = this.records.findIndex((each) => each.id === id);
    return place < 0 ? undefined : this.records[place + step];
  }

  close() {
    this.rows.close();
  }
}
