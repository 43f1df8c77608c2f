// How long ago the last byte of a stream came, in words and as a bar of three heartbeats.

import {setText} from "./dom.js";

const every = 500; // ms
const slack = 1_000; // ms, over a heartbeat, that are no cause for alarm

const all = new Set();
setInterval(() => all.forEach((freshness) => freshness.show()), every);

export class Freshness {
  #section;
  #text;
  #bar;
  #last = 0; // Unix ms, 0 before the first byte
  #heartbeat = 0; // ms, 0 if the server names none

  /** @param {HTMLElement} section @param {HTMLElement} text @param {HTMLElement} bar */
  constructor(section, text, bar) {
    this.#section = section;
    this.#text = text;
    this.#bar = bar;
    all.add(this);
    this.show();
  }

  /** @param {import("./line.js").Report} update */
  add(update) {
    if ("head" in update) this.#heartbeat = update.head.heartbeat || 0;
    if ("head" in update || "text" in update) this.#last = Math.max(this.#last, update.at);
  }

  show() {
    const age = Math.max(0, Date.now() - this.#last);
    const open = this.#section.dataset.state === "open";
    const late = open && this.#last > 0 && this.#heartbeat > 0 && age > this.#heartbeat + Math.min(slack, this.#heartbeat / 4);
    setText(this.#text, this.#last ? `last byte ${Math.floor(age / 1000)} s ago` : "no byte yet");
    this.#text.dataset.fresh = late ? "late" : "";
    this.#bar.dataset.fresh = late ? "late" : "";
    this.#bar.title = this.#heartbeat ? `Silence. One part is a heartbeat of ${this.#heartbeat / 1000} s; after three the connection is replaced.` : "";
    const silence = open && this.#heartbeat ? Math.min(1, age / (3 * this.#heartbeat)) : 0;
    this.#bar.style.setProperty("--silence", silence.toFixed(3));
  }
}
