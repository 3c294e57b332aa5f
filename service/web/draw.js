/** The paper with its pen: strokes by mouse, finger, pen or keys, or a picture in their place. */

import { clamp, toMnistForm } from "./maths.js";
import { byId, element, paintPixels, pixelCanvas } from "./paint.js";
import { listenForFiles, readPicture } from "./pictures.js";
import { onChange, update } from "./present.js";

const PEN_SHARE = 0.08; // of the paper's side, about the pen that MNIST was written with
const READ_SIDE = 280; // pixels of the paper as it is read; more would not be seen in 28
const KEY_STEP = 0.04; // of the paper's side
const MARGIN = 0.05;
/** @type {Record<string, number[]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const pad = /** @type {HTMLCanvasElement} */ (byId("pad"));
const read = new OffscreenCanvas(READ_SIDE, READ_SIDE).getContext("2d", { willReadFrequently: true });

/** @type {number[][][]} strokes of points, 0 to 1 from the upper left */
let strokes = [];
/** @type {CanvasImageSource | null} what was opened, or a sample, in place of strokes */
let picture = null;
const keyPen = { x: 0.5, y: 0.5, down: false };

export function startDraw() {
  listenToPen();
  listenToKeys();
  byId("undo").addEventListener("click", undo);
  byId("clear").addEventListener("click", clear);
  listenForFiles(byId("paper"), byId("open"), ([file]) => open(file));
  document.addEventListener("paste", (event) => {
    if (!byId("view-draw").hidden) open([...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/")));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  onChange(({ samples }) => samples && showSamples(samples));
  redraw();
}

function listenToPen() {
  pad.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    begin(place(event));
  });
  pad.addEventListener("pointermove", (event) => {
    if (!pad.hasPointerCapture(event.pointerId) || !strokes.length) return;
    const between = event.getCoalescedEvents();
    extend((between.length ? between : [event]).map(place));
  });
}

/** @param {PointerEvent} event */
function place(event) {
  const paper = pad.getBoundingClientRect();
  return [(event.clientX - paper.left) / paper.width, (event.clientY - paper.top) / paper.height];
}

function listenToKeys() {
  pad.addEventListener("keydown", (event) => {
    if (event.key in WAYS) moveKeyPen(WAYS[event.key], event.shiftKey ? KEY_STEP / 4 : KEY_STEP);
    else if (event.key === " ") putKeyPen(!keyPen.down);
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) undo();
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
  });
  pad.addEventListener("blur", () => putKeyPen(false));
}

function moveKeyPen(/** @type {number[]} */ [x, y], /** @type {number} */ step) {
  keyPen.x = clamp(keyPen.x + step * x, MARGIN, 1 - MARGIN);
  keyPen.y = clamp(keyPen.y + step * y, MARGIN, 1 - MARGIN);
  if (keyPen.down) extend([[keyPen.x, keyPen.y]]);
  showKeyPen();
}

function putKeyPen(/** @type {boolean} */ down) {
  if (down) begin([keyPen.x, keyPen.y]);
  keyPen.down = down;
  showKeyPen();
}

function showKeyPen() {
  const pen = byId("pen");
  pen.hidden = document.activeElement !== pad;
  pen.classList.toggle("down", keyPen.down);
  pen.style.setProperty("--x", keyPen.x);
  pen.style.setProperty("--y", keyPen.y);
}

/** @param {number[]} point */
function begin(point) {
  picture = null;
  strokes.push([point]);
  changed();
}

/** @param {number[][]} points */
function extend(points) {
  strokes[strokes.length - 1].push(...points);
  changed();
}

const undo = () => setStrokes(strokes.slice(0, -1));
const clear = () => setStrokes([]);

function setStrokes(/** @type {number[][][]} */ left) {
  strokes = left;
  picture = null;
  keyPen.down = false;
  changed();
}

/** Show the paper as it is now, and let be asked what it shows. */
function changed() {
  redraw();
  update({ pixels: strokes.length ? readPaper() : null });
}

function redraw() {
  const context = /** @type {CanvasRenderingContext2D} */ (pad.getContext("2d"));
  context.clearRect(0, 0, pad.width, pad.height);
  context.imageSmoothingEnabled = false;
  if (picture) context.drawImage(picture, 0, 0, pad.width, pad.height);
  drawStrokes(context, pad.width, getComputedStyle(pad).color);
  const blank = !strokes.length && !picture;
  byId("pad-hint").hidden = !blank;
  byId("undo").disabled = byId("clear").disabled = blank;
}

/** @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} on @param {number} side @param {string} colour */
function drawStrokes(on, side, colour) {
  Object.assign(on, { lineWidth: PEN_SHARE * side, lineCap: "round", lineJoin: "round", strokeStyle: colour });
  for (const stroke of strokes) {
    on.beginPath();
    on.moveTo(side * stroke[0][0], side * stroke[0][1]);
    for (const [x, y] of stroke) on.lineTo(side * x, side * y);
    on.stroke();
  }
}

function readPaper() {
  if (!read) return null;
  read.clearRect(0, 0, READ_SIDE, READ_SIDE);
  drawStrokes(read, READ_SIDE, "black");
  const ink = read.getImageData(0, 0, READ_SIDE, READ_SIDE).data.filter((_, index) => index % 4 === 3); // how opaque
  return toMnistForm(ink, READ_SIDE, READ_SIDE);
}

/** @param {File | undefined} file */
async function open(file) {
  if (!file) return;
  clear();
  try {
    const { canvas, pixels } = await readPicture(file);
    showPicture(canvas, pixels);
  } catch (error) {
    byId("sure").textContent = `${file.name} is ${/** @type {Error} */ (error).message}.`;
  }
}

/** @param {CanvasImageSource} shown @param {ArrayLike<number>} pixels */
function showPicture(shown, pixels) {
  strokes = [];
  picture = shown;
  redraw();
  update({ pixels });
}

/** @param {{images: number[][], labels: number[], digits: number[]}} samples */
function showSamples({ images, labels, digits }) {
  const items = images.map((pixels, index) => {
    const wrong = labels[index] !== digits[index];
    const canvas = pixelCanvas("", "dark");
    paintPixels(canvas, pixels);
    const caption = element("span", {}, wrong ? `${labels[index]} → ${digits[index]}` : `${labels[index]}`);
    const words = `Label ${labels[index]}${wrong ? `, read as ${digits[index]}` : ""}`;
    const button = element("button", { type: "button", "aria-label": words, class: wrong ? "wrong" : "" }, canvas, caption);
    button.addEventListener("click", () => showPicture(canvas, pixels));
    return element("li", {}, button);
  });
  byId("samples").replaceChildren(...items);
}
