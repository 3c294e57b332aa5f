/** The paper with its pen and eraser: strokes by mouse, finger, pen or keys, or a picture in their place; each step can be undone. */

import { listenForFiles } from "./folders.js";
import { clamp, toMnistForm } from "./maths.js";
import { button, byId, element, on, paintPixels, pixelCanvas } from "./paint.js";
import { contextOf, decoded, drawFitted, sendable } from "./pictures.js";
import { onChange, present, update } from "./present.js";
import { drawStrokes, fromAddress, snapped, toAddress } from "./strokes.js";

const READ_SIDE = 280; // pixels of the paper as it is read; more would not be seen in 28
const [KEY_STEP, MARGIN] = [0.04, 0.05]; // of the paper's side
const NEAR = 0.004; // of the paper's side: a point so near to the last one would not be seen
const ERASER_BUTTON = 5; // of a pen that is turned over
/** @type {Record<string, number[]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const pad = /** @type {HTMLCanvasElement} */ (byId("pad"));
const read = contextOf(READ_SIDE, READ_SIDE);

const BLANK = /** @type {Sheet} */ ({ strokes: [], opened: null });
let sheet = BLANK;
/** @type {{past: Sheet[], future: Sheet[]}} */
const history = { past: [], future: [] };
let drawing = 0; // a number for what is drawn without a break
let opening = 0; // a number for the file that is waited for
/** @type {number | null} the mouse, pen or first finger that is drawing; a second finger is not */
let pointer = null;
const keyPen = { x: 0.5, y: 0.5, down: false };

export function startDraw() {
  listenToPen();
  listenToKeys();
  on("undo", "click", () => step("past", "future"));
  on("redo", "click", () => step("future", "past"));
  on("clear", "click", clear);
  on("eraser", "click", () => byId("eraser").ariaPressed = String(!isErasing()));
  on("pen-width", "input", showKeyPen);
  listenForFiles(byId("paper"), [byId("open")], (found) => open(found.map(({ file }) => file)));
  on(document, "paste", (event) => {
    if (present.view === "draw") open([...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/")));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  onChange(({ samples }) => samples && showSamples(samples));
  redraw();
}

/** Draw what the page's address says, or let it say what is drawn. @param {URLSearchParams} query */
export function openDrawing(query) {
  const strokes = fromAddress(query.get("strokes") ?? "");
  if (strokes.length && toAddress(strokes) !== toAddress(sheet.strokes)) put({ strokes, opened: null });
  else showAddress();
}

function showAddress() {
  const words = sheet.strokes.length ? `?strokes=${toAddress(sheet.strokes)}` : "";
  if (present.view === "draw") window.history.replaceState(null, "", words || location.hash ? `#draw${words}` : location.href);
}

/** The sheet as it is saved: black ink on white. @returns {Promise<Blob>} */
export function sheetAsPng() {
  const context = contextOf(pad.width, pad.height);
  if (sheet.opened) drawFitted(context, sheet.opened.shown);
  drawStrokes(context, sheet.strokes, "black");
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, pad.width, pad.height);
  return context.canvas.convertToBlob();
}

const isErasing = () => byId("eraser").ariaPressed === "true";

function listenToPen() {
  on(pad, "pointerdown", (event) => {
    if (pointer !== null || ![0, ERASER_BUTTON].includes(event.button)) return;
    pad.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    begin(place(event), event.button === ERASER_BUTTON || isErasing());
  });
  on(pad, "pointermove", (event) => {
    if (event.pointerId !== pointer) return;
    const between = event.getCoalescedEvents();
    extend((between.length ? between : [event]).map(place));
  });
  on(pad, "lostpointercapture", (event) => {
    if (event.pointerId !== pointer) return;
    pointer = null;
    showAddress();
  });
}

function place(/** @type {PointerEvent} */ { clientX, clientY }) {
  const { left, top, width, height } = pad.getBoundingClientRect();
  return [snapped((clientX - left) / width), snapped((clientY - top) / height)];
}

function listenToKeys() {
  on(pad, "keydown", (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    if (event.key in WAYS) moveKeyPen(WAYS[event.key], event.shiftKey ? KEY_STEP / 4 : KEY_STEP);
    else if (event.key === " ") putKeyPen(!keyPen.down);
    else if (isCommand && (event.key === "y" || event.key === "Z")) step("future", "past");
    else if (isCommand && event.key === "z") step("past", "future");
    else if (event.key === "Delete" || event.key === "Backspace") clear();
    else return;
    event.preventDefault();
  });
  on(pad, "focus", showKeyPen);
  on(pad, "blur", () => putKeyPen(false));
}

function moveKeyPen(/** @type {number[]} */ [x, y], /** @type {number} */ length) {
  keyPen.x = clamp(keyPen.x + length * x, MARGIN, 1 - MARGIN);
  keyPen.y = clamp(keyPen.y + length * y, MARGIN, 1 - MARGIN);
  if (keyPen.down) extend([[keyPen.x, keyPen.y]]);
  showKeyPen();
}

function putKeyPen(/** @type {boolean} */ down) {
  if (down) begin([keyPen.x, keyPen.y], isErasing());
  else if (keyPen.down) showAddress();
  keyPen.down = down;
  showKeyPen();
}

function showKeyPen() {
  const pen = byId("pen");
  pen.hidden = !pad.matches(":focus-visible");
  pen.classList.toggle("down", keyPen.down);
  pen.style.setProperty("--x", keyPen.x);
  pen.style.setProperty("--y", keyPen.y);
  pen.style.setProperty("--width", byId("pen-width").value);
}

/** Let another sheet be the present one, which can be undone. */
function put(/** @type {Sheet} */ next, isDrawnOn = false) {
  history.past.push(sheet);
  history.future = [];
  turnTo(next, isDrawnOn);
}

function turnTo(/** @type {Sheet} */ next, isDrawnOn = false) {
  sheet = next;
  changed(isDrawnOn);
  showAddress();
}

/** @type {(from: "past" | "future", to: "past" | "future") => void} */
function step(from, to) {
  const next = history[from].pop();
  if (!next) return;
  history[to].push(sheet);
  [keyPen.down, pointer] = [false, null]; // or the pen would go on with a stroke of that sheet
  turnTo(next);
}

function clear() {
  if (sheet !== BLANK) put(BLANK);
  keyPen.down = false;
}

/** @param {number[]} point @param {boolean} erases */
function begin(point, erases) {
  const { strokes } = sheet;
  if (erases && !strokes.length) return;
  put({ strokes: [...strokes, { points: [point], width: byId("pen-width").value / 100, erases }], opened: null }, strokes.length > 0);
}

/** @param {number[][]} points */
function extend(points) {
  const stroke = sheet.strokes.at(-1)?.points;
  if (!stroke) return;
  for (const [x, y] of points) {
    const [lastX, lastY] = stroke[stroke.length - 1];
    if (Math.hypot(x - lastX, y - lastY) >= NEAR) stroke.push([x, y]);
  }
  changed(true);
}

/** Show the sheet as it is now, and let be asked what it shows; the answer to another drawing is taken away. */
function changed(isDrawnOn = false) {
  opening++;
  drawing += Number(!isDrawnOn);
  redraw();
  const picture = sheet.opened ? { ...sheet.opened.picture, drawing } : readStrokes();
  update({ picture, notice: "", ...(isDrawnOn ? {} : { answer: null }) });
}

function redraw() {
  const context = /** @type {CanvasRenderingContext2D} */ (pad.getContext("2d"));
  context.clearRect(0, 0, pad.width, pad.height);
  if (sheet.opened) drawFitted(context, sheet.opened.shown);
  drawStrokes(context, sheet.strokes, getComputedStyle(pad).color);
  byId("pad-hint").hidden = sheet !== BLANK;
  byId("clear").disabled = sheet === BLANK;
  byId("undo").disabled = !history.past.length;
  byId("redo").disabled = !history.future.length;
}

/** @returns {Picture | null} */
function readStrokes() {
  read.clearRect(0, 0, READ_SIDE, READ_SIDE);
  drawStrokes(read, sheet.strokes, "black");
  const { data } = read.getImageData(0, 0, READ_SIDE, READ_SIDE);
  const ink = new Uint8Array(READ_SIDE ** 2); // how opaque each pixel is
  for (let pixel = 0; pixel < ink.length; pixel++) ink[pixel] = data[4 * pixel + 3];
  const pixels = toMnistForm(ink, READ_SIDE, READ_SIDE);
  return pixels && { pixels, drawing };
}

/** Put the first of `files` onto the sheet, if it is a picture. @param {File[]} files */
async function open([file, ...others]) {
  if (!file) return;
  const mine = ++opening;
  try {
    const shown = await decoded(file);
    const picture = { pixels: null, file: await sendable(file, shown), drawing };
    if (mine !== opening) return; // something else was drawn or opened meanwhile
    put({ ...BLANK, opened: { shown, picture } });
    if (others.length) update({ notice: `Of ${others.length + 1} files only ${file.name} is shown; Batch takes many.` });
  } catch (error) {
    if (mine === opening) update({ notice: `${file.name} is ${/** @type {Error} */ (error).message}.` });
  }
}

/** @param {{images: number[][], labels: number[], digits: number[]}} samples */
function showSamples({ images, labels, digits }) {
  const items = images.map((pixels, index) => {
    const wrong = labels[index] !== digits[index];
    const canvas = pixelCanvas("", "dark");
    paintPixels(canvas, pixels);
    const caption = element("span", {}, wrong ? `${labels[index]} → ${digits[index]}` : `${labels[index]}`);
    const words = `Label ${labels[index]}${wrong ? `, read as ${digits[index]}` : ""}`;
    return element("li", {}, button({ "aria-label": words, class: wrong ? "wrong" : "" }, () => {
      put({ ...BLANK, opened: { shown: canvas, picture: { pixels, drawing } } });
      byId("verdict").scrollIntoView({ block: "nearest" });
    }, canvas, caption));
  });
  byId("samples").replaceChildren(...items);
}
