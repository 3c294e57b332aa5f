/** The plane of the perceptron: points to press, drag and add, the lines of its units, and the sides that they make. */

import { answer, clamp, lineIn, regions } from "./maths.js";
import { button, byId, on, polyline, shape, text } from "./paint.js";

const [LOW, SIDE] = [-0.3, 1.6];
const PLANE = [[0, 0], [1, 0], [1, 1], [0, 1]].map((corner) => corner.map((share) => LOW + share * SIDE));
const ARROWS = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, 0.05], ArrowDown: [0, -0.05] };
const DRAG_FROM = 4; // of a screen's pixels: less is a press that trembled
export const MAX_POINTS = 20;

/** Within the plane, to two decimals. @param {number[]} point */
export const placed = (point) => point.map((coordinate) => Math.round(100 * clamp(coordinate, -0.2, 1.2)) / 100);

/** @type {number[][]} */
let points = [];
let target = "";
/** @type {(points: number[][], target: string) => void} */
let change;

export function startPlane(/** @type {typeof change} */ onChange) {
  change = onChange;
  on("plane", "click", (event) => put(points.length, pointAt(event), "1"));
  on("add-point", "click", () => {
    put(points.length, [0.3 + 0.4 * ((points.length * 0.618) % 1), 0.3 + 0.4 * ((points.length * 0.755) % 1)], "1"); // rarely on another
    buttons()[points.length - 1].focus();
  });
  on("remove-point", "click", () => remove(points.length - 1));
}

/** @returns {HTMLButtonElement[]} */
const buttons = () => [...byId("square").querySelectorAll(".point")];

function pointAt(/** @type {MouseEvent} */ { clientX, clientY }) {
  const { left, bottom, width, height } = byId("plane").getBoundingClientRect();
  return placed([LOW + (SIDE * (clientX - left)) / width, LOW + (SIDE * (bottom - clientY)) / height]);
}

function put(/** @type {number} */ place, /** @type {number[]} */ point, label = target[place]) {
  if (place < MAX_POINTS) change([...points.slice(0, place), placed(point), ...points.slice(place + 1)], target.slice(0, place) + label + target.slice(place + 1));
}

function remove(/** @type {number} */ place) {
  if (points.length > 1) change(points.filter((_, each) => each !== place), target.slice(0, place) + target.slice(place + 1));
}

function pointButton(/** @type {number} */ place) {
  /** @type {PointerEvent | null} */
  let pressed = null;
  /** @type {number[] | null} */
  let dragged = null;
  // The click that ends a drag is none; one by keyboard has no detail.
  const made = button({ class: "point", "aria-describedby": "plane-keys" }, ({ detail }) => (dragged && detail) || change(points, flipped(place)));
  on(made, "pointerdown", (event) => {
    [pressed, dragged] = [event, null];
    made.setPointerCapture(event.pointerId);
  });
  on(made, "pointermove", (event) => {
    if (!pressed || (!dragged && Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) < DRAG_FROM)) return;
    dragged = pointAt(event);
    show(made, dragged);
  });
  on(made, "lostpointercapture", () => {
    pressed = null;
    if (dragged) put(place, dragged);
  });
  on(made, "keydown", (event) => {
    const by = ARROWS[/** @type {keyof typeof ARROWS} */ (event.key)];
    if (by) put(place, points[place].map((coordinate, axis) => coordinate + by[axis]));
    else if (event.key === "Delete") remove(place);
    else return;
    event.preventDefault();
    buttons()[Math.min(place, points.length - 1)].focus();
  });
  return made;
}

const flipped = (/** @type {number} */ place) => target.slice(0, place) + (1 - Number(target[place])) + target.slice(place + 1);

function show(/** @type {HTMLElement} */ button, /** @type {number[]} */ point) {
  for (const [axis, name] of ["--x", "--y"].entries()) button.style.setProperty(name, `${(point[axis] - LOW) / SIDE}`);
}

/** @type {(given: number[][], classes: string, frame: Frame) => void} */
export function showPlane(given, classes, { units, learning }) {
  [points, target] = [given, classes];
  showUnits(units, learning !== "hidden");
  for (const each of buttons().slice(points.length)) each.remove();
  for (let place = buttons().length; place < points.length; place++) byId("square").append(pointButton(place));
  for (const [place, each] of buttons().entries()) {
    const [point, label] = [points[place], target[place]];
    const wrong = learning !== "hidden" && answer(units, point) !== (label === "1" ? 1 : -1);
    show(each, point);
    each.textContent = label;
    each.classList.toggle("one", label === "1");
    each.classList.toggle("wrong", wrong);
    each.ariaLabel = `(${point.join(", ")}) is of class ${label}${wrong ? ", answered wrongly" : ""}; press to change it`;
  }
  byId("add-point").disabled = points.length === MAX_POINTS;
  byId("remove-point").disabled = points.length === 1;
}

/** @param {Epoch[]} units @param {boolean} isShaded */
function showUnits(units, isShaded) {
  const upwards = (/** @type {number[][]} */ ends) => ends.map(([x, y]) => [x, -y]); // in SVG, up is less
  const lines = units.slice(0, 2).map(({ weights, bias }) => lineIn(PLANE, weights, bias));
  const names = units.length > 1 ? ["h₁", "h₂"] : [];
  byId("plane").replaceChildren(
    ...(isShaded ? regions(units, PLANE) : []).map((region) => shape("polygon", { class: region.answer > 0 ? "one" : "zero", points: upwards(region.polygon).join(" ") })),
    shape("rect", { class: "unit", x: 0, y: -1, width: 1, height: 1 }),
    ...lines.map((ends, unit) => polyline(upwards(ends), `line${unit ? " second" : ""}`)),
    ...names.flatMap((name, unit) => lines[unit].slice(0, 1).map(([x, y]) => text(0.92 * x + 0.02, -0.92 * y - 0.03, name))),
    text(0.47, 0.2, "x₁"),
    text(-0.25, -0.48, "x₂"),
  );
}
