// The part of the filter language that a page evaluates by itself, without a store: comparisons, LIKE, ILIKE,
// IN, BETWEEN, IS NULL, AND, OR, NOT and parentheses, on the fields in FIELDS and SPAN_FIELDS. Text that is no
// filter is words to look for. tests/test_ui_filter.py holds it to the same answers as the store. Invariant:
// what is not understood is an error that says so; nothing is guessed.
import { decode, isObject, spanText } from "./payload.js";

const STARTS_A_FILTER = new RegExp(
  "^[\\s(]*(?:NOT[\\s(]+)*(?:(?:any|all|no|count|sum|min|max|avg)_spans?\\s*\\(|" +
    "[a-z_]+(?:\\.(?:`[^`]*`|\"[^\"]*\"|'[^']*'|[^\\s=!<>(),'\"`]+))?\\s*(?:[=<>]|!=|" +
    "(?:NOT\\s+)?(?:R?LIKE|ILIKE)\\s*['\"]|(?:NOT\\s+)?IN\\s*\\(|(?:NOT\\s+)?BETWEEN\\s|IS\\s+(?:NOT\\s+)?NULL))",
  "i",
);

/** Return the filter that was typed: itself, or for plain words the one that looks for each of them. */
export function asFilter(typed) {
  const text = typed.trim();
  if (!text || STARTS_A_FILTER.test(text)) return text;
  const wanted = text.split(/\s+/).map((word) => word.replace(/[\\%_]/g, "\\$&").replaceAll("'", "''"));
  return wanted.map((word) => `text ILIKE '%${word}%'`).join(" AND ");
}

/** Return the filter of a search: what was typed, and what was chosen beside it, a state and an age as "24h". */
export function filterOf({ filter, state = "", age = "" }) {
  const parts = [asFilter(filter), state && `status = '${state}'`, age && `timestamp > now() - ${age}`];
  const said = parts.filter(Boolean);
  return said.length > 1 ? said.map((part) => `(${part})`).join(" AND ") : said.join("");
}

const TOKEN =
  /\s*(?:(?<string>'(?:[^']|'')*'|"(?:[^"]|"")*")|(?<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)(?<unit>ns|us|ms|s|m|h|d)?(?![\w.])|(?<now>now\s*\(\s*\))|(?<name>[A-Za-z_]\w*(?:\.(?:`[^`]+`|"[^"]+"|'[^']+'|[^\s=!<>(),'"`]+))?)|(?<sign>==|<>|!=|<=|>=|[=<>(),+-]))/uy;

const UNIT_MS = { ns: 1e-6, us: 1e-3, ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

function tokensOf(text) {
  const found = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (!match) throw new FilterError(`can't read this: ${text.slice(at, at + 30).trim()}`);
    const { string, number, unit, now, name, sign } = match.groups;
    if (string) found.push({ kind: "value", value: unquoted(string) });
    else if (number && unit) found.push({ kind: "value", value: Number(number) * UNIT_MS[unit], unit });
    else if (number) found.push({ kind: "value", value: Number(number) });
    else if (now) found.push({ kind: "value", value: Date.now(), isNow: true });
    else if (name) found.push({ kind: "name", text: name, word: name.toUpperCase() });
    else found.push({ kind: "sign", text: sign });
  }
  return found;
}

function unquoted(text) {
  const quote = text[0];
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}

/** What is wrong with a filter, in words for the person who typed it. */
export class FilterError extends Error {}

/** Return a function from a trace `{record, spans()}` to whether it meets the filter. */
export function compile(filter) {
  if (!filter) return () => true;
  const reader = new Reader(tokensOf(filter));
  const node = reader.or();
  if (reader.peek()) throw new FilterError(`expected AND or OR before ${reader.said()}`);
  return traceTest(node);
}

class Reader {
  constructor(tokens) {
    this.tokens = tokens;
    this.place = 0;
  }

  peek() {
    return this.tokens[this.place];
  }

  said() {
    const token = this.peek();
    return token ? String(token.text ?? `'${token.value}'`) : "the end";
  }

  takes(text) {
    const token = this.peek();
    const isIt = token && (token.kind === "name" ? token.word === text : token.text === text);
    if (isIt) this.place += 1;
    return Boolean(isIt);
  }

  needs(text) {
    if (!this.takes(text)) throw new FilterError(`expected ${text} before ${this.said()}`);
  }

  or() {
    const operands = [this.and()];
    while (this.takes("OR")) operands.push(this.and());
    return operands.length === 1 ? operands[0] : { kind: "or", operands };
  }

  and() {
    const operands = [this.not()];
    while (this.takes("AND")) operands.push(this.not());
    const flat = operands.flatMap((each) => (each.kind === "and" ? each.operands : [each]));
    return flat.length === 1 ? flat[0] : { kind: "and", operands: flat };
  }

  not() {
    if (this.takes("NOT")) return { kind: "not", operand: this.not() };
    if (this.takes("(")) {
      const inner = this.or();
      this.needs(")");
      return inner;
    }
    return this.comparison();
  }

  comparison() {
    const token = this.peek();
    if (token?.kind !== "name") throw new FilterError(`expected a field before ${this.said()}`);
    this.place += 1;
    if (this.peek()?.text === "(") {
      throw new FilterError(`${token.text}(…) is for a search of the file; this page can't evaluate it`);
    }
    const field = fieldOf(token.text);
    const test = this.condition(field);
    return { kind: field.isSpan ? "span" : "trace", test: (subject) => test(field.read(subject)) };
  }

  condition(field) {
    if (this.takes("IS")) {
      const isWanted = this.takes("NOT");
      this.needs("NULL");
      return (values) => values.length > 0 === isWanted;
    }
    const isNegated = this.takes("NOT");
    const test = this.predicate(field, isNegated);
    return (values) => values.some((value) => test(value) !== isNegated);
  }

  predicate(field, isNegated) {
    if (this.takes("LIKE")) return likes(this.text(), "su");
    if (this.takes("ILIKE")) return likes(this.text(), "siu");
    if (this.takes("IN")) {
      const wanted = this.list(field);
      return (value) => wanted.some((each) => compare(value, "=", each, field));
    }
    if (this.takes("BETWEEN")) {
      const low = this.value(field);
      this.needs("AND");
      const high = this.value(field);
      return (value) => compare(value, ">=", low, field) && compare(value, "<=", high, field);
    }
    if (this.takes("RLIKE")) throw new FilterError("RLIKE is for a search of the file; use LIKE here");
    const sign = this.peek();
    if (isNegated || sign?.kind !== "sign" || !(sign.text in COMPARATORS)) {
      throw new FilterError(`expected a comparison before ${this.said()}`);
    }
    this.place += 1;
    const wanted = this.value(field);
    return (value) => compare(value, sign.text, wanted, field);
  }

  list(field) {
    this.needs("(");
    const found = [this.value(field)];
    while (this.takes(",")) if (this.peek()?.text !== ")") found.push(this.value(field));
    this.needs(")");
    return found;
  }

  text() {
    const token = this.peek();
    if (token?.kind !== "value" || typeof token.value !== "string") {
      throw new FilterError(`expected a text in quotes before ${this.said()}`);
    }
    this.place += 1;
    return token.value;
  }

  value(field) {
    const token = this.peek();
    this.place += 1;
    if (token?.kind === "name" && ["TRUE", "FALSE"].includes(token.word)) return token.word === "TRUE";
    if (token?.kind !== "value") {
      this.place -= 1;
      throw new FilterError(`expected a value before ${this.said()}`);
    }
    if (field.type === "instant") return this.instant(token);
    if (field.type === "string" || field.type === "json") return token.value;
    const number = Number(token.value);
    if (Number.isNaN(number)) throw new FilterError(`'${token.value}' is no number`);
    return number;
  }

  instant(token) {
    let value = token.value;
    if (typeof value === "string") {
      const isNumber = /^\d+$/.test(value);
      const hasZone = /(Z|[-+]\d\d:?\d\d)$/i.test(value) || !value.includes(":");
      value = isNumber ? Number(value) : Date.parse(hasZone ? value : `${value}Z`);
      if (Number.isNaN(value)) throw new FilterError(`'${token.value}' is no time`);
    }
    const next = this.peek();
    if (token.isNow && next?.kind === "sign" && ["+", "-"].includes(next.text)) {
      this.place += 2;
      return value + (next.text === "-" ? -1 : 1) * this.tokens[this.place - 1].value;
    }
    if (token.isNow && next?.unit) {
      this.place += 1; // the sign was read as the number's
      return value + next.value;
    }
    return value;
  }
}

const COMPARATORS = {
  "=": (a, b) => a === b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<>": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

function compare(value, sign, wanted, field) {
  const holds = COMPARATORS[sign];
  if (typeof value === typeof wanted) return holds(value, wanted);
  if (field.isTyped) return sign === "!=" || sign === "<>";
  if (typeof value === "boolean" || typeof wanted === "boolean") return holds(String(value), String(wanted));
  const [left, right] = [numberOf(value), numberOf(wanted)];
  if (left !== null && right !== null) return holds(left, right);
  return (sign === "!=" || sign === "<>") && typeof wanted === "string";
}

function numberOf(value) {
  if (typeof value === "number") return value;
  return /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value) ? Number(value) : null;
}

function likes(pattern, flags) {
  let source = "";
  for (let place = 0; place < pattern.length; place += 1) {
    const character = pattern[place];
    if (character === "%") source += ".*";
    else if (character === "_") source += ".";
    else
      source += literal(character === "\\" && place + 1 < pattern.length ? pattern[(place += 1)] : character);
  }
  const expression = new RegExp(`^${source.replace(/(\.\*)+/g, ".*")}$`, flags);
  return (value) => typeof value === "string" && expression.test(value);
}

function literal(character) {
  return character.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function traceTest(node) {
  if (node.kind === "trace") return node.test;
  if (node.kind === "span") return (trace) => trace.spans().some(node.test);
  if (node.kind === "not") {
    const test = traceTest(node.operand);
    return (trace) => !test(trace);
  }
  if (node.kind === "or") {
    const tests = node.operands.map(traceTest);
    return (trace) => tests.some((test) => test(trace));
  }
  // One conjunction's conditions on spans speak of one and the same span.
  const onSpan = node.operands.filter((each) => each.kind === "span").map((each) => each.test);
  const tests = node.operands.filter((each) => each.kind !== "span").map(traceTest);
  if (onSpan.length) tests.push((trace) => trace.spans().some((span) => onSpan.every((test) => test(span))));
  return (trace) => tests.every((test) => test(trace));
}

// Fields ---------------------------------------------------------------------------------------------------

const one = (value) => (value === null || value === undefined ? [] : [value]);
const FIELDS = {
  __proto__: null,
  trace_id: ["string", (trace) => trace.record.id],
  name: ["string", (trace) => trace.record.name],
  status: ["string", (trace) => trace.record.state],
  timestamp_ms: ["instant", (trace) => trace.record.start_ms],
  end_time_ms: ["instant", (trace) => trace.record.start_ms + (trace.record.duration_ms ?? 0)],
  duration: ["length", (trace) => trace.record.duration_ms],
  client_request_id: ["string", (trace) => trace.record.client_request_id],
  experiment_id: ["string", (trace) => trace.record.experiment],
  run_id: ["string", (trace) => trace.record.metadata["mlflow.sourceRun"]],
  session: ["string", (trace) => trace.record.session],
  user: ["string", (trace) => trace.record.user],
  request_preview: ["string", (trace) => trace.record.request],
  response_preview: ["string", (trace) => trace.record.response],
  span_count: ["number", (trace) => trace.spans().length],
};
for (const kind of ["input", "output", "total", "cache_read", "cache_creation"]) {
  const key = kind.startsWith("cache") ? `${kind}_input_tokens` : `${kind}_tokens`;
  FIELDS[`tokens.${kind}`] = ["number", (trace) => trace.record.tokens?.[key]];
}
for (const kind of ["input", "output", "total"]) {
  FIELDS[`cost.${kind}`] = ["number", (trace) => trace.record.cost?.[`${kind}_cost`]];
}
const OF_SPANS = {
  __proto__: null,
  text: ["string", (trace) => trace.spans().map(spanText)],
  error: ["string", (trace) => trace.spans().flatMap((span) => one(errorOf(span)))],
  request: ["string", (trace) => one(rootOf(trace)?.inputs)],
  response: ["string", (trace) => one(rootOf(trace)?.outputs)],
};
const SPAN_FIELDS = {
  __proto__: null,
  name: ["string", (span) => span.name],
  type: ["string", (span) => span.type],
  status: ["string", (span) => span.status],
  id: ["string", (span) => span.id],
  parent_id: ["string", (span) => span.parent],
  duration: ["length", (span) => (span.duration_ns === undefined ? null : span.duration_ns / 1e6)],
  inputs: ["string", (span) => span.inputs],
  outputs: ["string", (span) => span.outputs],
  content: ["string", spanText],
  error: ["string", (span) => errorOf(span)],
  model: ["string", (span) => span.model],
};
const ALIASES = {
  __proto__: null,
  request_id: "trace_id",
  state: "status",
  timestamp: "timestamp_ms",
  request_time: "timestamp_ms",
  end_time: "end_time_ms",
  execution_time_ms: "duration",
  execution_time: "duration",
};

/** Return a field by its name: its type, whether it is of spans, and how its values are read. */
function fieldOf(text) {
  const dot = text.indexOf(".");
  const entity = dot < 0 ? text : text.slice(0, dot);
  const key = dot < 0 ? "" : text.slice(dot + 1).replace(/^(["'`])(.*)\1$/s, "$2");
  const name = ["attribute", "attributes", "trace"].includes(entity) && key ? key : text;
  const known = FIELDS[ALIASES[name] ?? name];
  if (known) return { type: known[0], read: (trace) => one(known[1](trace)) };
  if (name in OF_SPANS) return { type: "string", read: OF_SPANS[name][1] };
  if (key && ["tag", "tags"].includes(entity)) {
    return { type: "string", read: (trace) => own(trace.record.tags, key) };
  }
  if (key && ["metadata", "request_metadata"].includes(entity)) {
    return { type: "string", read: (trace) => own(trace.record.metadata, key) };
  }
  if (key && ["feedback", "expectation", "assessment"].includes(entity)) {
    return { type: "json", read: (trace) => assessed(trace.record, entity, key) };
  }
  if (entity === "span" && key.startsWith("attributes.")) {
    const path = key.slice(11).replace(/^(["'`])(.*)\1$/s, "$2");
    return {
      type: "json",
      isSpan: true,
      isTyped: true,
      read: (span) => within(decode(span.attributes), path),
    };
  }
  const ofSpan = entity === "span" ? SPAN_FIELDS[key] : undefined;
  if (ofSpan) return { type: ofSpan[0], isSpan: true, read: (span) => one(ofSpan[1](span)) };
  throw new FilterError(`this page doesn't know the field ${text}; a search of the file may`);
}

function own(values, key) {
  return Object.hasOwn(values ?? {}, key) ? one(values[key]) : [];
}

function rootOf(trace) {
  return trace.spans().find((span) => span.parent === undefined);
}

function assessed(record, entity, path) {
  return record.assessments
    .filter((each) => each.valid && (entity === "assessment" || each.kind === entity))
    .flatMap((each) => within({ [each.name]: each.value }, path));
}

/** Return the scalar at a dotted path, a key with dots in it before a path; none where there is no scalar. */
function within(value, path) {
  if (!isObject(value)) return [];
  if (Object.hasOwn(value, path)) return typeof value[path] === "object" ? [] : one(value[path]);
  for (let dot = path.indexOf("."); dot > 0; dot = path.indexOf(".", dot + 1)) {
    const found = within(value[path.slice(0, dot)], path.slice(dot + 1));
    if (Object.hasOwn(value, path.slice(0, dot)) && found.length) return found;
  }
  return [];
}

/** Return "Type: message" of a span's last exception, null where it has none. */
export function errorOf(span) {
  const events = decode(span.events);
  if (!Array.isArray(events)) return null;
  const last = events.findLast((each) => each?.name === "exception");
  if (!last) return null;
  const { "exception.type": type, "exception.message": text } = last.attributes ?? {};
  return [type, text].filter(Boolean).join(": ");
}

/** Return a function that sorts records by a field of the language, absent values last. */
export function inOrder(fieldName, isDescending) {
  const field = FIELDS[ALIASES[fieldName] ?? fieldName];
  const read = (record) => field[1]({ record, spans: () => ({ length: record.span_count ?? 0 }) });
  const sign = isDescending ? -1 : 1;
  return (a, b) => {
    const [left, right] = [read(a), read(b)];
    const [noLeft, noRight] = [left, right].map((each) => each === null || each === undefined);
    if (noLeft || noRight) return noLeft - noRight;
    return left < right ? -sign : left > right ? sign : b.start_ms - a.start_ms;
  };
}
