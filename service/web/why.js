/** Why a digit was answered: what the model sees, and which pixels spoke for the digit and which against. */

import { isPassing, latestOnly, pause, predict } from "./api.js";
import { evidence, scaleOfEvidence, scaleOfShares, sums } from "./maths.js";
import { byId, paintPixels, paintShares, signed } from "./paint.js";
import { isLinear, onChange, present, whenShown, update } from "./present.js";

const EXPLAIN_AFTER_MILLISECONDS = 250; // without a change: it costs the service as much as a hundred answers
/** @type {Record<string, string>} what is said of the evidence, by what the card says that the model can do */
const METHODS = {
  linear_evidence: "This is exact, no estimate: the model is linear, so a digit’s score is a constant plus what each pixel adds or takes away.",
  deskewed_evidence: "This is exact, for the picture made upright: a digit’s score is a constant plus what each of its pixels adds or takes away.",
  neither: "This is an estimate, by occlusion: how much the log-odds of the digit fall where the service takes ink away, patch by patch.",
};

let waiting = 0;

export function startWhy() {
  onChange((changed) => ("answer" in changed || "card" in changed) && explainSoon());
  whenShown("draw", ["picture", "answer", "asked", "card", "explanation"], show);
}

/** Let the service explain what is drawn, once it stays as it is; where the model is linear, the page does it by itself. */
function explainSoon() {
  clearTimeout(waiting);
  const { card, answer, picture, explanation } = present;
  if (!card || isLinear(card) || !answer || !picture) return;
  if (explanation?.picture === picture && explanation.model === answer.model) return; // a file's comes with its answer
  waiting = window.setTimeout(() => explain(picture), EXPLAIN_AFTER_MILLISECONDS);
}

const explain = latestOnly(async (/** @type {Picture} */ picture) => {
  try {
    const { model, method, evidence } = await predict(picture.file ?? [picture.pixels ?? []], "?explain=true");
    if (evidence) update({ explanation: { model, method, picture, evidence: evidence[0] } });
  } catch (/** @type {any} */ error) {
    if (picture !== present.picture) return;
    byId("sum").textContent = `No evidence: ${error.message}`;
    if (!isPassing(error)) return;
    await pause(1000 * (error.retryAfter ?? 2));
    explainSoon();
  }
});

function show() {
  const { picture, answer, card } = present;
  const found = card && picture && (isLinear(card) ? ofWeights() : ofService());
  const pixels = picture?.pixels ?? null;
  for (const [digit, item] of [...byId("bars").children].entries()) item.classList.toggle("shown", digit === found?.digit);
  paintPixels(byId("seen"), pixels);
  byId("seen").setAttribute("aria-label", `What the model sees: ${pixels ? "your picture in 28×28 pixels" : "nothing yet"}`);
  byId("upright").parentElement.hidden = !found?.picture || Boolean(picture?.file); // which is shown upright already
  paintPixels(byId("upright"), found?.picture ?? null);
  paintShares(byId("evidence"), found?.shares ?? new Float64Array(784), found?.scale ?? 1, found && (found.picture ?? answer?.picture.pixels ?? pixels));
  const words = found ? `${found.digit} ${found.words}` : "";
  byId("evidence").setAttribute("aria-label", `Evidence: ${words || "nothing yet"}`);
  byId("evidence-digit").textContent = found ? ` ${found.digit}` : "";
  byId("sum").textContent = words && `${words}.`;
  if (card) byId("method").textContent = METHODS[Object.keys(METHODS).find((each) => card.capabilities.includes(each)) ?? "neither"];
}

/** The evidence that the page computes, for any digit. */
function ofWeights() {
  const { weights, picture, asked, answer } = present;
  const pixels = (answer?.picture ?? picture)?.pixels; // so that scores and probabilities are of one picture
  const digit = asked ?? answer?.digit;
  if (!weights || !pixels || digit === undefined) return null;
  const found = evidence(weights, pixels, digit);
  return { digit, shares: found.shares, scale: scaleOfEvidence(weights, pixels), words: scored(found), picture: undefined };
}

/** The evidence that the service has sent for this picture, which is for the digit answered alone. */
function ofService() {
  const { explanation, answer } = present;
  if (!explanation || explanation.picture !== answer?.picture || explanation.model !== answer.model) return null;
  const { digit, pixels: shares, bias = 0, log_odds: odds = 0, picture } = explanation.evidence;
  const found = sums(Float64Array.from(shares), bias);
  const words = explanation.method === "linear" ? scored(found) : `has log-odds of ${signed(odds)}`;
  return { digit, shares: found.shares, scale: scaleOfShares(found.shares), words, picture };
}

/** @param {ReturnType<typeof sums>} found */
function scored({ logit, speaking, objecting, bias }) {
  return `scores ${signed(logit)}: ${signed(speaking)} for, ${signed(objecting)} against, ${signed(bias)} constant`;
}
