/** Starts the page: which view the address asks for, what is asked of the service, and what happens when that is away. */

import { startAnswer } from "./answer.js";
import { get, latestOnly, predict, Unreachable, watch } from "./api.js";
import { startBatch } from "./batch.js";
import { startDraw } from "./draw.js";
import { startLive } from "./live.js";
import { startModel } from "./model.js";
import { byId } from "./paint.js";
import { openPerceptron, pause, startPerceptron } from "./perceptron.js";
import { isLinear, onChange, present, update } from "./present.js";
import { startTemplates } from "./templates.js";
import { startWhy } from "./why.js";

const VIEWS = ["draw", "templates", "model", "batch", "perceptron", "live"];

/** @type {string | null} the version whose card, weights and samples are here */
let loaded = null;

function route() {
  const [name, query] = location.hash.slice(1).split("?");
  if (name === "main") return; // the link that skips to the content
  const view = VIEWS.includes(name) ? name : VIEWS[0];
  const isAnother = byId(`view-${view}`).hidden;
  for (const each of VIEWS) byId(`view-${each}`).hidden = each !== view;
  if (isAnother) scrollTo(0, 0);
  for (const link of document.querySelectorAll("nav a")) link.ariaCurrent = link.getAttribute("href") === `#${view}` ? "page" : null;
  document.title = `${view === VIEWS[0] ? "" : `${byId(`title-${view}`).textContent} · `}Digit classifier`;
  if (view === "perceptron") openPerceptron(new URLSearchParams(query));
  else pause();
}

/** Ask what the picture shows; of what was drawn meanwhile, the latest is asked next. */
const ask = latestOnly(async (/** @type {ArrayLike<number>} */ pixels) => {
  try {
    const { model, digits: [digit], probabilities: [probabilities], hint, novelty, accepted } = await predict([pixels]);
    if (present.pixels) update({ answer: { model, digit, probabilities, hint, novelty: novelty?.[0], accepted: accepted?.[0] } });
    // Where that fails, since yet another version is served by now, `watch` sees to it.
    if (model !== present.samples?.model) await loadWhatIsServed().catch(() => {});
  } catch (error) {
    if (error instanceof Unreachable) showService(true);
    else byId("sure").textContent = /** @type {Error} */ (error).message;
  }
});

async function loadWhatIsServed() {
  const card = await get("model");
  const [weights, samples] = await Promise.all([isLinear(card) ? get("model/weights") : null, get("samples")]);
  loaded = card.version;
  update({ card, weights, samples });
}

function showService(/** @type {boolean} */ away) {
  document.body.classList.toggle("away", away);
  byId("service").textContent = away ? "The service does not answer. This page tries again every two seconds." : "";
}

async function onVersion(/** @type {string | null} */ version) {
  const wasAway = document.body.classList.contains("away");
  showService(version === null);
  if (version === null || (version === loaded && !wasAway)) return;
  try {
    if (version !== loaded) await loadWhatIsServed();
    if (present.pixels) ask(present.pixels); // the present picture, read by the version that is served now
  } catch (error) {
    showService(error instanceof Unreachable);
  }
}

for (const start of [startDraw, startAnswer, startWhy, startTemplates, startModel, startBatch, startPerceptron, startLive]) start();
onChange(({ pixels }) => (pixels ? ask(pixels) : pixels === null && update({ answer: null })));
addEventListener("hashchange", route);
// A file dropped beside its place would replace the page.
for (const event of ["dragover", "drop"]) addEventListener(event, (dropped) => dropped.preventDefault());
route();
watch(onVersion);
