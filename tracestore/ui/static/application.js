// The interface as a whole: the list, or one trace of it, and the keys that work everywhere.
import { visible } from "./words.js";
import { element, fill } from "./elements.js";
import { TraceList } from "./list.js";
import { TraceView } from "./trace.js";

/** Return a trace's id as an address has it; an id may be any text, also one that no URL can hold. */
function addressOf(id) {
  return encodeURIComponent(visible(id));
}

/** What is shown in `root`, of the traces that `source` has; keys are heard by `keys`, the root or the page. */
export class Application {
  constructor(root, source, keys = root) {
    Object.assign(this, { root, source });
    this.shows = () => {}; // told the name of the trace that is shown, "" for the list
    this.list = new TraceList(source, (record) => this.open(record));
    this.view = null;
    source.waits = (isWaiting) => root.classList.toggle("tu-waiting", isWaiting);
    root.classList.add("tracestore-ui");
    root.dataset.lmSuppressShortcuts = "true"; // JupyterLab's own keys are for its cells
    keys.addEventListener("keydown", (event) => this.press(event));
    this.closeMenus = (event) => {
      for (const menu of root.querySelectorAll("details.tu-chooser[open]")) {
        if (!menu.contains(event.target)) menu.open = false;
      }
    };
    document.addEventListener("pointerdown", this.closeMenus);
  }

  /** Show the list, or the only trace there is. */
  async start() {
    await this.list.search();
    this.isAlone =
      !this.list.box.value && this.list.records.length === 1 && !this.list.next && this.source.isFixed;
    if (this.isAlone) await this.open(this.list.records[0]);
    else this.showList();
  }

  /** Show the trace of that name, see addressOf; the list where there is none. */
  async goTo(name) {
    const record = this.list.records.find((each) => addressOf(each.id) === name);
    if (record && this.view?.trace.record.id !== record.id) await this.open(record);
    else if (!record && this.view && !this.isAlone) this.back();
  }

  showList() {
    this.shows("");
    this.view?.close();
    this.view = null;
    const note = this.list.note ? element("p", { class: "tu-note" }, this.list.note) : null;
    fill(this.root, note, this.list.element);
    this.list.rows.measure();
    this.list.rows.reveal(Math.max(0, this.list.rows.active));
  }

  async open(record) {
    const number = (this.number = (this.number ?? 0) + 1);
    const trace = await this.source.open(record.id);
    if (number !== this.number) return;
    this.view?.close();
    const place = this.list.records.findIndex((each) => each.id === record.id);
    if (place >= 0) this.list.rows.active = place;
    this.view = new TraceView(this.source, trace, {
      back: this.isAlone ? null : () => this.back(),
      step: this.isAlone ? null : (step) => this.step(step),
      openTrace: (other) => this.open(other),
      changed: (changed) => this.list.replace(changed),
    });
    fill(this.root, this.view.element);
    this.shows(this.isAlone ? "" : addressOf(trace.record.id));
    this.view.rows.measure();
    if (!this.isAlone) this.view.focus();
  }

  back() {
    this.showList();
    this.list.rows.element.focus({ preventScroll: true });
  }

  step(step) {
    const next = this.list.neighbour(this.view.trace.record.id, step);
    if (next) this.open(next);
  }

  press(event) {
    event.stopPropagation();
    const isTyping = event.target.matches?.("input, textarea");
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && isTyping) event.target.blur();
    else if (event.key === "Escape" && this.view && !this.isAlone) this.back();
    else if (isTyping) return;
    else if (event.key === "/") (this.view ?? this.list).box.focus();
    else if (event.key === "[" && this.view && !this.isAlone) this.step(-1);
    else if (event.key === "]" && this.view && !this.isAlone) this.step(1);
    else return;
    event.preventDefault();
  }

  close() {
    document.removeEventListener("pointerdown", this.closeMenus);
    this.view?.close();
    this.list.close();
  }
}
