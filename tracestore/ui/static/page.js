// Where the one-file page begins: its traces are data blocks beside this script.
import { Application } from "./application.js";
import { PageSource } from "./sources.js";

const application = new Application(
  document.getElementById("tracestore"),
  new PageSource(document),
  document,
);
const first = location.hash.slice(1);

application.start().then(() => {
  // The address names the trace that is shown, so the browser's Back leads to the list.
  application.shows = (name) => {
    if (location.hash.slice(1) !== name) location.hash = name;
  };
  addEventListener("hashchange", () => application.goTo(location.hash.slice(1)));
  if (first) application.goTo(first);
});
