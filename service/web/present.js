/** What is looked at now: the picture, the answer to it, and the model that is served. Views listen for changes.
 *
 * @typedef {{pixels: ArrayLike<number> | null, file?: Blob, drawing: number, sent?: number[]}} Picture  784 pixels, 0 to 255, which of
 *   a file the answer brings, with those before deskewing as `sent`; what is drawn stroke by stroke has one number
 * @typedef {{picture: Picture, model: string, digit: number, probabilities: number[], hint?: string, novelty?: number,
 *   accepted?: boolean}} Answer
 * @typedef {{model: string, method: "linear" | "occlusion", picture: Picture, evidence: import("./api.js").Evidence}} Explanation
 * @typedef {{model: string, weights: number[][], biases: number[]}} Weights  784 × 10 for pixels scaled to 0-1, and 10
 * @typedef {object} Present
 * @property {string} view  that is shown; the others do nothing
 * @property {Picture | null} picture  null where nothing is drawn
 * @property {Answer | null} answer
 * @property {string} notice  why a file is not shown, or not answered
 * @property {number | null} asked  the digit whose evidence is asked for, in place of the one answered
 * @property {Weights | null} weights  null where the model is not linear
 * @property {Explanation | null} explanation  of such a model, by the service
 * @property {any} card  as GET /model has it
 * @property {any} samples  as GET /samples has them
 */

/** @type {Present} */
export const present = {
  view: "", picture: null, answer: null, notice: "", asked: null, weights: null, explanation: null, card: null, samples: null,
};

/** Whether the card says that a weight for each pixel and digit is all there is. @type {(card: any) => boolean} */
export const isLinear = (card) => card.capabilities.includes("linear_evidence");

/** @type {((changed: Partial<Present>) => void)[]} */
const listeners = [];

/** @param {(changed: Partial<Present>) => void} listener  called after each change with what was given */
export const onChange = (listener) => void listeners.push(listener);

/** Call `show` after changes of some of what is present, while `view` is shown, and when it is opened.
 * @type {(view: string, names: (keyof Present)[], show: (changed: Partial<Present>) => void) => void} */
export const whenShown = (view, names, show) =>
  onChange((changed) => present.view === view && [...names, "view"].some((name) => name in changed) && show(changed));

/** @param {Partial<Present>} changes */
export function update(changes) {
  Object.assign(present, changes);
  for (const listener of listeners) listener(changes);
}
