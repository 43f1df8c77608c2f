// Keeps a list at its end until its reader scrolls up, and again once the reader is back at the end.

const near = 8; // px from the end that count as the end

export class Follow {
  following = true;
  #list;
  #top = 0;

  /** @param {HTMLElement} list that scrolls @param {() => void} [changed] called after each change of following */
  constructor(list, changed) {
    this.#list = list;
    list.addEventListener("scroll", () => {
      const was = this.following;
      // What makes the list longer or lower moves nothing up; only the reader does.
      if (this.#fromEnd() <= near) this.following = true;
      else if (list.scrollTop < this.#top) this.following = false;
      this.#top = list.scrollTop;
      if (was !== this.following) changed?.();
    }, {passive: true});
    new ResizeObserver(() => this.stick()).observe(list);
  }

  /** After a change of the list: to the end, if that is where its reader is. */
  stick() {
    if (!this.following) return;
    this.#list.scrollTop = this.#list.scrollHeight;
    this.#top = this.#list.scrollTop;
  }

  toEnd() {
    this.following = true;
    this.stick();
  }

  #fromEnd() {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight;
  }
}
