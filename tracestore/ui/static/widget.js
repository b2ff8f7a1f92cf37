// Where the widget begins, by anywidget's rules: https://anywidget.dev/en/afm/. The kernel has the traces.
import { Application } from "./application.js";
import { KernelSource } from "./sources.js";

export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    root.style.setProperty("--tu-height", `${model.get("height_px")}px`);
    const source = new KernelSource(model);
    const application = new Application(root, source);
    application.start();
    return () => {
      application.close();
      source.close();
    };
  },
};
