// The exact lines for the stream that a panel shows, to be copied: for curl, EventSource, eventstream.js and Go.

import {buttonsOf, setText} from "./dom.js";
import {hasToken} from "./token.js";

/** @typedef {{url: string, lastEventId: string, names: string[], until?: string, token: boolean}} Shown */
const quote = JSON.stringify;

/** @type {Record<string, (shown: Shown) => string>} */
const snippets = {
  curl: ({url, lastEventId, token}) =>
    `curl -N${token ? ' -H "Authorization: Bearer $TOKEN"' : ""}${lastEventId ? ` -H 'Last-Event-ID: ${lastEventId}'` : ""} '${url}'`,

  EventSource({url, lastEventId, names, until, token}) {
    const query = (lastEventId ? `&lastEventId=${encodeURIComponent(lastEventId)}` : "") + (token ? "&access_token=TOKEN" : "");
    return [
      `const source = new EventSource(${quote(url + query)});`,
      ...names.map((name) => `source.addEventListener(${quote(name)}, ({lastEventId, data}) => console.log(lastEventId, data));`),
      `source.addEventListener("gap", () => console.log("events were lost: load everything anew"));`,
      ...(until ? [`source.addEventListener(${quote(until)}, () => source.close());`] : []),
    ].join("\n");
  },

  "eventstream.js": ({url, lastEventId, until, token}) => [
    `import {openStream} from "./eventstream.js";`,
    `openStream(${quote(url)}, {`,
    ...(lastEventId ? [`  lastEventId: ${quote(lastEventId)},`] : []),
    ...(until ? [`  until: ${quote(until)},`] : []),
    ...(token ? ["  headers: {Authorization: `Bearer ${token}`},"] : []),
    `  onEvent: ({id, name, data}) => console.log(id, name, data),`,
    `});`,
  ].join("\n"),

  Go: ({url, lastEventId, token}) => [
    `request, err := http.NewRequestWithContext(ctx, http.MethodGet, ${quote(url)}, nil)`,
    `if err != nil {`,
    `\treturn err`,
    `}`,
    ...(lastEventId ? [`request.Header.Set("Last-Event-ID", ${quote(lastEventId)})`] : []),
    ...(token ? [`request.Header.Set("Authorization", "Bearer "+token)`] : []),
    `response, err := http.DefaultClient.Do(request)`,
    `if err != nil {`,
    `\treturn err`,
    `}`,
    `defer response.Body.Close()`,
    `for events := sse.NewReader(response.Body); ; {`,
    `\tevent, err := events.Next()`,
    `\tif err != nil {`,
    `\t\treturn err // io.EOF if the service has ended the stream`,
    `\t}`,
    `\tfmt.Printf("%s %s %s\\n", event.ID, event.Name, event.Data)`,
    `}`,
  ].join("\n"),
};

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
    setText(code, snippets[kind]({...now, lastEventId: resume.checked ? now.lastEventId : "", token: hasToken()}));
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
