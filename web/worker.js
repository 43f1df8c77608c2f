// The hub as a SharedWorker: one for all tabs of the page.

import {Hub} from "./hub.js";

const hub = new Hub();
const askEvery = 20_000; // ms
const patience = 3; // questions without an answer until a tab counts as gone

addEventListener("connect", (/** @type {MessageEvent} */ {ports: [port]}) => {
  let unanswered = 0;
  let joined = false;
  const join = () => {
    if (joined) return;
    joined = true;
    hub.join(port);
  };
  const leave = () => {
    joined = false;
    hub.leave(port);
  };
  port.onmessage = ({data}) => {
    unanswered = 0;
    if (data.bye) return leave();
    join();
    hub.receive(port, data);
  };
  join();
  setInterval(() => { // a tab that crashed says no bye
    if (!joined) return;
    if (unanswered++ < patience) port.postMessage({there: true});
    else leave();
  }, askEvery);
});
