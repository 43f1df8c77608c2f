// The page's side of the hub: in a SharedWorker, or, where there is none, in the
// page itself. Both speak by the messages that hub.js lists.

const handlers = {stream: {}, health: [], wire: {}, back: []};
const port = connect();

function connect() {
  let port;
  if (globalThis.SharedWorker) {
    const worker = new SharedWorker(new URL("worker.js", import.meta.url), {type: "module", name: "sse-demo"});
    port = worker.port;
  } else {
    const channel = new MessageChannel();
    port = channel.port1;
    import("./hub.js").then(({Hub}) => {
      const hub = new Hub();
      channel.port2.onmessage = ({data}) => (data.bye ? hub.leave(channel.port2) : hub.receive(channel.port2, data));
      hub.join(channel.port2);
    });
  }
  port.onmessage = ({data}) => {
    if (data.there) port.postMessage({here: true});
    if (data.health !== undefined) for (const handle of handlers.health) handle(data.health);
    if (data.stream) handlers.stream[data.stream]?.(data);
    if (data.wire !== undefined) for (const [name, handle] of Object.entries(handlers.wire)) handle(data, name === data.wire);
  };
  return port;
}

// A page that is left, or put into the back-forward cache, listens no more; one
// that comes back from there does again.
addEventListener("pagehide", () => port.postMessage({bye: true}));
addEventListener("pageshow", ({persisted}) => {
  if (persisted) for (const handle of handlers.back) handle();
});

export const onStream = (name, handle) => (handlers.stream[name] = handle);
export const onHealth = (handle) => handlers.health.push(handle);
export const onWire = (name, handle) => (handlers.wire[name] = handle);

export const onBack = (handle) => handlers.back.push(handle);

export const openShared = (name, request) => port.postMessage({open: name, ...request});
export const setShared = (name, request) => port.postMessage({set: name, ...request});
export const closeShared = (name) => port.postMessage({close: name});
export const watchWire = (name, on) => port.postMessage({wire: name, on});
