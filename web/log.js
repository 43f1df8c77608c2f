// The log: lines as they come, JSON ones taken apart.

import {appendFollowing, element, panel} from "./panel.js";

const keep = 500;
const levels = ["trace", "debug", "info", "warn", "error", "fatal", "panic"];

export function log() {
  const form = document.querySelector('[data-stream="log"] form');
  const request = () => {
    const query = new URLSearchParams({lines: "50"});
    if (form.elements.grep.value) query.set("grep", form.elements.grep.value);
    return {query: String(query), names: ["log"], after: ""};
  };
  const self = panel("log", request, {
    reset: () => self.find(".lines").replaceChildren(),
    settings: (query) => (form.elements.grep.value = new URLSearchParams(query).get("grep") ?? ""),
    event({name, data}) {
      const line = name === "log" ? lineOf(data) : element("li", "notice", `${name}: ${data}`);
      appendFollowing(self.find(".lines"), line, keep);
    },
  });
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set(request());
  });
  self.open();
}

function lineOf(text) {
  let fields;
  try {
    fields = JSON.parse(text);
  } catch {
    fields = null;
  }
  const line = element("li");
  if (fields === null || typeof fields !== "object" || Array.isArray(fields)) {
    const level = levels.find((l) => new RegExp(`\\b${l}(ing)?\\b`, "i").test(text)) ?? "none";
    line.dataset.level = level;
    line.append(element("span", "message", text));
    return line;
  }
  const {time, level = "none", message = "", ...rest} = fields;
  line.dataset.level = levels.includes(level) ? level : "none";
  const when = new Date(time);
  if (!Number.isNaN(when.getTime())) line.append(element("time", "", when.toLocaleTimeString("en-GB")), " ");
  line.append(element("span", "level", String(level)), " ", element("span", "message", String(message)));
  for (const [name, value] of Object.entries(rest)) {
    const shown = typeof value === "number" && !Number.isInteger(value) ? value.toFixed(1) : typeof value === "string" ? value : JSON.stringify(value);
    line.append(" ", element("span", "key", name + "="), element("span", "value", shown));
  }
  return line;
}
