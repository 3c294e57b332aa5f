/** Pictures that come as files, and files that are taken away. */

import { request } from "./api.js";
import { element } from "./paint.js";
import { present } from "./present.js";

const [PNG, JPEG] = ["image/png", "image/jpeg"];
// Within what the service takes by default, and quick to send; what has more is made smaller.
const [MAX_PIXELS, MAX_BYTES, SMALLER_SIDE] = [2 ** 23, 8 * 2 ** 20, 1600];

/** Decode a picture, turned as its EXIF data say. @param {Blob} file */
export const decoded = (file) => createImageBitmap(file).catch(() => {
  throw new Error("no picture that this browser can read; PNG and JPEG are sure to work");
});

/** A file's first characters, which tell its type; its name need not. @param {Blob} file */
export const startOf = async (file) => String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
export const TAKEN = /^(\x89PNG|\xff\xd8\xff)/; // by the service as they are

/** The bytes to send for a picture: its own where the service takes them, else drawn anew. @param {Blob} file @param {ImageBitmap} bitmap */
export async function sendable(file, bitmap) {
  const { width, height } = bitmap;
  const fits = width * height <= MAX_PIXELS && file.size <= MAX_BYTES;
  if (fits && [PNG, JPEG].includes(file.type) && TAKEN.test(await startOf(file))) return file;
  const scale = Math.min(1, SMALLER_SIDE / Math.max(width, height));
  const context = contextOf(Math.max(1, Math.round(scale * width)), Math.max(1, Math.round(scale * height)));
  context.drawImage(bitmap, 0, 0, context.canvas.width, context.canvas.height);
  return context.canvas.convertToBlob({ type: file.type === JPEG ? JPEG : PNG });
}

/** @param {number} width @param {number} height */
export function contextOf(width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("no canvas: this browser has no memory left for one");
  context.imageSmoothingQuality = "high";
  return context;
}

/** Draw a picture into the middle of a canvas, as large as fits, unstretched.
 * @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} on @param {ImageBitmap | HTMLCanvasElement} picture */
export function drawFitted(on, picture) {
  const side = on.canvas.width;
  const scale = side / Math.max(picture.width, picture.height);
  const [width, height] = [scale * picture.width, scale * picture.height].map(Math.round);
  const box = /** @type {const} */ ([(side - width) >> 1, (side - height) >> 1, width, height]);
  on.fillStyle = "gray"; // behind what is transparent, so that black ink can be seen, and white
  on.fillRect(...box);
  on.imageSmoothingEnabled = scale < 4; // a sample's 28×28 stay squares
  on.drawImage(picture, ...box);
}

/** Paint onto `canvas` the picture that training drew and that the canvas is named for; an <img> would ask without the API key.
 * @param {any} canvas */
export async function paintFrom(canvas) {
  if (!present.card) return;
  // The version is in the address, so that a picture of another one is not taken from memory.
  const answer = await request(`model/pictures/${canvas.id}.png?${present.card.version}`).catch(() => null);
  if (!answer) return; // it stays as it is, and the page says that the service is away
  const bitmap = await createImageBitmap(await answer.blob());
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** @param {string} name @param {Blob} content */
export function save(name, content) {
  const address = URL.createObjectURL(content);
  element("a", { href: address, download: name }).click();
  URL.revokeObjectURL(address);
}
