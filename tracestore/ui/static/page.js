// Where the one-file page begins: its traces are data blocks beside this script.
import { Application } from "./application.js";
import { PageSource } from "./sources.js";

new Application(document.getElementById("tracestore"), new PageSource(document), document).start();
