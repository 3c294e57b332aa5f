/** Files are read and sent, many images in one request, and come back as rows.
 *
 * @typedef {{file: File, name: string}} Found  a file and its path
 * @typedef {{name: string, content: Blob, isCopy?: boolean}} Picture
 * @typedef {import("./downloads.js").Row} Row
 * @typedef {{files: number, rows?: Row[], labels?: number[], hint?: string}} Part  `files`: how many, or what share of one, are done with it
 * @typedef {{signal: AbortSignal, report: (name: string, words: string) => void, wait: (words: string) => void}} Listener
 *   `report` hears of a file, or of the rest of one, that is not answered; `wait` why the service is waited for, "" when it answers
 */

import { get, pause, request, Unreachable } from "./api.js";
import { contentOf, smallerCopy } from "./contents.js";
import { present } from "./present.js";

const IMAGES_A_REQUEST = 1000;
const [PICTURES_A_REQUEST, PICTURE_BYTES_A_REQUEST] = [100, 2 ** 21]; // so few that they are read in time also where each is large
const SPARE_BYTES = 2000; // of a request, for the header of an array, or for what a form says of one picture
const RETRY_MILLISECONDS = 2000;

/** What one request may have, as the service says. */
async function requestLimits() {
  const words = (await get("docs.json")).paths["/predict"].post.responses["413"].description;
  const [bytes, images] = words.match(/\d[\d,]*/g).map((/** @type {string} */ digits) => Number(digits.replaceAll(",", "")));
  return { bytes: bytes - SPARE_BYTES, images };
}

/** How many images of so many bytes one request may have. @param {number} imageBytes */
export async function imagesPerRequest(imageBytes, /** @type {{bytes: number, images: number} | null} */ known = null) {
  const { bytes, images } = known ?? (await requestLimits());
  return Math.max(1, Math.min(IMAGES_A_REQUEST, images, Math.floor(bytes / imageBytes)));
}

/** Answer files in their order. @param {Found[]} files @param {Listener} listener @returns {AsyncGenerator<Part>} */
export async function* answers(files, listener) {
  const limits = await requestLimits();
  /** @type {Picture[]} */
  let pictures = [];
  for (const { name, file } of files) {
    const held = await contentOf(file, limits.bytes).catch((error) => listener.report(name, error.message));
    const bytes = pictures.reduce((sum, { content }) => sum + content.size, 0);
    const isFull = pictures.length >= Math.min(PICTURES_A_REQUEST, limits.images);
    if (held && (!(held instanceof Blob) || isFull || bytes + held.size > PICTURE_BYTES_A_REQUEST)) {
      yield* answerPictures(pictures, listener);
      pictures = [];
    }
    if (held instanceof Blob) pictures.push({ name, content: held });
    else if (held && "labels" in held) yield { ...held, files: 1 };
    else if (held) yield* answerImages(name, held, await imagesPerRequest(held.imageBytes, limits), listener);
  }
  yield* answerPictures(pictures, listener);
}

/** The answer to a request, which is sent until the service does answer; `isSeen`: with what the model saw.
 * @type {(listener: Listener, body: BodyInit, isSeen: boolean, headers?: Record<string, string>) => Promise<any>} */
async function post({ signal, wait }, body, isSeen, headers) {
  for (;;)
    try {
      const answer = await request(`predict${isSeen ? "?seen=true" : ""}`, { method: "POST", headers, body, signal, patient: true });
      wait("");
      return await answer.json();
    } catch (error) {
      if (signal.aborted || !(error instanceof Unreachable || error instanceof TypeError)) throw error; // the latter is an answer cut off
      wait(error.message);
      await pause(RETRY_MILLISECONDS);
    }
}

/** Answer pictures at once; without the one that is refused, if one is. @param {Picture[]} pictures @param {Listener} listener @returns {AsyncGenerator<Part>} */
async function* answerPictures(pictures, listener) {
  if (!pictures.length) return;
  const form = new FormData();
  for (const { content } of pictures) form.append("picture", content, "picture");
  try {
    const answer = await post(listener, form, true);
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

/** @param {string} name @param {import("./files.js").Images} images @param {number} step @param {Listener} listener @returns {AsyncGenerator<Part>} */
async function* answerImages(name, { count, type, body, pixels }, step, listener) {
  // Bytes are what the model sees, unless it deskews them; all else comes back, which takes longer.
  const known = present.card?.capabilities.includes("deskewed_evidence") === false ? pixels : undefined;
  for (let from = 0; from < count; from += step) {
    const to = Math.min(from + step, count);
    try {
      const answer = await post(listener, body(from, to), !known, { "content-type": type });
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
function rowsOf({ model, digits, probabilities, novelty, accepted, seen }, about) {
  return digits.map((/** @type {number} */ digit, /** @type {number} */ place) => {
    const row = about(place);
    const sure = { confidence: probabilities[place][digit], novelty: novelty?.[place], accepted: accepted?.[place] };
    return { ...row, seen: row.seen ?? Uint8Array.from(seen[place]), digit, ...sure, probabilities: probabilities[place], model };
  });
}
