// Recorded values as elements: text, fields, conversations, documents, outlines. Knows what payload.js
// recognises; nothing of spans. Invariant: long text is cut with a note of how much more there is and a way
// to it, so the work is bounded by what is shown.
import { amountText, line, sizeText } from "./words.js";
import { button, copyButton, element, saveText } from "./elements.js";
import { documentsIn, isObject, messagesIn, outline, toolsIn } from "./payload.js";

const MAX_TEXT = 8000;
const MAX_SHOWN = 2_000_000;
const MAX_MEMBERS = 100;
const FIRST_MESSAGES = 10;
const MAX_MESSAGES = 60;
const ROLES = new Set(["user", "assistant", "system", "tool", "developer", "model", "function"]);

/** Return a section with a heading, buttons beside it, and what is in it. */
export function section(title, content, buttons = []) {
  return element(
    "section",
    { class: "tu-section", "aria-label": title },
    element(
      "div",
      { class: "tu-heading" },
      element("h3", {}, title),
      element("span", { class: "tu-tools" }, buttons),
    ),
    content,
  );
}

/** Return a note of the interface's own. */
export function note(text) {
  return element("p", { class: "tu-note" }, text);
}

/** Return a payload: a conversation, documents, fields of an object, text, or an outline. */
export function valueBlock(value) {
  if (isObject(value) && Object.keys(value).length && !messagesIn(value)) return fieldsBlock(value);
  return fieldBlock(value);
}

function fieldBlock(value) {
  const messages = messagesIn(value);
  if (messages) return conversation(messages);
  const documents = documentsIn(value);
  if (documents) return documentList(documents);
  const tools = toolsIn(value);
  if (tools) return toolList(tools);
  if (typeof value === "string") return textBlock(value);
  return outlineBlock(value);
}

/** Return text that keeps its line breaks, cut where it is long. */
export function textBlock(text, kind = "tu-text") {
  if (text.length <= MAX_TEXT) return element("div", { class: kind, dir: "auto" }, text);
  return growing(
    text.length,
    kind,
    (most) => text.slice(0, most),
    () => text,
  );
}

function outlineBlock(value) {
  const first = outline(value, MAX_TEXT);
  if (first.length < MAX_TEXT) return element("pre", { class: "tu-outline" }, first);
  const whole = JSON.stringify(value);
  return growing(
    whole.length,
    "tu-outline",
    (most) => outline(value, most),
    () => whole,
  );
}

/** Return the beginning of something long, with buttons for more of it and for the whole. */
function growing(length, kind, read, whole) {
  let most = MAX_TEXT;
  const text = element("div", { class: kind, dir: "auto" }, read(most));
  const rest = element("span", { class: "tu-rest" });
  const more = button(
    "Show more",
    () => {
      most = Math.min(most * 8, MAX_SHOWN);
      text.textContent = "";
      text.append(element("span", {}, read(most)));
      say();
    },
    { kind: "tu-small" },
  );
  const say = () => {
    rest.textContent = length > most ? `… ${sizeText(length - most)} more` : `${sizeText(length)}, all of it`;
    more.hidden = most >= Math.min(length, MAX_SHOWN);
  };
  say();
  const tools = [
    more,
    copyButton("Copy the whole text", whole, "Copy all"),
    button("Save", () => saveText("payload.txt", whole()), {
      kind: "tu-small",
      name: "Save the whole text as a file",
    }),
  ];
  return element("div", { class: "tu-long" }, text, element("div", { class: "tu-tools" }, rest, tools));
}

/** Return keys and values, conversations and documents first; an object among the values is outlined. */
export function fieldsBlock(fields) {
  const entries = Object.entries(fields);
  const shown = entries.slice(0, MAX_MEMBERS).map(([key, value]) => ({
    key,
    value,
    isWide: messagesIn(value) !== null || documentsIn(value) !== null,
  }));
  const inOrder = [...shown.filter((each) => each.isWide), ...shown.filter((each) => !each.isWide)];
  const rows = inOrder.flatMap(({ key, value, isWide }) => {
    const kind = isWide ? "tu-wide" : "";
    return [element("dt", { class: kind }, line(key)), element("dd", { class: kind }, fieldBlock(value))];
  });
  const rest = entries.length - MAX_MEMBERS;
  return [
    element("dl", { class: "tu-fields" }, rows),
    rest > 0 ? note(`… ${amountText(rest, "more field")}`) : null,
  ];
}

/** Return what else was recorded: short values side by side, others below one another. */
function extraBlock(fields) {
  if (!Object.keys(fields).length) return null;
  if (!Object.values(fields).every(isShortValue)) return fieldsBlock(fields);
  const pairs = Object.entries(fields)
    .slice(0, MAX_MEMBERS)
    .map(([key, value]) =>
      element("div", {}, element("dt", {}, line(key)), element("dd", {}, line(String(value)))),
    );
  return element("dl", { class: "tu-facts tu-extra" }, pairs);
}

function isShortValue(value) {
  return typeof value === "string" ? value.length <= 80 : typeof value !== "object";
}

/** Return the turns; of a long conversation the first few and the last, and the others when asked for. */
function conversation(messages) {
  const hidden = Math.max(0, messages.length - MAX_MESSAGES);
  const chat = element("div", { class: "tu-chat" });
  const first = hidden ? messages.slice(0, FIRST_MESSAGES) : messages;
  chat.append(...first.map(turn));
  if (hidden) {
    const middle = messages.slice(FIRST_MESSAGES, FIRST_MESSAGES + hidden);
    const more = button(`Show ${amountText(hidden, "more message")}`, () =>
      more.replaceWith(...middle.map(turn)),
    );
    chat.append(more, ...messages.slice(FIRST_MESSAGES + hidden).map(turn));
  }
  return chat;
}

function turn(message) {
  const kind = ROLES.has(message.role) ? ` tu-role-${message.role}` : "";
  const parts = message.parts.map(({ title, value }) => {
    if (!title) return value === null || value === undefined ? null : fieldBlock(value);
    const detail =
      value === null || value === undefined ? null : isObject(value) ? fieldsBlock(value) : fieldBlock(value);
    return element("div", { class: "tu-part" }, element("div", { class: "tu-call" }, line(title)), detail);
  });
  return element(
    "div",
    { class: `tu-message${kind}` },
    element("div", { class: "tu-role" }, line(message.role) || "no role"),
    parts,
    extraBlock(message.extra),
  );
}

/** Return the tools that a model was offered: names with what they do, their schemas folded. */
function toolList(tools) {
  const items = tools.slice(0, MAX_MEMBERS).map((each) =>
    element(
      "li",
      {},
      element(
        "details",
        { class: "tu-tool" },
        element(
          "summary",
          {},
          element("span", { class: "tu-call" }, line(each.name)),
          element("span", { class: "tu-quiet" }, ` ${line(each.description)}`),
        ),
        outlineBlock(each.schema),
      ),
    ),
  );
  const rest = tools.length - MAX_MEMBERS;
  return [
    element("ul", { class: "tu-tool-list" }, items),
    rest > 0 ? note(`… ${amountText(rest, "more tool")}`) : null,
  ];
}

function documentList(documents) {
  const items = documents
    .slice(0, MAX_MEMBERS)
    .map((each) =>
      element(
        "li",
        { class: "tu-document" },
        element("div", { class: "tu-source" }, line(each.source) || "no source"),
        textBlock(each.text),
        extraBlock(each.extra),
      ),
    );
  const rest = documents.length - MAX_MEMBERS;
  return [
    element("ol", { class: "tu-documents" }, items),
    rest > 0 ? note(`… ${amountText(rest, "more document")}`) : null,
  ];
}
