/** The plane of the perceptron: points to press, drag and add, the lines of its units, and the sides that they make. */

import { answer, clamp, lineIn, regions } from "./maths.js";
import { byId, element, shape } from "./paint.js";

const [LOW, HIGH] = [-0.3, 1.3];
const PLANE = [[LOW, LOW], [HIGH, LOW], [HIGH, HIGH], [LOW, HIGH]];
const ARROWS = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] };
const DRAG_FROM = 4; // of a screen's pixels: less is a press that trembled
export const MAX_POINTS = 20;

/** Keep a point within the plane, to two decimals. @param {number[]} point */
export const placed = (point) => point.map((coordinate) => Math.round(100 * clamp(coordinate, -0.2, 1.2)) / 100);

/** @type {number[][]} */
let points = [];
let target = "";
/** @type {(points: number[][], target: string, said: string | null) => void} */
let change;

/** @param {typeof change} onChange  with what is to be said of the change, or null while a point is being dragged */
export function startPlane(onChange) {
  change = onChange;
  byId("plane").addEventListener("click", (/** @type {MouseEvent} */ event) => add(pointAt(event)));
  byId("add-point").addEventListener("click", () => {
    add([0.3 + 0.4 * ((points.length * 0.618) % 1), 0.3 + 0.4 * ((points.length * 0.755) % 1)]); // rarely one upon another
    buttons().at(-1)?.focus();
  });
  byId("remove-point").addEventListener("click", () => remove(points.length - 1));
}

/** @returns {HTMLButtonElement[]} */
const buttons = () => [...byId("square").querySelectorAll(".point")];

function pointAt(/** @type {MouseEvent} */ { clientX, clientY }) {
  const { left, top, width, height } = byId("plane").getBoundingClientRect();
  return [LOW + ((HIGH - LOW) * (clientX - left)) / width, HIGH - ((HIGH - LOW) * (clientY - top)) / height];
}

const told = (/** @type {number[]} */ point, /** @type {string} */ label) => `(${point.join(", ")}) is of class ${label}`;

function add(/** @type {number[]} */ point) {
  if (points.length < MAX_POINTS) change([...points, placed(point)], `${target}1`, `${told(placed(point), "1")}. `);
}

function remove(/** @type {number} */ place) {
  if (points.length > 1) change(points.toSpliced(place, 1), target.slice(0, place) + target.slice(place + 1), "Removed. ");
}

function move(/** @type {number} */ place, /** @type {number[]} */ point, isDone = true) {
  change(points.with(place, placed(point)), target, isDone ? `${told(placed(point), target[place])}. ` : null);
}

function flip(/** @type {number} */ place) {
  const flipped = target[place] === "1" ? "0" : "1";
  change(points, target.slice(0, place) + flipped + target.slice(place + 1), `${told(points[place], flipped)}. `);
}

function pointButton(/** @type {number} */ place) {
  const button = element("button", { type: "button", class: "point", "aria-describedby": "plane-keys" });
  /** @type {PointerEvent | null} */
  let pressed = null;
  let isDragged = false;
  button.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button) return;
    [pressed, isDragged] = [event, false];
    button.setPointerCapture(event.pointerId);
  });
  button.addEventListener("pointermove", (event) => {
    if (!pressed) return;
    isDragged ||= Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) >= DRAG_FROM;
    if (isDragged) move(place, pointAt(event), false);
  });
  button.addEventListener("lostpointercapture", () => {
    pressed = null;
    if (isDragged) move(place, points[place]);
  });
  // The click that ends a drag is none; one by keyboard has no detail.
  button.addEventListener("click", ({ detail }) => (isDragged && detail) || flip(place));
  button.addEventListener("keydown", (event) => {
    const by = ARROWS[/** @type {keyof typeof ARROWS} */ (event.key)];
    if (by) move(place, points[place].map((coordinate, axis) => coordinate + by[axis]));
    else if (event.key === "Delete") remove(place);
    else return;
    event.preventDefault();
    buttons()[Math.min(place, points.length - 1)].focus();
  });
  return button;
}

/** Show points and their classes, and of a frame what its units answer. @type {(given: number[][], classes: string, frame: import("./maths.js").Frame) => void} */
export function showPlane(given, classes, { units, learning }) {
  [points, target] = [given, classes];
  showUnits(units, learning !== "hidden");
  for (const button of buttons().slice(points.length)) button.remove();
  for (let place = buttons().length; place < points.length; place++) byId("square").append(pointButton(place));
  for (const [place, button] of buttons().entries()) {
    const wrong = learning !== "hidden" && answer(units, points[place]) !== (target[place] === "1" ? 1 : -1);
    for (const [axis, name] of ["--x", "--y"].entries()) button.style.setProperty(name, `${(points[place][axis] - LOW) / (HIGH - LOW)}`);
    button.textContent = target[place];
    button.classList.toggle("one", target[place] === "1");
    button.classList.toggle("wrong", wrong);
    button.setAttribute("aria-label", `${told(points[place], target[place])}${wrong ? ", answered wrongly" : ""}; press to change it`);
  }
  byId("add-point").disabled = points.length === MAX_POINTS;
  byId("remove-point").disabled = points.length === 1;
}

/** @param {import("./maths.js").Epoch[]} units @param {boolean} isShaded */
function showUnits(units, isShaded) {
  const path = (/** @type {number[][]} */ ends) => ends.map(([x, y]) => `${x},${-y}`).join(" "); // in SVG, up is less
  const lines = units.slice(0, 2).map(({ weights, bias }) => lineIn(PLANE, weights, bias));
  const names = units.length > 1 ? ["h₁", "h₂"] : [];
  byId("plane").replaceChildren(
    ...(isShaded ? regions(units, PLANE) : []).map((region) => shape("polygon", { class: region.answer > 0 ? "one" : "zero", points: path(region.polygon) })),
    shape("rect", { class: "unit", x: 0, y: -1, width: 1, height: 1 }),
    ...lines.map((ends, unit) => shape("polyline", { class: `line${unit ? " second" : ""}`, points: path(ends) })),
    ...names.flatMap((name, unit) => lines[unit].slice(0, 1).map(([x, y]) => shape("text", { x: 0.92 * x + 0.02, y: -0.92 * y }, name))),
    shape("text", { x: 0.47, y: 0.2 }, "x₁"),
    shape("text", { x: -0.25, y: -0.48 }, "x₂"),
  );
}
