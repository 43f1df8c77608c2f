// The page's side of the hub: in a SharedWorker, or, if there is none that works, in the page itself. Both speak by
// the messages that hub.js lists.

const patience = 10_000; // ms in which the worker has to be ready

const handlers = new Map(); // by the first member of a message, and for streams by their name
const backHandlers = [];
let unheard = []; // sent before the hub was ready
let ready = false;
let port = worker() ?? ownHub();

/** A handler for messages that have the member, and, if it is a stream, for that one. */
export const onMessage = (member, handle, name = "") => handlers.set(member + name, handle);

export function send(message) {
  if (!ready) unheard.push(message);
  port.postMessage(message);
}

/** What to do if the page comes back from the cache for back and forward. */
export const onBack = (handle) => backHandlers.push(handle);

function worker() {
  try {
    const worker = new SharedWorker(new URL("worker.js", import.meta.url), {type: "module", name: "sse-demo"});
    worker.onerror = giveUp; // its script does not load
    setTimeout(giveUp, patience);
    return listen(worker.port);
  } catch {
    return null;
  }
}

function giveUp() {
  if (ready) return;
  ready = true;
  port.postMessage({bye: true});
  port.onmessage = null;
  port = ownHub();
  for (const message of unheard) port.postMessage(message);
}

function ownHub() {
  const {port1, port2} = new MessageChannel();
  import("./hub.js").then(({Hub}) => {
    const hub = new Hub();
    let joined = true;
    port2.onmessage = ({data}) => {
      if (data.bye) {
        joined = false;
        return hub.leave(port2);
      }
      if (!joined) hub.join(port2);
      joined = true;
      hub.receive(port2, data);
    };
    hub.join(port2);
  });
  return listen(port1);
}

function listen(port) {
  port.onmessage = ({data}) => {
    if (data.there) return port.postMessage({here: true});
    if (data.ready) {
      ready = true;
      unheard = [];
      return;
    }
    const member = ["stream", "refused", "health", "token", "tokenNeeded"].find((member) => data[member] !== undefined);
    const name = ["stream", "refused"].includes(member) ? data[member] : "";
    handlers.get(member + name)?.(data);
  };
  return port;
}

addEventListener("pagehide", () => port.postMessage({bye: true}));
addEventListener("pageshow", ({persisted}) => {
  if (persisted) for (const handle of backHandlers) handle();
});
