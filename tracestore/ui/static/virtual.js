// A list of rows of one height of which only those in view are in the document, however many there are.
// Knows how many rows there are and how to make one, not what is in it; the style sheet says how high one is. The place that the keyboard is at
// is said by aria-activedescendant, so the list itself keeps the focus.
import { element } from "./elements.js";

const MARGIN_ROWS = 12;
let lists = 0;

/** A scrolling list. `make(place)` returns a row's element, `act(place)` is what Enter or a click does. */
export class VirtualList {
  constructor({ label, role, rowRole = "row", make, act, move = null, nearEnd = null }) {
    Object.assign(this, { make, act, move, nearEnd, rowRole });
    this.name = `tu-list-${(lists += 1)}`;
    this.count = 0;
    this.active = -1;
    this.shown = [0, 0];
    this.body = element("div", { class: "tu-rows", role: "presentation" });
    this.element = element(
      "div",
      {
        class: "tu-scroll",
        tabindex: "0",
        role,
        "aria-label": label,
        on: {
          scroll: () => this.draw(),
          keydown: (event) => this.press(event),
          click: (event) => this.click(event),
          focus: () => this.active < 0 && this.count && this.go(0, false),
        },
      },
      this.body,
    );
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.element);
  }

  /** Have `count` rows and draw them anew. */
  reset(count, active = -1) {
    this.count = count;
    this.active = Math.min(active, count - 1);
    this.element.setAttribute("aria-rowcount", String(count));
    this.measure();
  }

  measure() {
    this.height = parseFloat(getComputedStyle(this.element).getPropertyValue("--tu-row")) || 28;
    this.body.style.height = `${this.count * this.height}px`;
    this.draw(true);
  }

  draw(isNew = false) {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.height) - MARGIN_ROWS);
    const last = Math.min(this.count, Math.ceil((scrollTop + clientHeight) / this.height) + MARGIN_ROWS);
    if (!isNew && first === this.shown[0] && last === this.shown[1]) return;
    this.shown = [first, last];
    this.body.replaceChildren(...Array.from({ length: last - first }, (_, index) => this.row(first + index)));
    this.mark();
    if (this.nearEnd && last >= this.count - MARGIN_ROWS) this.nearEnd();
  }

  row(place) {
    const row = this.make(place);
    row.id = `${this.name}-${place}`;
    row.setAttribute("role", this.rowRole);
    row.setAttribute("aria-rowindex", String(place + 1));
    row.style.top = `${place * this.height}px`;
    row.dataset.place = String(place);
    return row;
  }

  mark() {
    for (const row of this.body.children) {
      const isActive = Number(row.dataset.place) === this.active;
      row.classList.toggle("tu-active", isActive);
      row.setAttribute("aria-selected", String(isActive));
    }
    const isDrawn = this.active >= this.shown[0] && this.active < this.shown[1];
    if (isDrawn) this.element.setAttribute("aria-activedescendant", `${this.name}-${this.active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** Make a row the active one and bring it into view. */
  go(place, isShown = true) {
    if (!this.count) return;
    this.active = Math.max(0, Math.min(this.count - 1, place));
    if (isShown) this.reveal(this.active);
    this.mark();
    this.move?.(this.active);
  }

  reveal(place) {
    const top = place * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight) {
      this.element.scrollTop = top + this.height - clientHeight;
    }
    this.draw();
  }

  press(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    if (event.altKey || event.ctrlKey || event.metaKey || event.target !== this.element) return;
    if (event.key in steps) this.go(this.active + steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.go(this.count - 1);
    else if (event.key === "Enter" && this.active >= 0) this.act(this.active, event);
    else return;
    event.preventDefault();
  }

  click(event) {
    const row = event.target.closest("[data-place]");
    if (!row || event.target.closest("button")) return;
    this.go(Number(row.dataset.place), false);
    this.act(Number(row.dataset.place), event);
  }

  close() {
    this.observer.disconnect();
  }
}
