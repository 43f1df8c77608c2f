// The log: lines as they come. One that is a JSON object is taken apart, and its values stay as they are in the line.

import {element} from "./dom.js";
import {field, fill} from "./forms.js";
import {clipped, List} from "./list.js";
import {Panel} from "./panel.js";

const recent = 200; // lines for a tab that comes later
const apart = 40; // members of a line that have an element each; the others share one
const levels = ["trace", "debug", "info", "warn", "error", "fatal", "panic"];

export function log() {
  const form = /** @type {HTMLFormElement} */ (document.querySelector('[data-stream="log"] form'));
  const list = new List(document.querySelector(".lines"), "No line yet. A line that is written to the file comes at once.", row);
  const panel = new Panel("log", {
    settings() {
      const grep = field(form, "grep").value;
      return {query: String(new URLSearchParams({lines: "50", ...(grep && {grep})})), recent};
    },
    form,
    names: () => ["log"],
    reset: () => list.clear(),
    applied: (query) => fill(form, {grep: query.get("grep") ?? ""}),
    event: (event) => list.add(event),
  });
  panel.open();
}

function row({name, data}) {
  if (name === "gap") return element("li", "notice", "Some lines are lost: the file no longer has them.");
  if (name !== "log") return element("li", "notice", `${name}: ${data}`);
  const members = membersOf(data);
  return members?.length ? structured(members) : plain(data);
}

function plain(text) {
  const line = element("li");
  line.dataset.level = levels.find((level) => new RegExp(`\\b${level}(ing)?\\b`, "i").test(text.slice(0, 500))) ?? "none";
  line.append(clipped("message plain", text));
  return line;
}

/** @param {[string, string][]} members of the line */
function structured(members) {
  const line = element("li");
  const first = (name) => members.find(([key]) => key === name);
  const [time, level, message] = ["time", "level", "message"].map(first);
  const clock = time && clockOf(time[1]);
  const known = levels.find((name) => name === level?.[1]);
  line.dataset.level = known ?? "none";
  if (clock) {
    const e = element("time", "", clock);
    e.title = time[1];
    line.append(e, " ");
  }
  if (level) line.append(element("span", "level", level[1]), " ");
  if (message) line.append(clipped("message", message[1]));
  const others = members.filter((member) => member !== level && member !== message && !(clock && member === time));
  for (const [name, value] of others.slice(0, apart)) line.append(" ", element("span", "key", `${name}=`), clipped("value", value));
  const rest = others.slice(apart).map(([name, value]) => `${name}=${value}`);
  if (rest.length > 0) line.append(" ", clipped("value", rest.join(" ")));
  return line;
}

/** The time of day, if a value is a date or a time in Unix ms. @param {string} value */
function clockOf(value) {
  const time = new Date(/^\d{13}$/.test(value) ? Number(value) : /^\d{4}-\d\d-\d\dT/.test(value) ? value : NaN);
  return Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString("en-GB");
}

/**
 * The members of a JSON object, or null if the text is none. The value of a string is its text, and every other value
 * is the JSON that is in the line: JSON.parse would round its numbers.
 * @param {string} text @returns {[string, string][] | null}
 */
function membersOf(text) {
  if (!/^\s*\{/.test(text)) return null;
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  /** @type {[string, string][]} */ const members = [];
  let depth = 0, start = 0, key = "";
  for (const {0: token, index} of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:,]/g)) {
    if (token === "}" || token === "]") depth--;
    const ends = depth === 0 || (depth === 1 && token === ",");
    if (ends && key) members.push([JSON.parse(key), stringOr(text.slice(start, index).trim())]);
    if (ends) key = "";
    if (depth === 1 && token[0] === '"' && !key) key = token;
    if (depth === 1 && token === ":") start = index + 1;
    if (token === "{" || token === "[") depth++;
  }
  return members;
}

/** @param {string} json */
const stringOr = (json) => (json.startsWith('"') ? JSON.parse(json) : json);
