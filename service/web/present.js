/** What is looked at now: the picture, the answer to it, and the model that is served. Views listen for changes. */

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
