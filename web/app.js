// The page: a header with the service's health, and four panels.

import {channel} from "./channel.js";
import {onHealth} from "./client.js";
import {log} from "./log.js";
import {progress} from "./progress.js";
import {ticker} from "./ticker.js";

const header = document.querySelector("header");
const set = (selector, text) => (header.querySelector(selector).textContent = text);

onHealth((health) => {
  header.dataset.status = health?.status ?? "unreachable";
  set(".status", health?.status ?? "cannot be reached");
  if (!health) return;
  set(".broker", health.broker);
  for (const [name, count] of Object.entries(health.connections)) set(`[data-count="${name}"]`, count);
});

const protocol = performance.getEntriesByType("navigation")[0]?.nextHopProtocol;
set(".protocol", {"h2": "HTTP/2", "h2c": "HTTP/2", "h3": "HTTP/3", "http/1.1": "HTTP/1.1"}[protocol] ?? protocol ?? "unknown");

ticker();
log();
progress();
channel();
