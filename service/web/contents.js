/** What a file holds: arrays, labels, or a picture, drawn anew where the service would not take it as it is. */

import { isArray, readArray } from "./files.js";
import { decoded, sendable, startOf, TAKEN } from "./pictures.js";

const MANY_PIXELS = 2 ** 21; // more than twice what the service itself keeps of a photo
/** @type {[RegExp, string][]} */
const KINDS = [[/^.{4}ftyp(he|mif|msf)/s, "a HEIC photo"], [/^.{4}ftypavi/s, "an AVIF picture"], [/^\0\0\x01\0/, "an icon"]];

/** A PNG or JPEG, sent as it is up to so many bytes; many images; or their labels. An error says why it is none of these.
 * @type {(file: File, maxBytes: number) => Promise<Blob | ReturnType<typeof readArray>>} */
export async function contentOf(file, maxBytes) {
  const start = await startOf(file);
  if (start.startsWith("\x1f\x8b")) return unzipped(file);
  if (isArray(start)) return readArray(await bytesOf(file));
  if (TAKEN.test(start) && file.size <= maxBytes) return file;
  const kind = KINDS.find(([pattern]) => pattern.test(start))?.[1];
  const bitmap = await decoded(file).catch((error) => {
    throw kind ? new Error(`${kind}, which this browser cannot read; PNG and JPEG are sure to work`) : error;
  });
  return drawnAnew(file, bitmap);
}

/** @param {File} file */
async function unzipped(file) {
  const content = await new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).blob().catch(() => {
    throw new Error("its gzip is damaged or cut off; compress it again");
  });
  if (isArray(await startOf(content))) return readArray(await bytesOf(content));
  throw new Error("a gzip of neither IDX nor .npy; send pictures as they are");
}

const bytesOf = async (/** @type {Blob} */ blob) => new Uint8Array(await blob.arrayBuffer());

/** A smaller copy of a picture that the service refused; null where it is small, or broken. @param {Blob} picture */
export async function smallerCopy(picture) {
  const bitmap = await decoded(picture).catch(() => null);
  return bitmap && bitmap.width * bitmap.height > MANY_PIXELS ? drawnAnew(picture, bitmap) : null;
}

/** A picture without its type is none that could be sent as it is. @param {Blob} picture @param {ImageBitmap} bitmap */
const drawnAnew = (picture, bitmap) => sendable(new Blob([picture]), bitmap);
