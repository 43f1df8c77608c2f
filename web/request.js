// Requests of this tab, each with a time limit and, if there is one, the token.

import {askForToken, hasToken, tokenHeader} from "./token.js";

const limit = 10_000; // ms

/**
 * Sends a request, with a JSON body if there is one: a value, or JSON as text. Problems do not throw: without an answer there is one, too.
 * @returns {Promise<{problem: object | null, value?: any}>}
 */
export async function send(method, path, body) {
  try {
    const response = await fetch(path, {
      method,
      headers: {...tokenHeader(), ...(body && {"Content-Type": "application/json"})},
      body: typeof body === "string" ? body : body && JSON.stringify(body),
      signal: AbortSignal.timeout(limit),
    });
    if (response.ok) return {problem: null, value: response.status === 204 ? null : await response.json()};
    const problem = await problemOf(response);
    if (response.status === 401 || (response.status === 403 && hasToken())) askForToken(problem);
    return {problem};
  } catch (error) {
    const late = error.name === "TimeoutError";
    return {problem: {status: 0, title: late ? `No answer within ${limit / 1000} s; it may have been done all the same.` : "The service cannot be reached."}};
  }
}

/** The problem details that the service has sent, or those of the status line. @param {Response} response */
export async function problemOf(response) {
  const plain = {status: response.status, title: response.statusText || `HTTP ${response.status}`};
  try {
    return {...plain, ...(await response.json())};
  } catch {
    return plain;
  }
}
