// The token that the service wants with --jwt-secret: asked for at the first 401, and again if it has expired or gives
// no access (403). It is kept for the session of the tab.

import {onMessage, send} from "./connect.js";
import {field} from "./dom.js";
import {showProblem} from "./problems.js";
import {load, saveSoon} from "./storage.js";

const key = "sse-demo.token";
const limit = 10_000; // ms
const patience = 10_000; // ms in which a stream shows whether a token is missing

const form = /** @type {HTMLFormElement} */ (document.querySelector('form[data-action="token"]'));
const handlers = [];
let token = load(() => sessionStorage, key)?.token ?? "";

let answer; // resolves missing
let missing = new Promise((resolve) => (answer = resolve));

export const hasToken = () => token !== "";
export const tokenHeader = () => (token ? {Authorization: `Bearer ${token}`} : {});

/** What to do once there is a token. @param {() => void} handle */
export const onToken = (handle) => handlers.push(handle);

/** A stream is open, so no token is missing. */
export const streamIsOpen = () => answer(false);

/**
 * Whether a token is missing, as the streams of the hub have shown. A request of the page itself would be answered
 * by 401 too, which the browser logs in its console. @returns {Promise<boolean>}
 */
export const tokenIsMissing = () => Promise.race([missing, new Promise((resolve) => setTimeout(resolve, patience, false))]);

/** Shows the form, with what the service has said. @param {object} problem */
export function askForToken(problem) {
  answer(problem.status === 401);
  form.hidden = false;
  showProblem(form, {title: problem.detail || problem.title});
}

/** Before the streams are opened: the token of an earlier page of this tab. */
export function startWithToken() {
  if (token) send({token});
  onMessage("tokenNeeded", ({tokenNeeded}) => askForToken(tokenNeeded));
  onMessage("token", (message) => accept(message.token));
}

function accept(accepted) {
  token = accepted;
  missing = new Promise((resolve) => (answer = resolve)); // the streams try the new one
  saveSoon(() => sessionStorage, key, () => ({token}));
  form.hidden = true;
  form.reset();
  showProblem(form, null);
  for (const handle of handlers) handle();
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const given = field(form, "token").value.trim();
  const problem = given ? await refusalOf(given) : {title: "Paste the token, as it is."};
  showProblem(form, problem);
  if (problem) return;
  send({token: given});
  accept(given);
});

/** Tries a token on a request that ends at once. What it may do is another question, which 403 answers. */
async function refusalOf(given) {
  try {
    const headers = {Authorization: `Bearer ${given}`, Accept: "application/problem+json"};
    const response = await fetch("/stream/tick?wait=0", {headers, signal: AbortSignal.timeout(limit)});
    if (response.status !== 401) return null;
    const problem = await response.json();
    return {title: `Refused: ${problem.detail || problem.title}`};
  } catch {
    return {title: "The service cannot be reached. Try again."};
  }
}
