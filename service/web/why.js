/** The answer to what is drawn: ten bars, what the model sees, and which pixels spoke for a digit and which against. */

import { evidence, scaleOfEvidence } from "./maths.js";
import { byId, element, paintPixels, paintShares, percent, signed } from "./paint.js";
import { onChange, present } from "./present.js";

const SPEAK_AFTER_MILLISECONDS = 700; // without a change, so that a screen reader is not flooded

/** @type {{pointed: number | null, chosen: number | null}} the digit whose evidence is asked for; else the one answered */
const asked = { pointed: null, chosen: null };
/** @type {ReturnType<typeof setTimeout> | undefined} */
let speaking;

export function startWhy() {
  byId("bars").append(...Array.from({ length: 10 }, (_, digit) => bar(digit)));
  onChange((changed) => {
    if (changed.pixels === null) asked.chosen = null;
    if ("pixels" in changed || "answer" in changed || "weights" in changed) show();
  });
}

/** @param {number} digit */
function bar(digit) {
  const track = element("span", { class: "track" }, element("i"));
  const button = element("button", { type: "button" }, element("b", {}, `${digit}`), track, element("span", { class: "value" }));
  const point = (/** @type {number | null} */ pointed) => showEvidence(Object.assign(asked, { pointed }));
  for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => point(digit));
  for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => point(null));
  button.addEventListener("click", () => {
    asked.chosen = asked.chosen === digit ? null : digit;
    point(digit);
  });
  return element("li", {}, button);
}

function show() {
  const { pixels, answer } = present;
  paintPixels(byId("seen"), pixels);
  byId("seen").setAttribute("aria-label", `What the model sees: ${pixels ? "your picture in 28×28 pixels" : "nothing yet"}`);
  byId("digit").textContent = answer ? `${answer.digit}` : "–";
  byId("sure").textContent = answer ? `${percent(answer.probabilities[answer.digit])} sure` : pixels ? "Reading …" : "Nothing is drawn yet.";
  byId("hint").hidden = !answer?.hint;
  byId("hint").textContent = answer?.hint ?? "";
  clearTimeout(speaking);
  speaking = setTimeout(() => (byId("spoken").textContent = `${answer?.digit ?? ""} ${byId("sure").textContent}`), SPEAK_AFTER_MILLISECONDS);
  for (const [digit, item] of [...byId("bars").children].entries()) {
    item.classList.toggle("best", answer?.digit === digit);
    item.style.setProperty("--share", answer?.probabilities[digit] ?? 0);
    item.querySelector(".value").textContent = answer ? percent(answer.probabilities[digit]) : "–";
  }
  showEvidence();
}

function showEvidence({ pointed, chosen } = asked) {
  const { pixels, answer, weights } = present;
  const digit = pointed ?? chosen ?? answer?.digit ?? null;
  for (const [place, item] of [...byId("bars").children].entries()) {
    item.firstChild.setAttribute("aria-pressed", String(chosen === place));
    item.classList.toggle("shown", place === digit && !!pixels);
  }
  const found = pixels && weights && digit !== null ? evidence(weights, pixels, digit) : null;
  const sum = found ? `${signed(found.speaking)} for, ${signed(found.objecting)} against, ${signed(found.bias)} constant` : "nothing yet";
  if (found && pixels && weights) paintShares(byId("evidence"), found.shares, scaleOfEvidence(weights, pixels), pixels);
  else paintShares(byId("evidence"), new Float64Array(784), 1);
  byId("evidence").setAttribute("aria-label", `Evidence${found ? ` for ${digit}` : ""}: ${sum}`);
  byId("evidence-digit").textContent = found ? ` ${digit}` : "";
  byId("sum").textContent = found ? `${digit} scores ${signed(found.logit)}: ${sum}.` : "";
}
