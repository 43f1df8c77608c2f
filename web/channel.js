// Publish and subscribe: what arrives on some channels, and a form to publish.

import {element} from "./dom.js";
import {field, fill, showProblem} from "./forms.js";
import {clipped, List} from "./list.js";
import {Panel} from "./panel.js";
import {request} from "./requests.js";
import {isEventId, load, save} from "./storage.js";

const recent = 100; // events for a tab that comes later
const replay = "20"; // events that a new subscription begins with
const key = "sse-demo.channel"; // what a page that is loaded again goes on with
const stored = 60_000; // characters of events that are stored
const most = 32; // channels of a stream
const isChannel = (name) => typeof name === "string" && /^[A-Za-z0-9][\w.:/-]{0,127}$/.test(name);

export function channel() {
  const section = document.querySelector('[data-stream="channel"]');
  const subscribe = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="subscribe"]'));
  const publish = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="publish"]'));
  const names = () => field(subscribe, "name").value.split(/[\s,]+/).filter(Boolean);
  const before = remembered();
  let shown = []; // {id, name, data}, the newest
  let subscribed = []; // channels
  const eventNames = new Set(["message"]);

  const list = new List(section.querySelector(".events"), "Nothing yet. Publish something below, or with curl.", row);
  const settingsOf = (names) => ({query: String(new URLSearchParams([...names.map((name) => ["name", name]), ["replay", replay]])), recent});

  const self = new Panel("channel", {
    settings: () => settingsOf(names()),
    form: subscribe,
    ids: {time: (id) => Number(id.split("-")[0])},
    names: () => [...eventNames],
    reset() {
      shown = [];
      list.clear();
    },
    applied(query) {
      subscribed = query.getAll("name");
      fill(subscribe, {name: subscribed.join(", ")});
    },
    event: show,
  });

  function show(event) {
    shown.push(event);
    if (shown.length > recent) shown.shift();
    if (event.name !== "gap" && event.name !== "busy") eventNames.add(event.name);
    list.add(event);
  }

  publish.addEventListener("submit", async (e) => {
    e.preventDefault();
    const {channel, event, payload} = Object.fromEntries(new FormData(publish));
    const value = valueOf(String(payload));
    if (value.error) return showProblem(publish, {errors: [{field: "payload", message: `payload must be JSON: ${value.error}`}]});
    listenTo(String(channel));
    const {problem, value: receipt} = await request("POST", "/publish", requestOf({channel, ...(event && {event})}, value.json));
    showProblem(publish, problem);
    if (!problem) publish.querySelector(".done").textContent = `published as ${receipt.id}; subscribers here: ${receipt.delivered}`;
  });

  /** Adds a channel that is published to, so that its reader sees what arrives there. */
  function listenTo(name) {
    const wanted = self.wanted.getAll("name");
    if (wanted.includes(name) || !isChannel(name) || self.section.dataset.state === "closed") return;
    self.set(settingsOf([...wanted, name]));
  }

  addEventListener("pagehide", () => save(() => sessionStorage, key, {names: subscribed, shown: newest(shown)}));
  if (before) {
    fill(subscribe, {name: before.names.join(", ")});
    before.shown.forEach(show);
    self.goOnAfter(shown.findLast((event) => event.id)?.id ?? "");
  }
  self.open();
}

/** What an earlier page of this tab has shown, if it is something that can be gone on with. */
function remembered() {
  const {names, shown} = load(() => sessionStorage, key) ?? {};
  if (!Array.isArray(names) || !Array.isArray(shown)) return null;
  if (names.length < 1 || names.length > most || !names.every(isChannel)) return null;
  const isEvent = (event) => (event?.id === "" || isEventId(event?.id)) && typeof event.name === "string" && typeof event.data === "string";
  return {names, shown: shown.filter(isEvent)};
}

/** The newest events, as many as may be stored. */
function newest(events) {
  let size = 0;
  return events.filter(({data}) => data.length < stored).reverse().filter(({data}) => (size += data.length + 100) < stored).reverse();
}

function row({id, name, data}) {
  if (name === "gap" || name === "busy") {
    const notice = element("li", "notice");
    notice.append(element("span", "name", name), element("code", "data", name === "gap" ? `Events are lost: ${data}` : data));
    return notice;
  }
  const item = element("li");
  const time = new Date(Number(id.split("-")[0]));
  const when = element("time", "", Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString("en-GB"));
  when.title = `id ${id}`;
  item.append(when, element("span", "name", name), clipped("data", data));
  return item;
}

/**
 * The request with the payload as it was typed: JSON.parse would change 12345678901234567890, 1.0 and 1e400.
 * @param {object} fields @param {string} payload JSON
 */
const requestOf = (fields, payload) => `${JSON.stringify(fields).slice(0, -1)},"payload":${payload}}`;

/** The text if it is JSON, or as a JSON string if it does not even look like it. @param {string} text */
function valueOf(text) {
  try {
    JSON.parse(text);
    return {json: text};
  } catch (error) {
    return /^\s*(["{[\d-]|$)/.test(text) ? {error: error.message} : {json: JSON.stringify(text)};
  }
}
