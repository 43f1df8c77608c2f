// The wire: what really came, line by line, each in the colour of its kind, and what a line of that kind does.

import {buttonsOf, draw, element, setText, template, visible} from "./dom.js";
import {stickToEnd} from "./list.js";

const keep = 500; // lines
const clip = 400; // characters of a line
const explanations = template("explanations"); // by kind of line

/** @param {HTMLDetailsElement} details @param {boolean} open at the beginning */
export function wire(details, open) {
  const pre = details.querySelector("pre");
  const explanation = details.querySelector(".explanation");
  const chips = buttonsOf(details, ".legend button");
  const end = stickToEnd(pre);
  let pending = []; // {kind, text}
  let rest = ""; // the beginning of a line that has not ended

  details.open = open;
  details.addEventListener("toggle", () => {
    details.closest("section").dataset.wire = details.open ? "open" : "closed";
    draw(show);
  });
  for (const chip of chips) {
    const {kind} = chip.dataset;
    for (const event of ["mouseenter", "focus", "click"]) chip.addEventListener(event, () => explain(kind));
  }
  pre.addEventListener("mouseover", ({target}) => explain(/** @type {HTMLElement} */ (/** @type {HTMLElement} */ (target).closest("[data-kind]"))?.dataset.kind));
  return {add, clear};

  function explain(kind) {
    const words = kind && explanations.querySelector(`[data-kind="${kind}"]`);
    if (!words) return;
    setText(explanation, words.textContent);
    for (const chip of chips) chip.ariaPressed = String(chip.dataset.kind === kind);
  }

  /** @param {import("./tap.js").Report} update */
  function add(update) {
    if ("sent" in update) addHead("request", `GET ${update.sent.path}`, {"Last-Event-ID": update.sent.lastEventId});
    if ("head" in update) {
      const {status, type, heartbeat, lastEventId} = update.head;
      addHead("response", `${status} ${type}`, {"SSE-Heartbeat": heartbeat, "Last-Event-ID": lastEventId});
    }
    if ("text" in update) addText(update.text);
    if ("end" in update) {
      if (rest) addLine("end", `${shorten(rest)} ← cut off here`);
      rest = "";
      if (update.end) addLine("end", update.end);
    }
  }

  function clear() {
    pending = [];
    rest = "";
    pre.replaceChildren();
  }

  function addHead(kind, first, headers) {
    addLine(kind, first);
    for (const [name, value] of Object.entries(headers)) if (value) addLine(kind, `${name}: ${value}`);
  }

  function addText(text) {
    const lines = (rest + text).split("\n"); // the service ends lines so
    rest = lines.pop();
    for (const line of lines) addLine(kindOf(line), line);
  }

  function addLine(kind, text) {
    pending.push({kind, text: shorten(text)});
    if (pending.length > keep) pending.shift();
    draw(show);
  }

  function show() {
    if (!details.open) return;
    pre.append(...pending.map(line));
    pending = [];
    while (pre.children.length > keep) pre.firstElementChild.remove();
    return () => end.stick();
  }
}

/** A line as an element: the field's name and its value apart. */
function line({kind, text}) {
  const e = element("span", "line");
  e.dataset.kind = kind;
  const colon = text.indexOf(":");
  if (kind === "blank" || kind === "end" || colon < 0) setText(e, text);
  else e.append(element("b", "", text.slice(0, colon + 1)), visible(text.slice(colon + 1)));
  e.append("\n");
  return e;
}

/** @param {string} line */
function kindOf(line) {
  if (line === "") return "blank";
  const name = line.split(":", 1)[0];
  return name === "" ? "comment" : ["id", "event", "data", "retry"].includes(name) ? name : "other";
}

const shorten = (text) => (text.length > clip ? `${text.slice(0, clip)}… (${text.length - clip} more characters)` : text);
