// The log: lines as they come, JSON ones taken apart.

import {element, field} from "./dom.js";
import {clipped, List} from "./list.js";
import {fill, Panel} from "./panel.js";

const recent = 200; // lines for a tab that comes later
const levels = ["trace", "debug", "info", "warn", "error", "fatal", "panic"];

export function log() {
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="log"] form'));
  const list = new List(document.querySelector(".lines"), "No line yet. A line that is written to the file comes at once.", row);
  const settings = () => {
    const query = new URLSearchParams({lines: "50"});
    const grep = field(form, "grep").value;
    if (grep) query.set("grep", grep);
    return {query: String(query), recent};
  };
  const self = new Panel("log", {
    settings,
    form,
    names: () => ["log"],
    reset: () => list.clear(),
    applied: (query) => fill(form, {grep: query.get("grep") ?? ""}),
    event: (event) => list.add(event),
  });
  form.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set(settings());
  });
  self.open();
}

function row({name, data}) {
  if (name === "gap") return element("li", "notice", "Some lines are lost: the file no longer has them.");
  if (name !== "log") return element("li", "notice", `${name}: ${data}`);
  const fields = fieldsOf(data);
  return fields ? structured(fields) : plain(data);
}

function fieldsOf(text) {
  try {
    const fields = JSON.parse(text);
    return fields !== null && typeof fields === "object" && !Array.isArray(fields) ? fields : null;
  } catch {
    return null;
  }
}

function plain(text) {
  const line = element("li");
  line.dataset.level = levels.find((level) => new RegExp(`\\b${level}(ing)?\\b`, "i").test(text.slice(0, 500))) ?? "none";
  line.append(clipped("message plain", text));
  return line;
}

function structured({time, level = "none", message = "", ...rest}) {
  const line = element("li");
  line.dataset.level = levels.includes(level) ? level : "none";
  const when = new Date(time ?? NaN);
  if (!Number.isNaN(when.getTime())) line.append(element("time", "", when.toLocaleTimeString("en-GB")), " ");
  line.append(element("span", "level", String(level)), " ", clipped("message", String(message)));
  for (const [name, value] of Object.entries(rest)) {
    line.append(" ", element("span", "key", `${name}=`), clipped("value", shown(value)));
  }
  return line;
}

function shown(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return value.toFixed(1);
  return typeof value === "string" ? value : JSON.stringify(value);
}
