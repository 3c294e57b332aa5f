/** Starts the page: which view the address asks for, what is asked of the service, and what happens when that is away. */

import { startAnswer } from "./answer.js";
import { get, keepKey, key, latestOnly, Overloaded, pause as sleep, predict, request, Unauthorized, Unreachable, watch } from "./api.js";
import { startBatch } from "./batch.js";
import { openDrawing, startDraw } from "./draw.js";
import { startLive } from "./live.js";
import { startModel } from "./model.js";
import { byId, on } from "./paint.js";
import { openPerceptron, pause, startPerceptron } from "./perceptron.js";
import { isLinear, onChange, present, update } from "./present.js";
import { startShare } from "./share.js";
import { startTemplates } from "./templates.js";
import { startWhy } from "./why.js";

const VIEWS = ["draw", "templates", "model", "batch", "perceptron", "live"];
const LATE_MILLISECONDS = 200; // an answer to less of a drawing than there is by now is shown up to here, so that drawing is not blind

/** @type {Error | null} why the service is not to be had */
let trouble = null;

function route() {
  const [name, query] = location.hash.slice(1).split("?");
  if (name === "main") return; // the link that skips to the content
  const view = VIEWS.includes(name) ? name : VIEWS[0];
  const isAnother = byId(`view-${view}`).hidden;
  for (const each of VIEWS) byId(`view-${each}`).hidden = each !== view;
  if (isAnother) scrollTo(0, 0);
  for (const link of document.querySelectorAll("nav a")) link.ariaCurrent = link.getAttribute("href") === `#${view}` ? "page" : null;
  document.title = `${view === VIEWS[0] ? "" : `${byId(`title-${view}`).textContent} · `}Digit classifier`;
  update({ view });
  if (view === "draw") openDrawing(new URLSearchParams(query));
  if (view === "perceptron") openPerceptron(new URLSearchParams(query));
  else pause();
}

/** Ask what the picture shows; of what was drawn meanwhile, the latest is asked next. */
const ask = latestOnly(async (/** @type {Picture} */ picture) => {
  const { pixels, file } = picture;
  const start = performance.now();
  try {
    const query = file ? `?seen=true${present.card && isLinear(present.card) ? "" : "&explain=true"}` : "";
    const { model, method, evidence, seen, before_deskewing: sent, ...found } = await predict(file ?? [pixels ?? []], query);
    showTrouble(null);
    const isLate = performance.now() - start > LATE_MILLISECONDS;
    if (isLate ? picture !== present.picture : picture.drawing !== present.picture?.drawing) return;
    if (seen) Object.assign(picture, { pixels: seen[0], sent: sent?.[0] });
    const { digits: [digit], probabilities: [probabilities], hint, novelty, accepted } = found;
    if (evidence) update({ explanation: { model, method, picture, evidence: evidence[0] } });
    update({ answer: { picture, model, digit, probabilities, hint, novelty: novelty?.[0], accepted: accepted?.[0] } });
    // Where that fails, since yet another version is served by now, `look` sees to it.
    if (model !== present.samples?.model) await loadWhatIsServed().catch(() => {});
  } catch (error) {
    await refused(picture, /** @type {Error} */ (error));
  }
});

async function refused(/** @type {Picture} */ picture, /** @type {Error} */ error) {
  if (error instanceof Overloaded || error instanceof Unauthorized || error instanceof Unreachable) showTrouble(error);
  else {
    showTrouble(null); // the service is there
    if (picture === present.picture) update({ answer: null, notice: error.message });
  }
  if (!(error instanceof Overloaded)) return;
  await sleep(1000 * error.retryAfter);
  if (picture === present.picture) ask(picture);
}

async function loadWhatIsServed() {
  const card = await get("model");
  const [weights, samples] = await Promise.all([isLinear(card) ? get("model/weights") : null, get("samples")]);
  update({ card, weights, samples });
}

function showTrouble(/** @type {Error | null} */ error) {
  trouble = error;
  byId("key-form").hidden = !(error instanceof Unauthorized);
  const words = error ? wordsOf(error) : "";
  if (byId("service").textContent !== words) byId("service").textContent = words; // or it would be spoken again and again
}

function wordsOf(/** @type {Error} */ error) {
  if (error instanceof Unauthorized) return key() ? "The service does not accept this API key." : "This service needs an API key.";
  const problem = error instanceof Unreachable ? "The service does not answer." : `The service cannot answer now: ${error.message}`;
  return `${problem} This page tries again.`;
}

/** See which version is served, and load and ask anew where it is another one or where the service was away. */
async function look() {
  try {
    const version = (await request("model", { method: "HEAD" })).headers.get("x-model-version");
    const isNew = version !== present.card?.version || trouble instanceof Unauthorized; // whose views were refused too
    if (isNew) await loadWhatIsServed();
    if (!isNew && !trouble) return;
    if (!(trouble instanceof Overloaded && present.picture)) showTrouble(null); // or the answer to it has to say so
    if (present.picture) ask(present.picture);
  } catch (error) {
    showTrouble(/** @type {Error} */ (error));
  }
}

for (const start of [startDraw, startAnswer, startWhy, startShare, startTemplates, startModel, startBatch, startPerceptron, startLive]) start();
onChange(({ picture }) => picture && ask(picture));
on("key-form", "submit", (event) => {
  event.preventDefault();
  keepKey(byId("key").value.trim());
  look();
});
addEventListener("hashchange", route);
// A file dropped beside its place would replace the page.
on(window, "dragover drop", (dropped) => dropped.preventDefault());
route();
byId("loading").remove();
watch(look);
