/** What is looked at now: the picture, the answer to it, and the model that is served. Views listen for changes.
 *
 * @typedef {{model: string, digit: number, probabilities: number[], hint?: string}} Answer
 * @typedef {{model: string, weights: number[][], biases: number[]}} Weights  784 × 10 for pixels scaled to 0-1, and 10
 * @typedef {object} Present
 * @property {ArrayLike<number> | null} pixels  784, 0 to 255; null where nothing is drawn
 * @property {Answer | null} answer
 * @property {Weights | null} weights
 * @property {any} card  as GET /model has it
 * @property {any} samples  as GET /samples has them
 */

/** @type {Present} */
export const present = { pixels: null, answer: null, weights: null, card: null, samples: null };

/** @type {((changed: Partial<Present>) => void)[]} */
const listeners = [];

/** @param {(changed: Partial<Present>) => void} listener  called after each change with what was given */
export const onChange = (listener) => void listeners.push(listener);

/** @param {Partial<Present>} changes */
export function update(changes) {
  Object.assign(present, changes);
  for (const listener of listeners) listener(changes);
}
