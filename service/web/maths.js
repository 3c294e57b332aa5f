/** All arithmetic of the page, and nothing of the document: MNIST's form, evidence, half planes, a perceptron's film. */

const SIDE = 28; // pixels of a side of the model's picture
const BOX = 20; // MNIST fits the longer side of a digit into so many
const MAX_PIXEL = 255;
const INK_FROM = 20; // of 255: below it is paper, dust or the blur of compression

/** Bring ink, 0 (paper) to 255, row by row, into the form of MNIST's digits: its longer side 20 pixels, its centre of mass in the middle
 * of 28×28. @type {(ink: ArrayLike<number>, width: number, height: number) => Uint8Array | null}  null where there is none */
export function toMnistForm(ink, width, height) {
  const box = inkBox(ink, width, height);
  if (!box) return null;
  const [columns, rows] = [box.width, box.height].map((side) => Math.max(1, Math.round((BOX * side) / Math.max(box.width, box.height))));
  const narrow = resample((x, y) => ink[(box.top + y) * width + box.left + x], box.width, box.height, columns);
  const small = resample((y, x) => narrow[y * columns + x], box.height, columns, rows); // column by column
  return centred((x, y) => small[x * rows + y], columns, rows);
}

/** The smallest box around what counts as ink. @type {(ink: ArrayLike<number>, width: number, height: number) => any} */
function inkBox(ink, width, height) {
  const [columns, rows] = [Array(width).fill(false), Array(height).fill(false)];
  for (let place = 0; place < width * height; place++)
    if (ink[place] > INK_FROM) columns[place % width] = rows[Math.floor(place / width)] = true;
  const [left, top] = [columns.indexOf(true), rows.indexOf(true)];
  return left < 0 ? null : { left, top, width: columns.lastIndexOf(true) - left + 1, height: rows.lastIndexOf(true) - top + 1 };
}

/** Average each line of `length` values into `parts` values, each over the stretch of the line that it covers.
 * @type {(value: (along: number, line: number) => number, length: number, lines: number, parts: number) => Float64Array} */
function resample(value, length, lines, parts) {
  const stretch = length / parts;
  return Float64Array.from({ length: lines * parts }, (_, index) => {
    const [line, part] = [Math.floor(index / parts), index % parts];
    const [from, to] = [part * stretch, Math.min((part + 1) * stretch, length)];
    let sum = 0;
    for (let at = Math.floor(from); at < to; at++) sum += value(at, line) * (Math.min(at + 1, to) - Math.max(at, from));
    return sum / stretch;
  });
}

/** Place values so that their centre of mass is in the middle of 28×28, the strongest as ink at its fullest.
 * @type {(value: (x: number, y: number) => number, columns: number, rows: number) => Uint8Array} */
function centred(value, columns, rows) {
  const places = Array.from({ length: columns * rows }, (_, index) => [index % columns, Math.floor(index / columns)]);
  const total = (/** @type {(place: number[]) => number} */ of) => places.reduce((sum, place) => sum + of(place), 0);
  const mass = total(([x, y]) => value(x, y));
  // MNIST counts pixels from 0 and puts the centre at 14: half a pixel right of the middle, and below it.
  const left = Math.round(SIDE / 2 - total(([x, y]) => value(x, y) * x) / mass);
  const top = Math.round(SIDE / 2 - total(([x, y]) => value(x, y) * y) / mass);
  const corner = clamp(top, 0, SIDE - rows) * SIDE + clamp(left, 0, SIDE - columns);
  const strongest = Math.max(...places.map(([x, y]) => value(x, y)));
  const pixels = new Uint8Array(SIDE * SIDE);
  for (const [x, y] of places) pixels[corner + y * SIDE + x] = Math.round((MAX_PIXEL * value(x, y)) / strongest);
  return pixels;
}

/** @type {(value: number, low: number, high: number) => number} */
export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** What each pixel adds to the logit of `digit` or takes from it, and their sums. Exact, because the model is linear.
 * @param {Weights} model @param {ArrayLike<number>} pixels  784, 0 to 255 @param {number} digit */
export function evidence({ weights, biases }, pixels, digit) {
  return sums(Float64Array.from(pixels, (pixel, place) => (weights[place][digit] * pixel) / MAX_PIXEL), biases[digit]);
}

/** What `shares` of a logit add up to. @param {Float64Array} shares @param {number} bias */
export function sums(shares, bias) {
  const speaking = shares.reduce((sum, share) => sum + Math.max(share, 0), 0);
  const objecting = shares.reduce((sum, share) => sum + Math.min(share, 0), 0);
  return { shares, speaking, objecting, bias, logit: speaking + objecting + bias };
}

/** The size that most values stay below: a scale that a few extremes cannot spoil. @type {(values: number[], share: number) => number} */
function scaleOf(values, share) {
  const sizes = values.map(Math.abs).sort((one, other) => one - other);
  return sizes[Math.floor(share * (sizes.length - 1))] || 1;
}

/** A scale for the evidence of one digit alone. @type {(shares: Float64Array) => number} */
export const scaleOfShares = (shares) => scaleOf([...shares].filter(Boolean), 0.95);

/** One scale for all ten templates. @type {(model: Weights) => number} */
export const scaleOfWeights = ({ weights }) => scaleOf(weights.flat(), 0.995);

/** One scale for the evidence of all ten digits, so that they can be compared. @type {(model: Weights, pixels: ArrayLike<number>) => number} */
export function scaleOfEvidence({ weights }, pixels) {
  const largest = Array.from(pixels, (pixel, place) => (pixel / MAX_PIXEL) * Math.max(...weights[place].map(Math.abs)));
  return scaleOf(largest.filter(Boolean), 0.8);
}

/** The part of a convex polygon where w · point + bias > 0. @type {(polygon: number[][], weights: number[], bias: number) => number[][]} */
export function clip(polygon, weights, bias) {
  const side = (/** @type {number[]} */ [x, y]) => weights[0] * x + weights[1] * y + bias;
  return polygon.flatMap((corner, index) => {
    const next = polygon[(index + 1) % polygon.length];
    const [here, there] = [side(corner), side(next)];
    const kept = here > 0 ? [corner] : [];
    if (here > 0 === there > 0) return kept;
    const way = here / (here - there);
    return [...kept, [corner[0] + way * (next[0] - corner[0]), corner[1] + way * (next[1] - corner[1])]];
  });
}

/** The two ends of the line w · point + bias = 0 in a convex polygon, or none. @type {typeof clip} */
export function lineIn(polygon, weights, bias) {
  return clip(polygon, weights, bias).filter(([x, y]) => Math.abs(weights[0] * x + weights[1] * y + bias) < 1e-9);
}

/** The epochs of a training as they are shown: hidden units learn side by side, the output after them. One unit that is still
 * wrong is never at its last. @type {(units: Unit[]) => Frame[]} */
export function film(units) {
  const first = units.length > 1 ? units.slice(0, 2) : units;
  const half = Math.max(...first.map((unit) => unit.epochs.length));
  const length = half + (units[2]?.epochs.length ?? 0);
  return Array.from({ length }, (_, time) => {
    const shown = units.map(({ epochs }, place) => epochs[clamp(place === 2 ? time - half : time, 0, epochs.length - 1)]);
    const learning = units.length === 1 ? "all" : time < half ? "hidden" : "output";
    const counted = learning === "output" ? shown.slice(2) : shown.slice(0, first.length);
    const errors = counted.reduce((sum, unit) => sum + unit.errors, 0);
    return { units: shown, errors, learning, last: time === length - 1 && (units.length > 1 || !errors) };
  });
}

/** The answer of a unit, or of two hidden ones and the output: -1, 0 or 1. @type {(units: Epoch[], point: number[]) => number} */
export function answer([first, second, output], point) {
  if (output) return answer([output], [answer([first], point), answer([second], point)]);
  return Math.sign(first.weights[0] * point[0] + first.weights[1] * point[1] + first.bias);
}

/** What units answer everywhere in a convex polygon: convex regions. @type {(units: Epoch[], plane: number[][]) => {polygon: number[][], answer: number}[]} */
export function regions([first, second, output], plane) {
  const half = (/** @type {number[][]} */ polygon, /** @type {Epoch} */ { weights, bias }, /** @type {number} */ side) =>
    clip(polygon, [side * weights[0], side * weights[1]], side * bias);
  const found = [1, -1].flatMap((one) => {
    if (!output) return [{ polygon: half(plane, first, one), answer: one }];
    return [1, -1].map((other) => ({ polygon: half(half(plane, first, one), second, other), answer: answer([output], [one, other]) }));
  });
  return found.filter(({ polygon }) => polygon.length);
}
