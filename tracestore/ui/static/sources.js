// Where traces come from. A source answers:
//   title                          what is looked at
//   search({filter, state, age, order, isDescending, page})   {records, next, total, note}; `next` is the next
//                                  page or null, see filterOf for the first three
//   open(id)                       {record, axis_ms, axis_ns, spans}
//   payload(id, span, name)        the JSON text of one of a span's payloads, null where it is too large
//   find(id, words)                the places of the spans in which all words occur, a Set
//   session(name)                  the records of a session, oldest first
//   assess(id, given)              the record with the new assessment; null where nobody can
// PageSource reads the data blocks of a page; KernelSource asks tracestore/explorer.py by messages.
import { FilterError, compile, filterOf, inOrder } from "./filter.js";
import { spanText } from "./payload.js";

/** Traces within a page: data blocks `tracestore-index` and `tracestore-0`, …, read when they are wanted. */
export class PageSource {
  constructor(page) {
    this.page = page;
    this.index = this.block("index");
    this.places = new Map(this.index.traces.map((record, place) => [record.id, place]));
    this.assess = null;
    this.isFixed = true;
  }

  get title() {
    return this.index.title;
  }

  block(name) {
    return JSON.parse(this.page.getElementById(`tracestore-${name}`).textContent);
  }

  async search({ order, isDescending, ...query }) {
    const test = compile(filterOf(query));
    const found = this.index.traces.filter((record) => {
      let spans = null; // read once, and only where the filter asks for them
      return test({ record, spans: () => (spans ??= this.block(this.places.get(record.id)).spans) });
    });
    if (order) found.sort(inOrder(order, isDescending));
    return { records: found, next: null, total: found.length, note: this.note() };
  }

  note() {
    const { filter, total, traces } = this.index;
    const found = filter ? `found by ${filter}` : "";
    if (total === traces.length) return found;
    return `${found ? `${found}; ` : ""}${total.toLocaleString("en-US")} met it, this page has the first ${traces.length.toLocaleString("en-US")}`;
  }

  async open(id) {
    const place = this.places.get(id);
    const opened = { record: this.index.traces[place], ...this.block(place) };
    this.opened = { id, spans: opened.spans, texts: null };
    return opened;
  }

  async payload(id, span, name) {
    return span[name] ?? null;
  }

  async find(id, words) {
    this.opened.texts ??= this.opened.spans.map((span) =>
      `${spanText(span)}\n${span.type ?? ""}`.toLowerCase(),
    );
    return placesOf(this.opened.texts, words);
  }

  async session(name) {
    const found = this.index.traces.filter((record) => record.session === name);
    return found.sort((a, b) => a.start_ms - b.start_ms);
  }
}

function placesOf(texts, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  return new Set([...texts.keys()].filter((place) => wanted.every((word) => texts[place].includes(word))));
}

const LATE_MS = 1000; // a kernel that runs a cell answers when it has ended

/** Traces in a file that a notebook's kernel has open. Answers come as JSON, long ones compressed. */
export class KernelSource {
  constructor(model) {
    this.model = model;
    this.waiting = new Map();
    this.name = Math.random().toString(36).slice(2); // other views of the widget hear our answers too
    this.number = 0;
    this.waits = () => {}; // told whether an answer is late
    this.listener = (message, buffers) => this.receive(message, buffers);
    model.on("msg:custom", this.listener);
  }

  get title() {
    return this.model.get("title");
  }

  close() {
    this.model.off("msg:custom", this.listener);
  }

  ask(verb, given) {
    this.number += 1;
    const number = `${this.name}-${this.number}`;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject, since: Date.now() });
      setTimeout(() => this.tell(), LATE_MS + 50);
      this.model.send({ number, verb, ...given });
    });
  }

  tell() {
    this.waits([...this.waiting.values()].some((each) => Date.now() - each.since >= LATE_MS));
  }

  async receive(message, buffers) {
    const waiting = this.waiting.get(message.number);
    if (!waiting) return; // of another view of the same widget
    this.waiting.delete(message.number);
    this.tell();
    if (message.error) waiting.reject(new FilterError(message.error));
    else waiting.resolve(buffers?.length ? JSON.parse(await unpacked(buffers[0])) : message.answer);
  }

  search({ order, isDescending, page, ...query }) {
    const order_by = order ? [`${order} ${isDescending ? "DESC" : "ASC"}`] : [];
    return this.ask("search", { filter: filterOf(query), order_by, page: page ?? null });
  }

  open(id) {
    return this.ask("open", { id });
  }

  payload(id, span, name) {
    return this.ask("payload", { id, span: span.id, name });
  }

  async find(id, words) {
    return new Set(await this.ask("find", { id, words }));
  }

  session(name) {
    return this.ask("session", { name });
  }

  assess(id, given) {
    return this.ask("assess", { id, ...given });
  }
}

async function unpacked(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
