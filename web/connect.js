// The page's side of the hub: in a SharedWorker, or, if there is none that works, in the page itself. Both speak by
// the messages that hub.js lists. Either side may go away without a word: a worker is ended by the browser, a tab that
// was frozen for minutes is dropped by the hub. So the tab says now and then that it is there. A hub that does not
// know it lets it join and answers ready, and one that does not answer is replaced.

const every = 2_000; // ms between two signs of life
const patience = 5; // of them without any message from the hub
const firstPatience = 10; // until a worker has begun

const handlers = new Map(); // by what a message is about
const readyHandlers = [];
let ready = false; // this hub knows the tab
let silent = 0; // signs of life that the hub has not answered
let port = sharedHub() ?? ownHub();
setInterval(showLife, every);

/** A handler for messages about a stream, by its name, or about "health" or "token". */
export const onMessage = (about, handle) => handlers.set(about, handle);

/** What to do once a hub is there that knows nothing of this tab: at the beginning, and whenever that happens later. */
export const onReady = (handle) => readyHandlers.push(handle);

/** Sends a message. Before the hub is ready nothing is sent, because what has to be said then is said at ready. */
export function send(message) {
  if (ready) port.postMessage(message);
}

function sharedHub() {
  try {
    const worker = new SharedWorker(new URL("hub.js", import.meta.url), {type: "module", name: "sse-demo"});
    worker.onerror = () => worker.port === port && !ready && replaceHub(); // its script does not load
    return listen(worker.port);
  } catch {
    return null;
  }
}

function ownHub() {
  const {port1, port2} = new MessageChannel();
  import("./hub.js").then(({Hub}) => new Hub().serve(port2));
  return listen(port1);
}

function listen(port) {
  port.onmessage = ({data}) => {
    silent = 0;
    if (data.ready) {
      ready = true;
      for (const handle of readyHandlers) handle();
    }
    handlers.get(data.about)?.(data);
  };
  port.postMessage({here: true});
  return port;
}

function showLife() {
  if (silent++ < (ready ? patience : firstPatience)) port.postMessage({here: true});
  else replaceHub();
}

/** A worker that has worked is worth another one; after one that has never, the hub is the page's own. */
function replaceHub() {
  port.onmessage = null;
  port.postMessage({bye: true});
  const worked = ready;
  ready = false;
  silent = 0;
  port = (worked && sharedHub()) || ownHub();
}

addEventListener("pagehide", () => port.postMessage({bye: true}));
addEventListener("pageshow", showLife); // from the cache for back and forward
document.addEventListener("resume", showLife); // it was frozen
