// The text of an answer, piece by piece.

import {draw} from "./frames.js";

export class Answer {
  #output;
  #pending = "";
  count = 0;

  /** @param {HTMLElement} output */
  constructor(output) {
    this.#output = output;
  }

  get begun() { return this.count > 0; }

  clear() {
    this.count = 0;
    this.#pending = "";
    this.#output.textContent = "";
  }

  /** @param {{index: number, text: string}} piece */
  add({index, text}) {
    if (index === 0) this.clear();
    this.count = index + 1;
    this.#pending += text;
    draw(this.#draw);
  }

  #draw = () => {
    if (!this.#pending) return;
    this.#output.append(this.#pending);
    this.#output.normalize();
    this.#pending = "";
    this.#output.scrollTop = this.#output.scrollHeight;
  };
}
