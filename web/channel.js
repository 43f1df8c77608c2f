// Publish and subscribe: what arrives on some channels, and a form to publish.

import {element, field} from "./dom.js";
import {clipped, List} from "./list.js";
import {fill, Panel} from "./panel.js";
import {showProblem} from "./problems.js";
import {send} from "./request.js";
import {load, saveSoon} from "./storage.js";

const recent = 100; // events for a tab that comes later
const key = "sse-demo.channel"; // what a page that is loaded again goes on with
const stored = 60_000; // characters of events that are stored

export function channel() {
  const section = document.querySelector('[data-stream="channel"]');
  const subscribe = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="subscribe"]'));
  const publish = /** @type {HTMLFormElement} */ (section.querySelector('[data-action="publish"]'));
  const names = () => field(subscribe, "name").value.split(/[\s,]+/).filter(Boolean);
  const before = load(() => sessionStorage, key);
  let shown = []; // {id, name, data}, the newest
  let subscribed = []; // channels
  const eventNames = new Set(["message"]);

  const list = new List(section.querySelector(".events"), "Nothing yet. Publish something below, or with curl.", row);
  const settings = () => {
    const query = new URLSearchParams([...names().map((name) => ["name", name]), ["replay", "20"]]);
    return {query: String(query), recent};
  };
  const remember = () => saveSoon(() => sessionStorage, key, () => ({names: subscribed, shown: newest(shown)}));

  const self = new Panel("channel", {
    settings,
    form: subscribe,
    names: () => [...eventNames],
    reset() {
      shown = [];
      list.clear();
    },
    applied(query) {
      subscribed = query.getAll("name");
      fill(subscribe, {name: subscribed.join(", ")});
      remember();
    },
    event(event) {
      show(event);
      remember();
    },
  });

  function show(event) {
    shown.push(event);
    if (shown.length > recent) shown.shift();
    if (event.name !== "gap" && event.name !== "busy") eventNames.add(event.name);
    list.add({...event, channels: subscribed});
  }

  subscribe.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set(settings());
  });
  publish.addEventListener("submit", async (e) => {
    e.preventDefault();
    const {channel, event, payload} = Object.fromEntries(new FormData(publish));
    const value = valueOf(String(payload));
    if (value.error) return showProblem(publish, {errors: [{field: "payload", message: `payload must be JSON: ${value.error}`}]});
    listenTo(String(channel));
    const {problem, value: receipt} = await send("POST", "/publish", requestOf({channel, ...(event && {event})}, value.json));
    showProblem(publish, problem);
    if (!problem) publish.querySelector(".done").textContent = `published as ${receipt.id}; subscribers here: ${receipt.delivered}`;
  });

  /** Adds a channel that is published to, so that its reader sees what arrives there. */
  function listenTo(name) {
    if (subscribed.includes(name) || !/^[A-Za-z0-9][\w.:/-]*$/.test(name) || self.section.dataset.state === "closed") return;
    const query = new URLSearchParams([...[...subscribed, name].map((name) => ["name", name]), ["replay", "20"]]);
    self.set({query: String(query), recent});
  }

  if (Array.isArray(before?.names) && Array.isArray(before.shown)) {
    subscribed = before.names.map(String);
    fill(subscribe, {name: subscribed.join(", ")});
    for (const {id, name, data} of before.shown) show({id: String(id), name: String(name), data: String(data)});
    self.goOnAfter(shown.findLast((event) => event.id)?.id ?? "");
  }
  self.open();
}

/** The newest events, as many as may be stored. */
function newest(events) {
  let size = 0;
  return events.filter(({data}) => data.length < stored).reverse().filter(({data}) => (size += data.length + 100) < stored).reverse();
}

function row({id, name, data, channels}) {
  const item = element("li", name === "gap" || name === "busy" ? "notice" : "");
  if (name === "gap") {
    item.append(element("span", "name", "gap"), element("code", "data", `Events are lost: ${data}`));
    return item;
  }
  const time = new Date(Number(id.split("-")[0]));
  const when = element("time", "", Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString("en-GB"));
  when.title = `id ${id}`;
  const from = element("span", "channel", channels.join(" | "));
  if (channels.length > 1) from.title = "An event does not say to which of these channels it was published";
  item.append(when, from, element("span", "name", name), clipped("data", data));
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
