// The resume timeline: the ids that came as dots, the cuts, and the Last-Event-ID that was sent after each. What it
// says of losses is what the page can know: from ids that count, whether numbers are missing; from the head of the
// response, where it begins; from the service, whether there is a gap. More is not said.

import {draw, element, setText} from "./dom.js";

const keep = 60; // marks

/**
 * What the ids of a stream say.
 * @typedef {object} Ids
 * @property {boolean} [count] each is one more than the one before
 * @property {(id: string) => number} [time] when an event with this id was published, by the service's clock, Unix ms
 */

/** @param {HTMLElement} list of the marks @param {HTMLElement} summary @param {Ids} ids */
export function timeline(list, summary, ids) {
  let pending = []; // marks: {kind, text, title}
  let closed = true;
  let cut = ""; // why the connection has ended, until there is another one
  let cuts = 0;
  let sent = ""; // the Last-Event-ID of the newest request
  let number = NaN; // the newest id, if ids count
  let now = response("", "", NaN); // the newest response
  return {add, setState, clear};

  function clear() {
    pending = [];
    cut = sent = "";
    cuts = 0;
    begin({lastEventId: "", date: NaN});
    list.replaceChildren();
    draw(show);
  }

  /** @param {string} state of the stream, as this tab has it */
  function setState(state) {
    closed = state === "closed";
    draw(show);
  }

  function add(update) {
    if (update.sent) sent = update.sent.lastEventId;
    if (update.head?.status === 200) begin(update.head);
    if (update.event) addEvent(update.event);
    if (update.end) end(update); // it is empty if the page itself has closed it
  }

  function begin({lastEventId, date}) {
    now = response(sent, lastEventId, date);
    number = Number(sent || lastEventId || NaN);
    if (cut) mark("sent", sent ? `Last-Event-ID: ${sent}` : "no Last-Event-ID", "What the client has sent to go on");
    cut = "";
  }

  function end({end, clean}) {
    if (!cut) mark("cut", clean ? "end" : "cut", end);
    cut = end;
    cuts++;
  }

  function addEvent({id, name}) {
    if (name === "busy") return;
    if (name === "gap") {
      now.gap = true;
      number = NaN;
      return mark("gap", "gap", "The service no longer has all that followed this id: events are lost, and it says so");
    }
    now.events++;
    count(id);
    const missed = cuts > 0 && ids.time?.(id) < now.date;
    if (missed) now.missed++;
    mark(missed ? "missed" : "seen", "", missed ? `${id}, published before the return` : id || "no id");
  }

  function count(id) {
    if (!ids.count || !id) return;
    const missing = Number(id) - number - 1;
    if (missing > 0) {
      now.missing += missing;
      mark("gap", `${missing} missing`, `After ${number} came ${id}, and no gap was reported`);
    }
    number = Number(id);
  }

  function mark(kind, text, title) {
    pending.push({kind, text, title});
    if (pending.length > keep) pending.shift();
    draw(show);
  }

  function show() {
    list.append(...pending.map(({kind, text, title}) => {
      const mark = element("li", "", text);
      if (!text) mark.append(element("span", "heard", title));
      mark.dataset.mark = kind;
      mark.title = title;
      return mark;
    }));
    pending = [];
    while (list.children.length > keep) list.firstElementChild.remove();
    setText(summary, words());
  }

  function words() {
    const {after, events, missed, missing, gap} = now;
    if (closed) return `${cut && `${cut}. `}The stream is closed.`;
    if (cut) return `${cut}. The client waits, and will ask for what follows its last id.`;
    if (cuts === 0 && !gap && !missing) return "No cut yet. Try one of the buttons.";
    const begin = after ? `Resumed after ${after}` : cuts > 0 ? "Opened again" : "Opened";
    const came = events === 1 ? "1 event has come since" : `${events || "no"} events have come since`;
    return `${begin}: ${came}${missed ? `, at least ${missed} of them published before the return` : ""}; ${loss()}.`;
  }

  function loss() {
    const {after, position, events, missing, gap} = now;
    if (missing) return `${missing} ${missing === 1 ? "number is" : "numbers are"} missing, and no gap was reported for that`;
    if (gap) return "a gap was reported: events are lost";
    if (after && position && after !== position) return `no gap was reported, but the response begins after ${position}`;
    return ids.count && events > 0 ? "no number is missing" : "no gap was reported";
  }
}

/** What is known of a response: the id that was sent, the place at which it begins, when it began, and what has come. */
const response = (after, position, date) => ({after, position, date, events: 0, missed: 0, missing: 0, gap: false});
