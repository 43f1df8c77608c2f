// The resume timeline: the ids that came as dots, the cuts, and the Last-Event-ID that was sent after each. What it
// says of losses is what the page can know: from ids that count, whether numbers are missing; from the head of the
// response, where it begins; from the service, whether there is a gap. More is not said.

import {draw, element, named, setText} from "./dom.js";

const keep = 60; // marks

/**
 * What the ids of a stream say.
 * @typedef {object} Ids
 * @property {boolean} [count] each is one more than the one before
 * @property {(id: string) => number} [time] when an event with this id was published, by the service's clock, Unix ms
 */

export class Timeline {
  #list;
  #summary;
  #ids;
  #pending = []; // {kind, text, title}
  #closed = true;
  #cut; // why the connection has ended, until there is another one
  #cuts;
  #sent; // the Last-Event-ID of the newest request
  #number; // the newest id, if ids count
  #response; // the newest one

  /** @param {HTMLElement} list @param {HTMLElement} summary @param {Ids} ids */
  constructor(list, summary, ids) {
    this.#list = list;
    this.#summary = summary;
    this.#ids = ids;
    this.clear();
  }

  clear() {
    this.#pending = [];
    this.#cuts = 0;
    this.#cut = this.#sent = "";
    this.#begin({lastEventId: "", date: NaN});
    this.#list.replaceChildren();
    draw(this.#draw);
  }

  /** @param {string} state of the stream, as this tab has it */
  setState(state) {
    this.#closed = state === "closed";
    draw(this.#draw);
  }

  add(update) {
    if (update.sent) this.#sent = update.sent.lastEventId;
    if (update.head?.status === 200) this.#begin(update.head);
    if (update.event) this.#addEvent(update.event);
    if (update.end !== undefined) this.#end(update);
  }

  #begin({lastEventId, date}) {
    const sent = this.#sent;
    this.#response = response(sent, lastEventId, date);
    this.#number = Number(sent || lastEventId || NaN);
    if (this.#cut) this.#mark("sent", sent ? `Last-Event-ID: ${named(sent)}` : "no Last-Event-ID", "What the client has sent to go on");
    this.#cut = "";
  }

  #end({end, clean}) {
    if (!end) return; // the page itself has closed it
    if (!this.#cut) this.#mark("cut", clean ? "end" : "cut", end);
    this.#cut = end;
    this.#cuts++;
  }

  #addEvent({id, name}) {
    const response = this.#response;
    if (name === "busy") return;
    if (name === "gap") {
      response.gap = true;
      this.#number = NaN;
      return this.#mark("gap", "gap", "The service no longer has all that followed this id: events are lost, and it says so");
    }
    response.events++;
    this.#count(id);
    const missed = this.#cuts > 0 && this.#ids.time?.(id) < response.date;
    if (missed) response.missed++;
    this.#mark(missed ? "missed" : "seen", "", missed ? `${id}, published before the return` : id || "no id");
  }

  #count(id) {
    if (!this.#ids.count || !id) return;
    const missing = Number(id) - this.#number - 1;
    if (missing > 0) {
      this.#response.missing += missing;
      this.#mark("gap", `${missing} missing`, `After ${this.#number} came ${id}, and no gap was reported`);
    }
    this.#number = Number(id);
  }

  #mark(kind, text, title) {
    this.#pending.push({kind, text, title});
    if (this.#pending.length > keep) this.#pending.shift();
    draw(this.#draw);
  }

  #draw = () => {
    this.#list.append(...this.#pending.map(({kind, text, title}) => {
      const mark = element("li", "", text);
      if (!text) mark.append(element("span", "heard", title));
      mark.dataset.mark = kind;
      mark.title = title;
      return mark;
    }));
    this.#pending = [];
    while (this.#list.children.length > keep) this.#list.firstElementChild.remove();
    setText(this.#summary, this.#words());
  };

  #words() {
    const {after, events, missed, missing, gap} = this.#response;
    if (this.#closed) return `${this.#cut && `${this.#cut}. `}The stream is closed.`;
    if (this.#cut) return `${this.#cut}. The client waits, and will ask for what follows its last id.`;
    if (this.#cuts === 0 && !gap && !missing) return "No cut yet. Try one of the buttons.";
    const begin = after ? `Resumed after ${named(after)}` : this.#cuts > 0 ? "Opened again" : "Opened";
    const came = events === 1 ? "1 event has come since" : `${events || "no"} events have come since`;
    return `${begin}: ${came}${missed ? `, at least ${missed} of them published before the return` : ""}; ${this.#loss()}.`;
  }

  #loss() {
    const {after, position, events, missing, gap} = this.#response;
    if (missing) return `${missing} ${missing === 1 ? "number is" : "numbers are"} missing, and no gap was reported for that`;
    if (gap) return "a gap was reported: events are lost";
    if (after && position && after !== position) return `no gap was reported, but the response begins after ${named(position)}`;
    return this.#ids.count && events > 0 ? "no number is missing" : "no gap was reported";
  }
}

/** What is known of a response: the id that was sent, the place at which it begins, when it began, and what has come. */
const response = (after, position, date) => ({after, position, date, events: 0, missed: 0, missing: 0, gap: false});
