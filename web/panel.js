// What all panels have: state, counters, the curl line, the toggle, the wire.

import {closeShared, onBack, onStream, onWire, openShared, setShared, watchWire} from "./client.js";

// panel wires up the section of a stream. request() returns {query, names, after}
// to open it with; on holds the handlers:
//   event({id, name, data}), reset(), settings(query, names), problem(problem)
export function panel(name, request, on) {
  const section = document.querySelector(`section[data-stream="${name}"]`);
  const find = (selector) => section.querySelector(selector);
  section.prepend(document.getElementById("panel-head").content.cloneNode(true));
  find("h2").textContent = section.dataset.title;
  section.append(document.getElementById("panel-foot").content.cloneNode(true));
  const toggle = find('[data-action="toggle"]');
  const wire = find(".wire");
  let received = 0;
  let lastId = ""; // where this tab goes on when it opens the stream again
  let listening = false;

  const setState = (state) => {
    section.dataset.state = state;
    find(".state").textContent = state;
    toggle.textContent = listening && state !== "closed" ? "Close" : "Open";
    toggle.setAttribute("aria-label", `${toggle.textContent} the ${section.dataset.title} stream`);
  };
  const showQuery = (query) => {
    find(".curl").textContent = `curl -N '${location.origin}/stream/${name}${query ? "?" + query : ""}'`;
  };

  onStream(name, (message) => {
    if (!listening) return; // what was under way when this tab closed the stream
    if (message.query !== undefined) {
      showQuery(message.query);
      on.settings?.(message.query, message.names);
      showProblem(section, null);
      if (message.reset) {
        lastId = "";
        on.reset?.();
      }
    }
    if (message.event) {
      lastId = message.event.id;
      find(".received").textContent = ++received;
      find(".last-id").textContent = message.event.id || "none";
      on.event(message.event);
    }
    if (message.state) setState(message.state);
    if (message.problem) showProblem(section, message.problem);
  });

  onWire(name, ({wire: watched, text}, mine) => {
    const pre = find(".wire pre");
    if (!mine && wire.open && watched !== name) wire.open = false; // another panel's, or another tab's
    if (!mine || text === undefined) return;
    const follows = pre.scrollHeight - pre.scrollTop - pre.clientHeight < 40;
    pre.append(text);
    while (pre.textContent.length > 12_000) pre.firstChild.remove();
    if (follows) pre.scrollTop = pre.scrollHeight;
  });
  wire.addEventListener("toggle", () => {
    find(".wire pre").replaceChildren();
    watchWire(name, wire.open);
  });

  const open = () => {
    listening = true;
    setState("connecting");
    const {after, ...rest} = request();
    openShared(name, {...rest, after: lastId || after});
  };
  onBack(() => listening && open());
  const close = () => {
    closeShared(name);
    listening = false;
    setState("closed");
  };
  toggle.addEventListener("click", () => (section.dataset.state === "closed" ? open() : close()));
  setState("closed");
  showQuery(request()?.query ?? "");
  return {
    section,
    find,
    open,
    set(settings) {
      listening = true;
      setShared(name, settings);
    },
  };
}

// showProblem puts the server's own words beside the field that they are about.
export function showProblem(root, problem) {
  for (const output of root.querySelectorAll(".problem")) {
    const owner = output.closest("[data-own-problems]");
    if (owner && owner !== root) continue;
    const field = output.dataset.for;
    const error = problem?.errors?.find((e) => e.field === field);
    const general = problem && field === "" && !problem.errors ? problem.detail || problem.title : "";
    output.textContent = error?.message ?? general;
    root.querySelector(`[name="${field}"]`)?.setAttribute("aria-invalid", String(Boolean(error)));
  }
}

// element makes an element with a class and a text, never with markup.
export function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  if (text !== undefined) e.textContent = text;
  return e;
}

// appendFollowing adds a node to a list and follows it unless the reader scrolled up.
export function appendFollowing(list, node, keep) {
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(node);
  while (list.children.length > keep) list.firstElementChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

export const post = (path, body) =>
  fetch(path, {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
