// The requests of this tab, and the token that they need with --jwt-secret. It is asked for at the first 401, and again
// if it has expired or gives no access (403), and is kept for the session of the tab.

import {onMessage, onReady, send} from "./connect.js";
import {field, showProblem} from "./forms.js";
import {load, save} from "./storage.js";

const key = "sse-demo.token";
const limit = 10_000; // ms of a request
const patience = 10_000; // ms in which a stream shows whether a token is missing
const possible = /^[\w.~+/=-]+$/; // RFC 6750, 2.1: others cannot be sent

const form = /** @type {HTMLFormElement} */ (document.querySelector('form[data-action="token"]'));
const handlers = [];
const stored = load(() => sessionStorage, key)?.token;
let token = typeof stored === "string" && possible.test(stored) ? stored : "";

let answer; // resolves missing
let missing = new Promise((resolve) => (answer = resolve));

/** @typedef {{status: number, title: string, detail?: string}} Problem the status is 0 if there was no answer */

/**
 * Sends a request, with a JSON body if there is one: a value, or JSON as text. Problems do not throw.
 * @returns {Promise<{problem: Problem | null, value?: any}>} value is JSON, or the text of another answer
 */
export async function request(method, path, body) {
  const headers = {...(token && {Authorization: `Bearer ${token}`}), ...(body && {"Content-Type": "application/json"})};
  const text = typeof body === "string" ? body : body && JSON.stringify(body);
  const answer = await answerTo(path, {method, headers, body: text});
  const status = answer.problem?.status;
  if (status === 401 || (status === 403 && token)) askForToken(answer.problem);
  return answer;
}

async function answerTo(path, init) {
  try {
    const response = await fetch(path, {...init, signal: AbortSignal.timeout(limit)});
    const text = await response.text();
    const value = response.headers.get("Content-Type")?.includes("json") ? JSON.parse(text) : text;
    if (response.ok) return {problem: null, value};
    const details = typeof value === "object" ? value : {};
    return {problem: {status: response.status, title: response.statusText || `HTTP ${response.status}`, ...details}};
  } catch (error) {
    const late = error.name === "TimeoutError";
    return {problem: {status: 0, title: late ? `No answer within ${limit / 1000} s; it may have been done all the same.` : "The service cannot be reached."}};
  }
}

export const hasToken = () => token !== "";

/** What to do once there is a token. @param {() => void} handle */
export const onToken = (handle) => handlers.push(handle);

/** A stream is open, so no token is missing. */
export const streamIsOpen = () => answer(false);

/**
 * Whether a token is missing, as the streams of the hub have shown. A request of the page itself would be answered
 * by 401 too, which the browser logs in its console. @returns {Promise<boolean>}
 */
export const tokenIsMissing = () => Promise.race([missing, new Promise((resolve) => setTimeout(resolve, patience, false))]);

// Before the streams are opened: the token of an earlier page of this tab.
onReady(() => token && send({token}));
onMessage("token", ({token, needed}) => (needed ? askForToken(needed) : accept(token)));

/** Shows the form, with what the service has said. @param {Problem} problem */
function askForToken(problem) {
  answer(problem.status === 401);
  form.hidden = false;
  showProblem(form, {title: problem.detail || problem.title});
}

function accept(accepted) {
  token = accepted;
  missing = new Promise((resolve) => (answer = resolve)); // the streams try the new one
  save(() => sessionStorage, key, {token});
  form.hidden = true;
  form.reset();
  showProblem(form, null);
  for (const handle of handlers) handle();
}

form.addEventListener("submit", async (e) => {
  e.preventDefault();
  const typed = () => field(form, "token").value.trim();
  const given = typed();
  const problem = await refusalOf(given);
  if (typed() !== given) return; // there is another one by now
  showProblem(form, problem);
  if (problem) return;
  send({token: given});
  accept(given);
});

/** Tries a token on a request that ends at once. What it may do is another question, which 403 answers. */
async function refusalOf(given) {
  if (!given) return {title: "Paste the token, as it is."};
  if (!possible.test(given)) return {title: "Refused: a token has no spaces and no characters but letters, digits and -._~+/="};
  const headers = {Authorization: `Bearer ${given}`, Accept: "application/problem+json"};
  const {problem} = await answerTo("/stream/tick?wait=0", {headers});
  if (problem?.status === 0) return {title: "The service cannot be reached. Try again."};
  return problem?.status === 401 ? {title: `Refused: ${problem.detail || problem.title}`} : null;
}
