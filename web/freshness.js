// How long ago the last byte of a stream came, in words and as a bar of three heartbeats. A stream that is overdue is
// marked, and one that stays silent although it is said to be open is reported: something between it and this page has
// ended without a word.

import {setText} from "./dom.js";

const every = 500; // ms
const slack = 1_000; // ms, over a heartbeat, that are no cause for alarm
const patience = 6; // looks in which the stream itself should have noticed three heartbeats of silence

const all = new Set();
setInterval(() => all.forEach((freshness) => freshness.show()), every);

export class Freshness {
  #section;
  #text;
  #bar;
  #onSilent;
  #last = 0; // Unix ms, 0 before the first byte
  #heartbeat = 0; // ms, 0 if the server names none
  #silent = 0; // looks in a row that found it silent for too long

  /** @param {HTMLElement} section of the page @param {() => void} onSilent */
  constructor(section, onSilent) {
    this.#section = section;
    this.#text = section.querySelector(".freshness");
    this.#bar = /** @type {HTMLElement} */ (section.querySelector(".silence"));
    this.#onSilent = onSilent;
    all.add(this);
    this.show();
  }

  /** @param {import("./tap.js").Report | {heartbeat: number}} update */
  add(update) {
    if ("heartbeat" in update) this.#heartbeat = update.heartbeat;
    if ("head" in update) this.#heartbeat = update.head.heartbeat || 0;
    if ("head" in update || "text" in update) this.#last = Math.max(this.#last, update.at);
  }

  show() {
    const age = Math.max(0, Date.now() - this.#last);
    const beat = this.#heartbeat;
    const watched = this.#section.dataset.state === "open" && this.#last > 0 && beat > 0;
    const late = watched && age > beat + Math.min(slack, beat / 4);
    const last = this.#last ? `last byte ${Math.floor(age / 1000)} s ago` : "no byte yet";
    setText(this.#text, late ? `${last}, overdue: after ${(3 * beat) / 1000} s the connection is replaced` : last);
    this.#section.dataset.fresh = late ? "late" : "";
    const silence = watched ? Math.min(1, age / (3 * beat)) : 0;
    this.#bar.style.setProperty("--silence", silence.toFixed(3));
    setText(this.#bar.querySelector(".silence-label"), beat ? `silence, in heartbeats of ${beat / 1000} s` : "silence");
    this.#silent = watched && age > 3 * beat ? this.#silent + 1 : 0;
    if (this.#silent > patience) this.#onSilent();
  }
}
