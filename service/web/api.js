/** The service as functions: questions asked, one at a time where the latest wins, and whether it is there at all. */

/** The service could not be reached, or something between says that it is not there. */
export class Unreachable extends Error {}

const WATCH_MILLISECONDS = 2000;
const GATEWAY_ERRORS = [502, 503, 504];

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} or throws the service's own sentence */
export async function request(path, options) {
  const answer = await fetch(path, { cache: "no-cache", ...options }).catch(() => null);
  if (answer?.ok) return answer;
  if (!answer || GATEWAY_ERRORS.includes(answer.status)) throw new Unreachable("the service does not answer");
  const body = await answer.json().catch(() => ({}));
  throw new Error(body.error ?? `the service answered ${answer.status}.`);
}

/** @param {string} path */
export const get = async (path) => (await request(path)).json();

/**
 * @typedef {{digit: number, pixels: number[], picture?: number[], logit?: number, bias?: number, log_odds?: number}} Evidence
 * @param {ArrayLike<number>[]} images  784 pixels each, 0 to 255
 * @param {"" | "?explain=true"} query  the latter for `method` and `evidence`
 * @returns {Promise<{model: string, digits: number[], probabilities: number[][], hint?: string, novelty?: number[],
 *   accepted?: boolean[], method: "linear" | "occlusion", evidence: Evidence[]}>}
 */
export async function predict(images, query = "") {
  const body = JSON.stringify({ images: images.map((image) => Array.from(image)) });
  return (await request(`predict${query}`, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
}

/**
 * Return a function that runs `work` on its argument, at most one at a time; of those that come meanwhile, the latest.
 *
 * @template T
 * @param {(argument: T) => Promise<void>} work
 */
export function latestOnly(work) {
  let busy = false;
  /** @type {T[]} */
  let waiting = [];
  return async (/** @type {T} */ argument) => {
    waiting = [argument];
    if (busy) return;
    busy = true;
    while (waiting.length) await work(/** @type {T} */ (waiting.pop()));
    busy = false;
  };
}

/** Ask, while the page is looked at, which version is served. @param {(version: string | null) => unknown} onVersion  null: away */
export async function watch(onVersion) {
  for (;;) {
    const asked = document.hidden ? undefined : request("model", { method: "HEAD" });
    if (asked) await onVersion(await asked.then((answer) => answer.headers.get("x-model-version")).catch(() => null));
    await new Promise((resolve) => setTimeout(resolve, WATCH_MILLISECONDS));
  }
}
