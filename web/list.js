// A list of what comes: it follows the newest, can be paused, and says how much its reader has not seen. The number
// of rows is bounded, in the page as well as in what waits.

import {buttonsOf, element, fromTemplate, setText} from "./dom.js";
import {Follow} from "./follow.js";
import {draw} from "./frames.js";

const keep = 200; // rows
const keepForReader = 1_000; // rows, so that nothing moves under a reader who has scrolled up
const clip = 600; // characters of a text, until the reader asks for all

export class List {
  #rows;
  #row;
  #follow;
  #paused = false;
  #pending = []; // not in the page yet
  #unseen = 0;
  #pause;
  #newest;

  /**
   * @param {HTMLElement} log with role=log, that scrolls a list @param {string} empty said while there are no rows
   * @param {(item: any) => Element} row makes the row of an item
   */
  constructor(log, empty, row) {
    this.#rows = log.querySelector("ol");
    this.#row = row;
    this.#rows.dataset.empty = empty;
    log.after(fromTemplate("list-bar"));
    const bar = log.nextElementSibling;
    [this.#pause, this.#newest] = buttonsOf(bar, "button");
    this.#follow = new Follow(log, () => this.#seeIfFollowing());
    this.#pause.addEventListener("click", () => this.#setPaused(!this.#paused));
    this.#newest.addEventListener("click", () => {
      this.#follow.toEnd();
      this.#setPaused(false);
    });
  }

  add(item) {
    this.#pending.push(item);
    if (this.#pending.length > keep) this.#pending.shift();
    if (this.#paused || !this.#follow.following) this.#unseen++;
    draw(this.#draw);
  }

  clear() {
    this.#pending = [];
    this.#unseen = 0;
    this.#rows.replaceChildren();
    this.#follow.toEnd();
    draw(this.#draw);
  }

  #draw = () => {
    const room = this.#follow.following || this.#rows.children.length < keepForReader;
    if (!this.#paused && room && this.#pending.length > 0) {
      this.#rows.append(...this.#pending.map(this.#row));
      this.#pending = [];
      const most = this.#follow.following ? keep : keepForReader + keep;
      while (this.#rows.children.length > most) this.#rows.firstElementChild.remove();
      this.#follow.stick();
    }
    this.#newest.hidden = this.#unseen === 0;
    setText(this.#newest, `↓ ${this.#unseen} new`);
  };

  #setPaused(paused) {
    this.#paused = paused;
    this.#pause.setAttribute("aria-pressed", String(paused));
    this.#seeIfFollowing();
  }

  #seeIfFollowing() {
    if (!this.#paused && this.#follow.following) this.#unseen = 0;
    draw(this.#draw);
  }
}

/** A text that may be long: its beginning, and a button that shows all of it. @param {string} className @param {string} text */
export function clipped(className, text) {
  const e = element("code", className, text.length > clip ? text.slice(0, clip) + "…" : text);
  if (text.length <= clip) return e;
  const all = element("button", "quiet small", `show all (${size(text)})`);
  all.setAttribute("type", "button");
  all.addEventListener("click", () => {
    e.textContent = text;
    all.remove();
  });
  const both = element("span", "clipped");
  both.append(e, all);
  return both;
}

const size = (text) => `${(new Blob([text]).size / 1000).toFixed(1)} kB`;
