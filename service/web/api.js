/** The service as functions: questions asked, with the API key where it wants one, and the kinds of "no" told apart. */

/** The service could not be reached, or something between says that it is not there. */
export class Unreachable extends Error {}

/** The service wants an API key, or another one than it was sent. */
export class Unauthorized extends Error {}

/** The service cannot answer now: it has no room (429) or is not ready (503). `retryAfter` is in seconds. */
export class Overloaded extends Error {
  retryAfter = 1;
}

const WATCH_MILLISECONDS = 2000;
const GATEWAY_ERRORS = [502, 504];
const KEY = "api-key";

/** @type {(milliseconds: number) => Promise<void>} */
export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

let keyOfThisPage = ""; // for where the browser blocks storage

/** The API key, which is kept until the tab is closed; "" where none was given. */
export function key() {
  try {
    return sessionStorage.getItem(KEY) ?? keyOfThisPage;
  } catch {
    return keyOfThisPage;
  }
}

export function keepKey(/** @type {string} */ value) {
  keyOfThisPage = value;
  try {
    sessionStorage.setItem(KEY, value);
  } catch {} // it is kept until the page is closed
}

/** Ask the service. What is thrown has its own sentence. @param {string} path @param {RequestInit} [options] */
export async function request(path, options = {}) {
  const headers = { ...(key() && { authorization: `Bearer ${key()}` }), ...options.headers };
  const answer = await fetch(path, { cache: "no-cache", ...options, headers }).catch(() => null);
  if (answer?.ok) return answer;
  throw await refusalOf(answer);
}

/** Whether what failed may do in a while; an answer that is cut off is a TypeError. @param {unknown} error */
export const isPassing = (error) => [Overloaded, Unreachable, TypeError].some((kind) => error instanceof kind);

/** @param {Response | null} answer  null where there was none */
async function refusalOf(answer) {
  if (!answer || GATEWAY_ERRORS.includes(answer.status)) return new Unreachable("the service does not answer");
  const body = await answer.json().catch(() => ({}));
  const sentence = body.error ?? `the service answered ${answer.status}.`;
  if (answer.status === 401) return new Unauthorized(sentence);
  if (![429, 503].includes(answer.status)) return new Error(sentence);
  const retryAfter = Number(answer.headers.get("retry-after")) || 1; // a date, which is also allowed there, counts as 1 s
  return Object.assign(new Overloaded(sentence), { retryAfter });
}

/** @param {string} path */
export const get = async (path) => (await request(path)).json();

/** @param {ArrayLike<number>[] | Blob} images  784 pixels each, 0 to 255; or what the service takes as a body, of its media type
 * @returns {Promise<Predicted>} */
export async function predict(images, query = "") {
  const asJson = (/** @type {ArrayLike<number>[]} */ arrays) => JSON.stringify({ images: arrays.map((image) => Array.from(image)) });
  const sent = images instanceof Blob ? { body: images } : { body: asJson(images), headers: { "content-type": "application/json" } };
  return (await request(`predict${query}`, { method: "POST", ...sent })).json();
}

/** Return a function that runs `work` on its argument, at most one at a time; of those that come meanwhile, the latest.
 * @template T @param {(argument: T) => Promise<void>} work */
export function latestOnly(work) {
  let [busy, waiting] = [false, /** @type {T[]} */ ([])];
  return async (/** @type {T} */ argument) => {
    waiting = [argument];
    if (busy) return;
    busy = true;
    while (waiting.length) await work(/** @type {T} */ (waiting.pop()));
    busy = false;
  };
}

/** Run `look` every two seconds while the page is in view. @param {() => Promise<void>} look */
export async function watch(look) {
  for (;;) {
    if (!document.hidden) await look();
    await pause(WATCH_MILLISECONDS);
  }
}
