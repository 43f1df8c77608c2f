// Keeps a list at its end until its reader scrolls up, and again once the reader is back at the end.

import {afterDrawing} from "./frames.js";

const near = 8; // px from the end that count as the end
let settling = 0; // changes of the layout whose frame is not over: in it the browser, and not the reader, moves lists

for (const change of ["toggle", "resize"]) {
  addEventListener(change, () => {
    settling++;
    requestAnimationFrame(() => requestAnimationFrame(() => settling--));
  }, {capture: true});
}

export class Follow {
  following = true;
  #list;
  #changed;
  #top = 0;
  #shape = ""; // the sizes at the last look: if they have changed, it was not the reader who has moved the list

  /** @param {HTMLElement} list that scrolls @param {() => void} [changed] called after each change of following */
  constructor(list, changed) {
    this.#list = list;
    this.#changed = changed;
    list.addEventListener("scroll", () => this.#scrolled(), {passive: true});
    const observer = new ResizeObserver(() => this.stick());
    for (const e of [list, list.querySelector("ol")]) if (e) observer.observe(e);
    this.#set(true);
  }

  /** After a change of the list: to the end, if that is what its reader wants. */
  stick() {
    if (this.following) afterDrawing(this.#toEnd);
  }

  #toEnd = () => {
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#look();
  };

  toEnd() {
    this.#set(true);
    this.stick();
  }

  #scrolled() {
    const {scrollTop, scrollHeight, clientHeight} = this.#list;
    if (scrollHeight - scrollTop - clientHeight <= near) this.#set(true);
    else if (this.following && (this.#shape !== shapeOf(this.#list) || settling > 0)) this.stick();
    else if (scrollTop < this.#top) this.#set(false);
    this.#look();
  }

  #set(following) {
    this.#list.style.overflowAnchor = following ? "none" : "auto"; // the browser keeps what a reader reads in its place
    if (following === this.following) return;
    this.following = following;
    this.#changed?.();
  }

  #look() {
    this.#top = this.#list.scrollTop;
    this.#shape = shapeOf(this.#list);
  }
}

const shapeOf = ({scrollHeight, clientHeight, clientWidth}) => `${scrollHeight} ${clientHeight} ${clientWidth}`;
