// The wire: what really came, line by line, each in the colour of its kind, and what a line of that kind does.

import {buttonsOf, draw, element, setText, template, visible} from "./dom.js";
import {StickToEnd} from "./list.js";

const keep = 500; // lines
const clip = 400; // characters of a line
const explanations = template("explanations"); // by kind of line

export class Wire {
  #pre;
  #details;
  #explanation;
  #counts = new Map();
  #pending = []; // {kind, text}
  #rest = ""; // the beginning of a line that has not ended
  #end;

  /** @param {HTMLDetailsElement} details @param {boolean} open at the beginning */
  constructor(details, open) {
    this.#details = details;
    this.#pre = details.querySelector("pre");
    this.#explanation = /** @type {HTMLElement} */ (details.querySelector(".explanation"));
    this.#end = new StickToEnd(this.#pre);
    details.open = open;
    details.addEventListener("toggle", () => {
      details.closest("section").dataset.wire = details.open ? "open" : "closed";
      draw(this.#draw);
    });
    for (const chip of buttonsOf(details, ".legend button")) this.#explain(chip);
    this.#pre.addEventListener("mouseover", ({target}) => this.#show(/** @type {HTMLElement} */ (target).dataset.kind ?? /** @type {HTMLElement} */ (target).parentElement?.dataset.kind));
  }

  /** @param {HTMLElement} chip of the legend */
  #explain(chip) {
    const {kind} = chip.dataset;
    const count = element("span", "count", "0");
    chip.append(" ", count);
    this.#counts.set(kind, {number: 0, count});
    for (const event of ["mouseenter", "focus", "click"]) chip.addEventListener(event, () => this.#show(kind));
  }

  #show(kind) {
    const words = kind && explanations.querySelector(`[data-kind="${kind}"]`);
    if (!words) return;
    setText(this.#explanation, words.textContent);
    for (const chip of buttonsOf(this.#details, ".legend button")) chip.ariaPressed = String(chip.dataset.kind === kind);
  }

  /** @param {import("./tap.js").Report} update */
  add(update) {
    if ("sent" in update) this.#addHead("request", [`GET ${update.sent.path}`], {"Last-Event-ID": update.sent.lastEventId});
    if ("head" in update) {
      const {status, type, heartbeat, lastEventId} = update.head;
      this.#addHead("response", [`${status} ${type}`], {"SSE-Heartbeat": heartbeat, "Last-Event-ID": lastEventId});
    }
    if ("text" in update) this.#addText(update.text);
    if ("end" in update) {
      if (this.#rest) this.#addLine("end", `${shorten(this.#rest)} ← cut off here`);
      this.#rest = "";
      if (update.end) this.#addLine("end", update.end);
    }
  }

  clear() {
    this.#pending = [];
    this.#rest = "";
    this.#pre.replaceChildren();
    for (const count of this.#counts.values()) count.number = 0;
    draw(this.#draw);
  }

  #addHead(kind, lines, headers) {
    for (const [name, value] of Object.entries(headers)) if (value) lines.push(`${name}: ${value}`);
    for (const line of lines) this.#addLine(kind, line);
  }

  #addText(text) {
    const lines = (this.#rest + text).split("\n"); // the service ends lines so
    this.#rest = lines.pop();
    for (const line of lines) this.#addLine(kindOf(line), line);
  }

  #addLine(kind, text) {
    const count = this.#counts.get(kind);
    if (count) count.number++;
    this.#pending.push({kind, text: shorten(text)});
    if (this.#pending.length > keep) this.#pending.shift();
    draw(this.#draw);
  }

  #draw = () => {
    if (!this.#details.open) return;
    for (const {number, count} of this.#counts.values()) setText(count, number);
    this.#pre.append(...this.#pending.map(line));
    this.#pending = [];
    while (this.#pre.children.length > keep) this.#pre.firstElementChild.remove();
    return () => this.#end.stick();
  };
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
