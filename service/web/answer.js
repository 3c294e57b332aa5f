/** The answer to what is drawn: how sure the model is, whether it stands by that, and a bar for each digit. */

import { button, byId, element, on, percent } from "./paint.js";
import { isLinear, onChange, present, whenShown, update } from "./present.js";

const SPEAK_AFTER_MILLISECONDS = 700; // without a change, so that a screen reader is not flooded
const STALE_AFTER_MILLISECONDS = 200; // of a picture that is drawn on: until then the next answer is likely to be here

/** @type {number | null} the digit that was chosen; one that is pointed at goes before it */
let chosen = null;
let [speaking, staling] = [0, 0]; // timers

export function startAnswer() {
  byId("bars").append(...Array.from({ length: 10 }, (_, digit) => bar(digit)));
  onChange((changed) => {
    if (changed.picture === null) present.asked = chosen = null;
    if ("answer" in changed) clearTimeout(staling), (staling = 0);
    if (present.answer && present.answer.picture !== present.picture)
      staling ||= window.setTimeout(() => update({ answer: null }), STALE_AFTER_MILLISECONDS);
  });
  whenShown("draw", ["picture", "answer", "notice", "card"], show);
}

/** @param {number} digit */
function bar(digit) {
  const track = element("span", { class: "track" }, element("i"));
  const point = (/** @type {number | null} */ pointed) => update({ asked: pointed ?? chosen });
  const made = button({}, () => {
    chosen = chosen === digit ? null : digit;
    showChosen();
    point(digit);
  }, element("b", {}, `${digit}`), track, element("span", { class: "value" }));
  on(made, "pointerenter focus", () => point(digit));
  on(made, "pointerleave blur", () => point(null));
  return element("li", {}, made);
}

function show() {
  const { picture, answer, card, notice } = present;
  const { look, words } = answer ? verdict(answer) : { look: "", words: notice || (picture ? "Reading …" : "Nothing is drawn yet.") };
  byId("answer").dataset.look = look;
  byId("digit").textContent = answer ? `${answer.digit}` : "–";
  byId("sure").textContent = words;
  const novelty = answer?.novelty;
  byId("novelty").textContent = novelty === undefined ? "" : `Novelty: ${percent(novelty)} of the validation digits look more usual.`;
  const hint = answer ? [notice, answer.hint].filter(Boolean).join(" ") : "";
  byId("hint").textContent = hint;
  clearTimeout(speaking);
  const spoken = `${look === "accepted" ? `${answer?.digit}, ` : ""}${words}${answer && notice && ` ${notice}`}`;
  speaking = window.setTimeout(() => (byId("spoken").textContent = spoken), SPEAK_AFTER_MILLISECONDS);
  const likely = answer ? ranked(answer.probabilities).slice(0, look === "doubtful" ? 2 : 1) : [];
  for (const [digit, item] of [...byId("bars").children].entries()) {
    item.classList.toggle("best", likely.includes(digit));
    item.style.setProperty("--share", answer?.probabilities[digit] ?? 0);
    item.querySelector(".value").textContent = answer ? percent(answer.probabilities[digit]) : "–";
    item.firstChild.disabled = card && !isLinear(card); // there is evidence for the digit answered alone
  }
  showChosen();
}

function showChosen() {
  for (const [digit, item] of [...byId("bars").children].entries()) item.firstChild.ariaPressed = `${chosen === digit}`;
}

/** How an answer looks, and what is said of it. @param {Answer} answer */
function verdict({ digit, probabilities, novelty = 0, accepted = true }) {
  if (accepted) return { look: "accepted", words: `${percent(probabilities[digit])} sure` };
  const isNovel = novelty > (present.card?.thresholds?.max_novelty ?? 1);
  if (isNovel) return { look: "novel", words: `This does not look like a digit; the nearest is ${digit}.` };
  return { look: "doubtful", words: `Not sure: it could be ${ranked(probabilities).slice(0, 2).join(" or ")}.` };
}

/** The digits, the most probable first. @param {number[]} probabilities */
function ranked(probabilities) {
  return [...probabilities.keys()].sort((one, other) => probabilities[other] - probabilities[one]);
}
