/** Pictures that come as files: dropped, pasted or chosen. */

import { inkOfPicture, toMnistForm } from "./maths.js";

const MAX_SIDE = 280; // pixels; more would not be seen in 28

/** Hear of the files dropped on `place` or chosen with `input`. @type {(place: HTMLElement, input: HTMLInputElement, take: (files: File[]) => void) => void} */
export function listenForFiles(place, input, take) {
  input.addEventListener("change", () => {
    take([...(input.files ?? [])]);
    input.value = ""; // so that the same file can be chosen again
  });
  place.addEventListener("dragover", () => place.classList.add("over"));
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    place.classList.remove("over");
    take([...(event.dataTransfer?.files ?? [])]);
  });
}

/**
 * Read a picture of one digit: the picture, made smaller where it is large, and its 784 pixels in MNIST's form.
 *
 * @param {Blob} file
 * @throws {Error} it is no picture, or has no ink
 */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error("no picture that this browser can read; PNG and JPEG are sure to work");
  });
  const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(scale * side)));
  const canvas = new OffscreenCanvas(width, height);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = toMnistForm(inkOfPicture(context.getImageData(0, 0, width, height).data, width, height), width, height);
  if (!pixels) throw new Error("a picture of one colour; there is no ink to read");
  return { canvas, pixels };
}
