// The one way to make an element, and what buttons do with text. Invariant: recorded text becomes a text node
// or the value of an attribute whose name is a constant; no text is ever read as HTML, script, style or URL.
import { visible } from "./words.js";

/**
 * Return an element. `properties`: class, on (listeners by event), style (values by property), anything else
 * is an attribute; null, undefined and false set none. Children are nodes, or text.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [key, each] of Object.entries(value)) made.style.setProperty(key, each);
    } else made.setAttribute(name, value === true ? "" : visible(String(value)));
  }
  made.append(...nodes(children));
  return made;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== "" && child !== false)
    .map((child) => (child instanceof Node ? child : visible(String(child))));
}

/** Put other children into an element. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/** Return a button; `name` is said where the text alone does not tell. */
export function button(text, act, { name = null, kind = "", title = null, pressed = null } = {}) {
  return element(
    "button",
    {
      type: "button",
      class: `tu-button ${kind}`.trim(),
      title: title ?? name,
      "aria-label": name,
      "aria-pressed": pressed === null ? null : String(pressed),
      on: { click: act },
    },
    text,
  );
}

/** Return a choice; `options` are the values with what is read for them, the first is chosen. */
export function choice(name, options, act) {
  const made = element(
    "select",
    { class: "tu-button", "aria-label": name },
    Object.entries(options).map(([value, text]) => element("option", { value }, text)),
  );
  made.addEventListener("change", () => act(made.value));
  return made;
}

/** Return a button that copies what `read` returns, perhaps later. */
export function copyButton(name, read, text = "Copy") {
  const made = button(
    text,
    async () => {
      const done = await copyText(await read());
      made.textContent = done ? "Copied" : "No access";
      setTimeout(() => (made.textContent = text), 1500);
    },
    { name, kind: "tu-small" },
  );
  return made;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = element("textarea", { class: "tu-unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy"); // where the clipboard asks for a permission
    area.remove();
    return done;
  }
}

/** Have the browser save `text` as a file. */
export function saveText(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = element("a", { download: name.replace(/[^\w.-]+/g, "_") });
  link.href = url;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Return a function that calls `act` once it has not been called for `ms`. */
export function delayed(act, ms) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), ms);
  };
}
