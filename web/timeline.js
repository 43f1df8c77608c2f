// The resume timeline: the ids that came as dots, the cuts, the Last-Event-ID that was sent after each, and what came
// at once in answer to it.

import {element, setText} from "./dom.js";
import {draw} from "./frames.js";

const keep = 60; // marks
const atOnce = 400; // ms after the head of a response: what comes then was missed

export class Timeline {
  #list;
  #summary;
  #pending = []; // {kind, text, title}
  #polling = false;
  #cut = ""; // why the connection ended, until the stream is resumed
  #resumed = null; // {lastEventId, at, missed, gap} of the newest response, after a cut

  /** @param {HTMLElement} list @param {HTMLElement} summary */
  constructor(list, summary) {
    this.#list = list;
    this.#summary = summary;
  }

  clear() {
    this.#pending = [];
    this.#cut = "";
    this.#resumed = null;
    this.#list.replaceChildren();
    setText(this.#summary, "No cut yet. Try one of the buttons.");
  }

  add(update) {
    if (update.poll !== undefined) this.#polling = update.poll;
    if (update.event) this.#addEvent(update);
    if (update.sent) this.#lastSent = update.sent.lastEventId;
    if (update.end) this.#addEnd(update);
    if (update.head) this.#addHead(update);
  }

  #lastSent = "";

  #addEvent({event: {id, name}, at, recent}) {
    const resumed = this.#resumed;
    if (name === "gap") {
      if (resumed) resumed.gap = true;
      return this.#mark("gap", "gap", "The service no longer has all that followed this id: events are lost, and it says so");
    }
    const missed = !recent && resumed && at - resumed.at < atOnce;
    if (missed) resumed.missed++;
    this.#mark(missed ? "missed" : "seen", "", missed ? `${id}, which came right after the return` : id || "no id");
  }

  #addEnd({end, clean}) {
    if (this.#polling && clean) return this.#mark("poll", "", "The poll has ended; the next one asks for what follows");
    if (!this.#cut) this.#mark("cut", "cut", end);
    this.#cut = end;
  }

  #addHead({head, at}) {
    if (head.status !== 200) return;
    if (this.#cut) {
      this.#resumed = {lastEventId: this.#lastSent, at, missed: 0, gap: false};
      this.#mark("sent", this.#lastSent ? `Last-Event-ID: ${this.#lastSent}` : "no Last-Event-ID", "What the client has sent to go on");
    }
    this.#cut = "";
  }

  #mark(kind, text, title) {
    this.#pending.push({kind, text, title});
    if (this.#pending.length > keep) this.#pending.shift();
    draw(this.#draw);
  }

  #draw = () => {
    this.#list.append(...this.#pending.map(({kind, text, title}) => {
      const mark = element("li", "", text);
      mark.dataset.mark = kind;
      mark.title = title;
      return mark;
    }));
    this.#pending = [];
    while (this.#list.children.length > keep) this.#list.firstElementChild.remove();
    setText(this.#summary, this.#words());
  };

  #words() {
    if (this.#cut) return `${this.#cut}. The client waits, and will ask for what follows its last id.`;
    if (!this.#resumed) return "No cut yet. Try one of the buttons.";
    const {lastEventId, missed, gap} = this.#resumed;
    const asked = lastEventId ? `Resumed after ${lastEventId}` : "Opened again";
    const came = missed === 0 ? "nothing was missed" : `${missed} missed ${missed === 1 ? "event" : "events"} came at once`;
    return `${asked}: ${came}, ${gap ? "and a gap, by which the service says that some are lost." : "and no gap: none is lost."}`;
  }
}
