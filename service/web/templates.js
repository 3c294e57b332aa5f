/** The view of what the model has learned: ten templates, and what each one makes of the drawing; or why there are none. */

import { evidence, scaleOfEvidence, scaleOfWeights } from "./maths.js";
import { byId, element, on, paintShares, percent, pixelCanvas, signed } from "./paint.js";
import { paintFrom } from "./pictures.js";
import { isLinear, present, whenShown } from "./present.js";

/** @type {Record<string, string>} what training draws, in place of templates, of architectures that have none */
const DRAWN = {
  deskew: "It makes a picture upright first; these are its weights for that.",
  conv: "These are the filters of its first layer, each of which is laid over every part of a picture.",
};

export function startTemplates() {
  byId("template-list").append(...Array.from({ length: 10 }, (_, digit) => {
    const words = [element("b", {}, `${digit}`), element("span", { class: "value" })];
    const button = element("button", {}, pixelCanvas(`Template of ${digit}`), ...words);
    on(button, "pointerenter focus click", () => show(digit));
    on(button, "pointerleave blur", () => show(null));
    return element("li", {}, button);
  }));
  whenShown("templates", ["card"], () => present.card && showWhich(present.card));
  whenShown("templates", ["weights", "answer", "picture"], () => show(null));
}

function showWhich(/** @type {any} */ card) {
  byId("linear").hidden = !isLinear(card);
  byId("not-linear").hidden = isLinear(card);
  if (isLinear(card)) return;
  byId("no-templates").textContent = `This version (${card.recipe.name}) has no templates: it is not linear in the pixels that it is sent. ` +
    `${DRAWN[card.architecture] ?? ""}`;
  paintFrom(byId("weights"));
}

/** @param {number | null} pointed  the digit under which the picture is laid */
function show(pointed) {
  const { weights, picture, answer } = present;
  if (!weights) return;
  const [pixels, scale] = [picture?.pixels, scaleOfWeights(weights)];
  for (const [digit, item] of [...byId("template-list").children].entries()) {
    const canvas = item.querySelector("canvas");
    const found = pixels && evidence(weights, pixels, digit);
    if (found && digit === pointed) paintShares(canvas, found.shares, scaleOfEvidence(weights, pixels), pixels);
    else paintShares(canvas, weights.weights.map((row) => row[digit]), scale);
    item.querySelector(".value").textContent = found ? signed(found.logit) : "";
    item.classList.toggle("best", answer?.digit === digit);
  }
  byId("share").textContent = words(pointed);
}

/** @param {number | null} pointed */
function words(pointed) {
  const { weights, picture, answer } = present;
  const pixels = picture?.pixels;
  if (!weights || !pixels) return "Draw a digit first, or choose one of the twenty: then each template shows what it makes of it.";
  if (pointed === null) return "Beside each digit stands its score for your picture. The highest is the answer.";
  const { speaking, objecting, bias, logit } = evidence(weights, pixels, pointed);
  const share = answer ? ` It has ${percent(answer.probabilities[pointed])} of the answer.` : "";
  return `${pointed} scores ${signed(logit)}: ${signed(speaking)} for, ${signed(objecting)} against, ${signed(bias)} constant.${share}`;
}
