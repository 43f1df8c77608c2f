// The exact lines for the stream that a panel shows, to be copied: for curl, EventSource, eventstream.js and Go. They are
// templates of index.html. There $url, $id, $name and $until stand for what is shown now, [id|…] is there only if there
// is an id, as are [token|…] and [until|…], and [name|…] is there once for each name of an event.

import {buttonsOf, setText, template} from "./dom.js";
import {hasToken} from "./requests.js";

/** @typedef {{url: string, lastEventId: string, names: string[], until?: string}} Shown */

/** @param {string} kind @param {Shown} shown */
function linesOf(kind, {url, lastEventId, names, until}) {
  const there = {id: lastEventId, token: hasToken(), until};
  return template(`copy-${kind}`).textContent.trim()
    .replace(/\[name\|([^\]]*)\]/g, (_, part) => names.map((name) => part.replace("$name", () => JSON.stringify(name))).join(""))
    .replace(/\[(\w+)\|([^\]]*)\]/g, (_, what, part) => (there[what] ? part : ""))
    .replaceAll("$url", url).replaceAll("$id", lastEventId).replaceAll("$until", until);
}

/**
 * Fills the part of a panel that shows and copies them.
 * @param {HTMLElement} root @param {() => Shown} shown what the panel shows now
 * @returns {() => void} to be called if that has changed
 */
export function copyButtons(root, shown) {
  const code = root.querySelector(".code");
  const resume = /** @type {HTMLInputElement} */ (root.querySelector('[name="resume"]'));
  const said = root.querySelector(".copied");
  const buttons = buttonsOf(root, "[data-copy]");
  let kind = "curl";
  const show = () => {
    const now = shown();
    setText(code, linesOf(kind, {...now, lastEventId: resume.checked ? now.lastEventId : ""}));
    code.classList.toggle("curl", kind === "curl");
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.copy === kind));
  };
  resume.addEventListener("change", show);
  for (const button of buttons) {
    button.addEventListener("click", async () => {
      kind = button.dataset.copy;
      show();
      setText(said, (await copy(code)) ? `The lines for ${kind} are copied.` : "Press Ctrl-C: they are selected.");
    });
  }
  root.addEventListener("focusout", () => setText(said, ""));
  show();
  return () => resume.checked || !code.textContent.includes(shown().url) ? show() : undefined;
}

/** Copies the text of an element; over plain HTTP from another host browsers let it only be selected. */
async function copy(e) {
  try {
    await navigator.clipboard.writeText(e.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(e);
    return document.execCommand("copy");
  }
}
