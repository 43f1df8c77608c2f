// The page: a header with the service's health, and a panel for each stream.

import {channel} from "./channel.js";
import {onMessage} from "./connect.js";
import {element, setText} from "./dom.js";
import {log} from "./log.js";
import {progress} from "./progress.js";
import {ticker} from "./ticker.js";

header();
ticker();
progress();
log();
channel();

/** The health of the service, and how many streams it has open, of whatever kinds it names. */
function header() {
  const staleAfter = 8_000; // ms: polls come every two seconds
  const root = document.querySelector("header");
  const find = (selector) => root.querySelector(selector);
  let newest = null; // {health, at}: the last answer, or none since

  onMessage("health", (message) => {
    newest = message;
    const {health} = message;
    root.dataset.status = health?.status ?? "unreachable";
    setText(find(".status"), health?.status ?? "cannot be reached");
    if (health) {
      setText(find(".broker"), health.broker);
      showCounts(find(".counts"), health.connections);
    }
    showAge();
  });

  function showAge() {
    if (!newest?.at) return;
    const stale = !newest.health || Date.now() - newest.at > staleAfter;
    find(".counts").dataset.stale = String(stale);
    setText(find(".counts-age"), stale ? `as of ${Math.round((Date.now() - newest.at) / 1000)} s ago` : "");
  }
  setInterval(showAge, 1_000);
}

/** @param {HTMLElement} list @param {Record<string, number>} connections */
function showCounts(list, {total, ...rest}) {
  for (const [name, count] of Object.entries({total, ...rest})) {
    let shown = list.querySelector(`[data-count="${CSS.escape(name)}"]`);
    if (!shown) {
      shown = element("b");
      /** @type {HTMLElement} */ (shown).dataset.count = name;
      const pair = element("span", "count-of", name === "total" ? "" : `${name} `);
      pair.append(shown);
      list.append(pair);
    }
    setText(shown, count);
  }
}
