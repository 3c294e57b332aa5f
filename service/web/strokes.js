/** Strokes of the pen and of the eraser: onto a canvas, and into the page's address and back. */

import { clamp } from "./maths.js";

const [STEPS, OUTSIDE] = [1000, 100]; // of the paper's side, and of how far beyond it a stroke may reach
const CODED = /^[pe][0-9a-z]{2}([0-9a-z]{4})+$/; // pen or eraser, width, points

/** Bring a share onto the steps that an address can say, so that a drawing comes back as it was. @param {number} share */
export const snapped = (share) => clamp(Math.round(STEPS * share), -OUTSIDE, STEPS + OUTSIDE) / STEPS;

const coded = (/** @type {number} */ share) => (Math.round(STEPS * share) + OUTSIDE).toString(36).padStart(2, "0");

/** @param {Stroke[]} strokes */
export const toAddress = (strokes) =>
  strokes.map(({ points, width, erases }) => (erases ? "e" : "p") + coded(width) + points.flat().map(coded).join("")).join(".");

/** The strokes that `words` of an address say; none where they are not such words. @param {string} words @returns {Stroke[]} */
export function fromAddress(words) {
  const parts = words.split(".");
  if (!parts.every((part) => CODED.test(part))) return [];
  return parts.map((part) => {
    const [width, ...shares] = (part.slice(1).match(/../g) ?? []).map((two) => (parseInt(two, 36) - OUTSIDE) / STEPS);
    const points = shares.flatMap((x, place) => (place % 2 ? [] : [[x, shares[place + 1]]]));
    return { points, width, erases: part.startsWith("e") };
  });
}

/** Draw `strokes` one after another. @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} on @param {Stroke[]} strokes
 * @param {string} colour */
export function drawStrokes(on, strokes, colour) {
  const side = on.canvas.width;
  Object.assign(on, { lineCap: "round", lineJoin: "round", strokeStyle: colour });
  for (const { points, width, erases } of strokes) {
    Object.assign(on, { lineWidth: width * side, globalCompositeOperation: erases ? "destination-out" : "source-over" });
    on.beginPath();
    on.moveTo(side * points[0][0] - 0.01, side * points[0][1]); // a line of no length would be left out: a click draws a dot
    for (const [x, y] of points) on.lineTo(side * x, side * y);
    on.stroke();
  }
  on.globalCompositeOperation = "source-over";
}
