// How long ago the last byte of a stream came, in words and as a bar of three heartbeats. A stream that is overdue is
// marked, and one that stays silent although it is said to be open is reported: something between it and this page has
// ended without a word.

import {setText} from "./dom.js";

const every = 500; // ms
const slack = 1_000; // ms, over a heartbeat, that are no cause for alarm
const patience = 6; // looks in which the stream itself should have noticed three heartbeats of silence

/** @param {HTMLElement} section of the page @param {() => void} onSilent */
export function freshness(section, onSilent) {
  const bar = /** @type {HTMLElement} */ (section.querySelector(".silence"));
  let last = 0; // Unix ms of the last byte, 0 before the first
  let beat = 0; // ms of a heartbeat, 0 if the server names none
  let silent = 0; // looks in a row that found it silent for too long
  setInterval(show, every);
  show();
  return {add};

  /** @param {import("./tap.js").Report | {heartbeat: number}} update */
  function add(update) {
    if ("heartbeat" in update) beat = update.heartbeat;
    if ("head" in update) beat = update.head.heartbeat || 0;
    if ("head" in update || "text" in update) last = Math.max(last, update.at);
  }

  function show() {
    const age = Math.max(0, Date.now() - last);
    const watched = section.dataset.state === "open" && last > 0 && beat > 0;
    const late = watched && age > beat + Math.min(slack, beat / 4);
    const words = last ? `last byte ${Math.floor(age / 1000)} s ago` : "no byte yet";
    setText(section.querySelector(".freshness"), late ? `${words}, overdue: after ${(3 * beat) / 1000} s the connection is replaced` : words);
    section.dataset.fresh = late ? "late" : "";
    const silence = watched ? Math.min(1, age / (3 * beat)) : 0;
    bar.style.setProperty("--silence", silence.toFixed(3));
    setText(bar.querySelector(".silence-label"), beat ? `silence, in heartbeats of ${beat / 1000} s` : "silence");
    silent = watched && age > 3 * beat ? silent + 1 : 0;
    if (silent > patience) onSilent();
  }
}
