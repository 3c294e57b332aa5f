/** Parts of the document: images and maps of 28×28 on canvases, elements, shapes of charts, words for numbers. */

import { clamp } from "./maths.js";

const SIDE = 28;
// Of middle lightness, so that they tell for and against apart on light and on dark ground, also to colour-blind eyes.
const [FOR, AGAINST, INK] = [[38, 118, 217], [226, 96, 20], [128, 128, 128]];
const FAINT = 0.22;

/** Paint ink as the model sees it, light on dark. @param {HTMLCanvasElement} canvas @param {ArrayLike<number> | null} pixels */
export function paintPixels(canvas, pixels) {
  paint(canvas, (place) => [...Array(3).fill(pixels?.[place] ?? 0), 255]);
}

/** Paint 784 values that speak for (blue) or against (orange), in full colour from `scale` on; `ground` is ink to show faintly below.
 * @type {(canvas: HTMLCanvasElement, values: ArrayLike<number>, scale: number, ground?: ArrayLike<number> | null) => void} */
export function paintShares(canvas, values, scale, ground = null) {
  paint(canvas, (place) => {
    const strength = clamp(Math.abs(values[place]) / scale, 0, 1);
    const below = ground ? (ground[place] / 255) * FAINT : 0;
    return strength > below ? [...(values[place] > 0 ? FOR : AGAINST), 255 * strength] : [...INK, 255 * below];
  });
}

function paint(/** @type {HTMLCanvasElement} */ canvas, /** @type {(place: number) => number[]} */ colourOf) {
  const image = new ImageData(SIDE, SIDE);
  for (let place = 0; place < SIDE * SIDE; place++) image.data.set(colourOf(place), 4 * place);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** A canvas of 28×28 with its words; without, it is left to the words beside it. @param {string} words @param {string} [look] */
export function pixelCanvas(words, look = "") {
  const described = /** @type {Attributes} */ (words ? { role: "img", "aria-label": words } : { "aria-hidden": "true" });
  return element("canvas", { width: SIDE, height: SIDE, class: `pixels ${look}`, ...described });
}

/** @template {Element} Made @param {Made} made @param {Attributes} attributes @param {Children} children */
function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  made.append(...children);
  return made;
}

/** @template {keyof HTMLElementTagNameMap} Name @param {Name} name @param {Attributes} [attributes] @param {Children} children */
export const element = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

/** @param {string} name @param {Attributes} attributes @param {Children} children */
export const shape = (name, attributes, ...children) =>
  filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);

/** @type {(x: number, y: number, words: string | number, anchor?: string) => Element} */
export const text = (x, y, words, anchor = "start") => shape("text", { x, y, "text-anchor": anchor }, `${words}`);

/** @type {(points: number[][], look?: string) => Element} */
export const polyline = (points, look = "curve") => shape("polyline", { class: look, points: points.join(" ") });

/** @type {(x1: number, x2: number, y1: number, y2?: number, look?: string) => Element} */
export const line = (x1, x2, y1, y2 = y1, look = "rule") => shape("line", { class: look, x1, x2, y1, y2 });

/** @type {(id: string) => any} the element of that id, which the page has */
export const byId = (id) => document.getElementById(id);

/** Hear of some events of an element, which may be given by its id.
 * @type {(target: EventTarget | string, events: string, listener: (event: any) => void) => void} */
export function on(target, events, listener) {
  for (const event of events.split(" ")) (typeof target === "string" ? byId(target) : target).addEventListener(event, listener);
}

/** A button and what a click on it does. @param {Attributes} attributes @param {(event: any) => void} click @param {Children} children */
export function button(attributes, click, ...children) {
  const made = element("button", attributes, ...children);
  on(made, "click", click);
  return made;
}

/** @type {(share: number, places?: number) => string} */
export const percent = (share, places = 1) => `${(100 * share).toFixed(places)} %`;

/** @type {(value: number, places?: number) => string} with its sign, and a minus that is as wide as a plus */
export const signed = (value, places = 1) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(places)}`;

/** @type {(count: number) => string} with commas */
export const number = (count) => count.toLocaleString("en");
