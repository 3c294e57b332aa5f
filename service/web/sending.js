/** Files are read and sent, many images in one request, and come back as rows. */

import { isPassing, pause, request } from "./api.js";
import { contentOf, smallerCopy } from "./contents.js";
import { present } from "./present.js";

const IMAGES_A_REQUEST = 1000;
const [PICTURES_A_REQUEST, PICTURE_BYTES_A_REQUEST] = [100, 2 ** 21]; // so few that they are read in time also where each is large
const SPARE_BYTES = 2000; // of a request, for the header of an array, or for what a form says of one picture
const RETRY_SECONDS = 2; // where the service does not say

let limits = { max_body_bytes: 0, max_images: 0 }; // of a request, as the service says before the first is sent

/** How many images of so many bytes one request may have. @param {number} imageBytes */
export const imagesPerRequest = (imageBytes) =>
  Math.max(1, Math.min(IMAGES_A_REQUEST, limits.max_images, Math.floor((limits.max_body_bytes - SPARE_BYTES) / imageBytes)));

/** Answer files in their order. @param {Found[]} files @param {Listener} listener @returns {AsyncGenerator<Part>} */
export async function* answers(files, listener) {
  limits = (await ask(listener, "docs.json")).paths["/predict"].post["x-limits"];
  /** @type {Sent[]} */
  let pictures = [];
  for (const { name, file } of files) {
    const held = await contentOf(file, limits.max_body_bytes - SPARE_BYTES).catch((error) => listener.report(name, error.message));
    const bytes = pictures.reduce((sum, { content }) => sum + content.size, 0);
    const isFull = pictures.length >= Math.min(PICTURES_A_REQUEST, limits.max_images);
    if (held && (!(held instanceof Blob) || isFull || bytes + held.size > PICTURE_BYTES_A_REQUEST)) {
      yield* answerPictures(pictures, listener);
      pictures = [];
    }
    if (held instanceof Blob) pictures.push({ name, content: held });
    else if (held && "labels" in held) yield { ...held, files: 1 };
    else if (held) yield* answerImages(name, held, imagesPerRequest(held.imageBytes), listener);
  }
  yield* answerPictures(pictures, listener);
}

/** The answer to a request, which is sent until the service does answer. @type {(listener: Listener, path: string, options?: RequestInit) => Promise<any>} */
async function ask({ signal, wait }, path, options) {
  for (let tries = 1; ; tries++)
    try {
      const answer = await (await request(path, { ...options, signal })).json();
      if (tries === 1) wait(""); // while it takes several, one sentence stands, which is read out once
      return answer;
    } catch (/** @type {any} */ error) {
      if (signal.aborted || !isPassing(error)) throw error;
      wait(error.message);
      await pause(1000 * (error.retryAfter ?? RETRY_SECONDS));
    }
}

/** Answer pictures at once; without the one that is refused, if one is. @param {Sent[]} pictures @param {Listener} listener @returns {AsyncGenerator<Part>} */
async function* answerPictures(pictures, listener) {
  if (!pictures.length) return;
  const form = new FormData();
  for (const { content } of pictures) form.append("picture", content, "picture");
  try {
    const answer = await ask(listener, "predict?seen=true", { method: "POST", body: form });
    yield { files: pictures.length, rows: rowsOf(answer, (place) => ({ name: pictures[place].name, index: 0, isOfMany: false })) };
  } catch (error) {
    const [, part, words] = /^part (\d+): (.*)/s.exec(/** @type {Error} */ (error).message) ?? [];
    if (!part || listener.signal.aborted) throw error;
    yield* answerPictures(pictures.slice(0, Number(part)), listener);
    const { name, content, isCopy } = pictures[Number(part)];
    const copy = isCopy ? null : await smallerCopy(content);
    if (copy) yield* answerPictures([{ name, content: copy, isCopy: true }], listener);
    else listener.report(name, words);
    yield* answerPictures(pictures.slice(Number(part) + 1), listener);
  }
}

/** @param {string} name @param {Images} images @param {number} step @param {Listener} listener @returns {AsyncGenerator<Part>} */
async function* answerImages(name, { count, body, pixels }, step, listener) {
  // What can be read here is what the model sees, unless it deskews that; all else comes back, which takes longer.
  const known = present.card?.capabilities.includes("deskewed_evidence") === false ? pixels : undefined;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    try {
      const answer = await ask(listener, `predict${known ? "" : "?seen=true"}`, { method: "POST", body: body(from, to) });
      const rows = rowsOf(answer, (place) => ({ name, index: from + place, isOfMany: true, seen: known?.(from + place) }));
      yield { files: (to - from) / count, rows, hint: answer.hint && `${name}: ${answer.hint}` };
    } catch (error) {
      if (listener.signal.aborted) throw error;
      const words = /** @type {Error} */ (error).message;
      return listener.report(name, words.replace(/^images\[(\d+)/, (_, place) => `images[${from + Number(place)}`));
    }
  }
}

/** @param {any} answer @param {(place: number) => {name: string, index: number, isOfMany: boolean, seen?: Uint8Array}} about @returns {Row[]} */
function rowsOf({ model, digits, probabilities, novelty, accepted, seen, before_deskewing: sent }, about) {
  return digits.map((/** @type {number} */ digit, /** @type {number} */ place) => {
    const row = about(place);
    const sure = { confidence: probabilities[place][digit], novelty: novelty?.[place], accepted: accepted?.[place] };
    const [shown, given] = row.seen ? [row.seen] : [seen, sent].map((images) => images && Uint8Array.from(images[place]));
    return { ...row, seen: shown, sent: given ?? shown, digit, ...sure, probabilities: probabilities[place], model };
  });
}
