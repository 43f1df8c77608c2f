// The wire: what really came, line by line, each in the colour of its kind, and what a line of that kind does.

import {buttonsOf, element, setText} from "./dom.js";
import {Follow} from "./follow.js";
import {draw} from "./frames.js";

const keep = 500; // lines
const clip = 400; // characters of a line

const kinds = {
  id: "id: where the stream is. After a cut the client sends the newest one back as Last-Event-ID, and the server goes on right after it.",
  event: "event: the name of the event, as for addEventListener. Without this line it is message.",
  data: "data: the content, always text. Several data lines make one event, joined by line feeds.",
  retry: "retry: the milliseconds to wait before reconnecting. Each connection is given other ones, so that not all clients return at once.",
  comment: "A line that begins with a colon is a comment. Clients ignore it, but it proves that the connection is alive.",
  blank: "An empty line ends the event. Only now is it dispatched, and only now does its id count.",
  request: "What the client has asked for. Last-Event-ID is the id of the newest event that it has.",
  response: "How the service has answered. SSE-Heartbeat says after how much silence a comment comes, Last-Event-ID after which event the stream begins.",
  end: "The connection has ended. A client that is no longer served reconnects, after the time that retry names.",
};

export class Wire {
  #pre;
  #details;
  #explanation;
  #counts = new Map();
  #pending = []; // {kind, text}
  #rest = ""; // the beginning of a line that has not ended
  #afterCR = false;
  #follow;

  /** @param {HTMLDetailsElement} details */
  constructor(details) {
    this.#details = details;
    this.#pre = details.querySelector("pre");
    this.#explanation = /** @type {HTMLElement} */ (details.querySelector(".explanation"));
    this.#follow = new Follow(this.#pre);
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
    this.#counts.set(kind, {number: 0, chip, count});
    for (const event of ["mouseenter", "focus", "click"]) chip.addEventListener(event, () => this.#show(kind));
  }

  #show(kind) {
    if (!kind || !kinds[kind]) return;
    setText(this.#explanation, kinds[kind]);
    this.#explanation.dataset.kind = kind;
  }

  /** @param {import("./line.js").Report} update */
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
      this.#afterCR = false;
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
    if (text === "") return;
    const lines = (this.#afterCR ? text.replace(/^\n/, "") : text).split(/\r\n|\r|\n/);
    this.#afterCR = text.endsWith("\r");
    lines[0] = this.#rest + lines[0];
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
    for (const {number, chip, count} of this.#counts.values()) {
      if (count.textContent === String(number)) continue;
      count.textContent = String(number);
      if (chip.dataset.kind === "comment" && number > 0) this.#beat(chip);
    }
    this.#pre.append(...this.#pending.map(line));
    this.#pending = [];
    while (this.#pre.children.length > keep) this.#pre.firstElementChild.remove();
    this.#follow.stick();
  };

  /** A heartbeat ticks visibly: its animation begins anew. */
  #beat(chip) {
    chip.classList.remove("beat");
    void chip.offsetWidth;
    chip.classList.add("beat");
  }
}

/** A line as an element: the field's name and its value apart. */
function line({kind, text}) {
  const e = element("span", "line");
  e.dataset.kind = kind;
  const colon = text.indexOf(":");
  if (kind === "blank" || kind === "end" || colon < 0) e.textContent = text;
  else e.append(element("b", "", text.slice(0, colon + 1)), text.slice(colon + 1));
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
