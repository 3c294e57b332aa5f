/** What perceptrons learn, epoch by epoch, by the rule of models/perceptron.py, which a test holds this equal to. */

import { answer } from "./maths.js";

/** Two weights and a bias from -1 to 1, which cover the cube evenly as seeds go on (the R3 sequence of Roberts 2018). */
export const start = (/** @type {number} */ seed) => [1, 2, 3].map((power) => 2 * ((0.5 + (seed + 1) / 1.2207440846 ** power) % 1) - 1);

/** The unit as it starts, then after each pass over the points, whose classes are -1 or 1, until none is wrong.
 * @type {(points: number[][], classes: number[], rate: number, start: number[], maxEpochs: number) => Epoch[]} */
function fit(points, classes, rate, [one, other, bias], maxEpochs) {
  const isWrong = (/** @type {number[]} */ [x, y], /** @type {number} */ place) => Math.sign(one * x + other * y + bias) !== classes[place];
  const epochs = [];
  for (let number = 0, errors = 1; errors && number <= maxEpochs; number++) {
    errors = points.filter(isWrong).length;
    epochs.push({ number, weights: [one, other], bias, errors });
    for (const [place, point] of points.entries()) {
      const step = isWrong(point, place) ? rate * classes[place] : 0;
      [one, other, bias] = [one + step * point[0], other + step * point[1], bias + step];
    }
  }
  return epochs;
}

/** One unit; or two hidden ones, the first for the ones on the left half and the second for those on the right, and the output.
 * @type {(points: number[][], target: string, rate: number, starts: number[][], maxEpochs: number) => Unit[]} */
export function train(points, target, rate, starts, maxEpochs) {
  const classes = [...target].map((digit) => (digit === "1" ? 1 : -1));
  if (starts.length === 1) return [{ epochs: fit(points, classes, rate, starts[0], maxEpochs) }];
  const hidden = [false, true].map((isRight, unit) => {
    const own = classes.map((label, place) => (points[place][0] > 0.5 === isRight ? label : -1));
    return fit(points, own, rate, starts[unit], maxEpochs);
  });
  const answers = points.map((point) => hidden.map((epochs) => answer(epochs.slice(-1), point)));
  return [...hidden, fit(answers, classes, rate, starts[2], maxEpochs)].map((epochs) => ({ epochs }));
}
