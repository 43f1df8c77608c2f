// A list of what comes: it sticks to the newest, can be paused, and says how much its reader has not seen. The number
// of rows is bounded, in the page as well as in what waits.

import {buttonsOf, draw, element, setText, template} from "./dom.js";

const keep = 200; // rows
const clip = 600; // characters of a text, until the reader asks for all
const near = 8; // px from the end that count as the end

export class List {
  #rows;
  #row;
  #end;
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
    log.after(template("list-bar").cloneNode(true));
    [this.#pause, this.#newest] = buttonsOf(log.nextElementSibling, "button");
    this.#end = stickToEnd(log, () => this.#seeIfSticking());
    this.#pause.addEventListener("click", () => this.#setPaused(!this.#paused));
    this.#newest.addEventListener("click", () => {
      this.#end.go();
      this.#setPaused(false);
    });
  }

  add(item) {
    this.#pending.push(item);
    if (this.#pending.length > keep) this.#pending.shift();
    if (this.#paused || !this.#end.sticking) this.#unseen++;
    draw(this.#draw);
  }

  clear() {
    this.#pending = [];
    this.#unseen = 0;
    this.#rows.replaceChildren();
    this.#end.go();
    draw(this.#draw);
  }

  #draw = () => {
    this.#newest.hidden = this.#unseen === 0;
    setText(this.#newest, `↓ ${this.#unseen} new`);
    const {sticking} = this.#end;
    if (this.#paused || (!sticking && this.#rows.children.length >= keep)) return;
    this.#rows.append(...this.#pending.map(this.#row));
    this.#pending = [];
    while (sticking && this.#rows.children.length > keep) this.#rows.firstElementChild.remove(); // else a reader's rows would move
    return () => this.#end.stick();
  };

  #setPaused(paused) {
    this.#paused = paused;
    this.#pause.setAttribute("aria-pressed", String(paused));
    this.#seeIfSticking();
  }

  #seeIfSticking() {
    if (!this.#paused && this.#end.sticking) this.#unseen = 0;
    draw(this.#draw);
  }
}

/**
 * Keeps what scrolls at its end until its reader scrolls up, and again once the reader is back at the end.
 * @param {HTMLElement} box that scrolls @param {() => void} [changed] called after each change of sticking
 */
export function stickToEnd(box, changed) {
  let sticking = true;
  let top = 0; // where the box was last
  box.style.overflowAnchor = "none";
  box.addEventListener("scroll", scrolled, {passive: true});
  const observer = new ResizeObserver(stick);
  for (const e of [box, box.querySelector("ol")]) if (e) observer.observe(e);
  return {stick, go, get sticking() { return sticking; }};

  /** After a change of what scrolls: to the end, if that is what its reader wants. */
  function stick() {
    if (!sticking) return;
    box.scrollTop = box.scrollHeight;
    top = box.scrollTop;
  }

  function go() {
    set(true);
    stick();
  }

  function scrolled() {
    const {scrollTop, scrollHeight, clientHeight} = box;
    if (scrollHeight - scrollTop - clientHeight <= near) set(true);
    else if (scrollTop < top) set(false);
    top = scrollTop;
  }

  function set(wanted) {
    if (wanted === sticking) return;
    sticking = wanted;
    box.style.overflowAnchor = sticking ? "none" : "auto"; // the browser keeps what a reader reads in its place
    changed?.();
  }
}

/** A text that may be long: its beginning, and a button that shows all of it. @param {string} className @param {string} text */
export function clipped(className, text) {
  const e = element("code", className, text.length > clip ? text.slice(0, clip) + "…" : text);
  if (text.length <= clip) return e;
  const all = element("button", "quiet small", `show all (${(new Blob([text]).size / 1000).toFixed(1)} kB)`);
  all.setAttribute("type", "button");
  all.addEventListener("click", () => {
    setText(e, text);
    all.remove();
  });
  const both = element("span", "clipped");
  both.append(e, all);
  return both;
}
