// Publish and subscribe: what arrives on some channels, and a form to publish.

import {appendFollowing, element, panel, post, showProblem} from "./panel.js";

const keep = 100;
const stored = "sse-demo.channel"; // what a page that is loaded again goes on with

export function channel() {
  const section = document.querySelector('[data-stream="channel"]');
  const subscribe = section.querySelector('[data-action="subscribe"]');
  const publish = section.querySelector('[data-action="publish"]');
  const before = JSON.parse(sessionStorage.getItem(stored) ?? "null");
  let shown = []; // {id, name, data}

  const list = (field) => field.value.split(/[\s,]+/).filter(Boolean);
  const request = () => {
    const names = list(subscribe.elements.name);
    const query = new URLSearchParams([...names.map((n) => ["name", n]), ["replay", "20"]]);
    return {query: String(query), names: list(subscribe.elements.events), after: shown.findLast((e) => e.id)?.id ?? ""};
  };
  const remember = () => {
    sessionStorage.setItem(stored, JSON.stringify({shown, names: subscribe.elements.name.value, events: subscribe.elements.events.value}));
  };

  const self = panel("channel", request, {
    reset() {
      shown = [];
      self.find(".events").replaceChildren();
    },
    settings(query, names) {
      subscribe.elements.name.value = new URLSearchParams(query).getAll("name").join(", ");
      subscribe.elements.events.value = names.join(", ");
    },
    event(event) {
      show(event);
      remember();
    },
  });

  function show(event) {
    shown.push(event);
    shown = shown.slice(-keep);
    const item = element("li", event.name === "gap" || event.name === "busy" ? "notice" : "");
    item.append(element("span", "id", event.name === "gap" ? "events are lost" : event.id), element("span", "name", event.name), element("code", "data", event.data));
    appendFollowing(self.find(".events"), item, keep);
  }

  subscribe.addEventListener("submit", (e) => {
    e.preventDefault();
    self.set({...request(), after: ""});
    remember();
  });

  publish.addEventListener("submit", async (e) => {
    e.preventDefault();
    const body = {channel: publish.elements.channel.value, payload: undefined};
    if (publish.elements.event.value) body.event = publish.elements.event.value;
    try {
      body.payload = payloadOf(publish.elements.payload.value);
    } catch (error) {
      showProblem(publish, {errors: [{field: "payload", message: `payload must be JSON: ${error.message}`}]});
      return;
    }
    listenTo(body);
    let problem = null;
    try {
      const response = await post("/publish", body);
      if (!response.ok) problem = await response.json();
      else publish.querySelector("output").textContent = `published; subscribers here: ${(await response.json()).delivered}`;
    } catch {
      problem = {title: "The server cannot be reached."};
    }
    if (problem) publish.querySelector("output").textContent = "";
    showProblem(publish, problem);
  });

  // listenTo adds the channel and the event's name to those that are shown:
  // EventSource gives named events to those only who name them.
  function listenTo({channel: name, event}) {
    const missing = (field, value) => {
      const values = list(field);
      if (!value || values.includes(value) || !/^[\w.:/-]+$/.test(value)) return false;
      field.value = [...values, value].join(", ");
      return true;
    };
    const more = [missing(subscribe.elements.name, name), missing(subscribe.elements.events, event)];
    if (more.some(Boolean) && section.dataset.state !== "closed") self.set({...request(), after: ""});
  }

  if (before) {
    subscribe.elements.name.value = before.names;
    subscribe.elements.events.value = before.events;
    for (const event of before.shown) show(event);
  }
  self.open();
}

// payloadOf reads JSON; a text that does not even look like it stands for itself.
function payloadOf(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (/^\s*(["{[\d-]|$)/.test(text)) throw error;
    return text;
  }
}
