/** The view of the model card: in words, as a confusion matrix, and in the charts that training drew. */

import { byId, element, number, percent } from "./paint.js";
import { paintFrom } from "./pictures.js";
import { onChange, whenShown } from "./present.js";

const OPTIMIZERS = { adam: "Adam", sgd: "plain gradient descent" };
const ARCHITECTURES = {
  softmax: "softmax: one layer, from pixels to probabilities",
  deskew: "deskew: position, slant and size brought to one, then softmax",
  conv: "conv: a small convolutional network",
};
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

export function startModel() {
  onChange(({ card }) => card && show(card));
  whenShown("model", ["card"], () => {
    for (const canvas of document.querySelectorAll("#view-model figure:not([hidden]) canvas")) paintFrom(canvas);
  });
}

function show(/** @type {any} */ card) {
  showWords(card);
  showFacts(card);
  byId("reliability-words").textContent = "On the dashed line it would be right as often as it is sure. It is off by " +
    `${(100 * card.test.calibration_error).toFixed(1)} points on average.`;
  showCoverage(card);
  showMistakes(card.test.confusion);
  showBehaviour(card.behaviour);
}

function showWords(/** @type {any} */ { test, version, forced, bundled_data: bundled }) {
  const [low, high] = test.accuracy_interval;
  byId("card-lead").replaceChildren(
    "Version ", element("code", {}, version), ` reads ${percent(test.accuracy, 2)} of ${number(test.images)} test digits right, none of ` +
    `which it had seen before. For digits like these, that means ${percent(low, 2)} to ${percent(high, 2)}, with 95 % confidence.`,
  );
  const warnings = [forced && `It was published by force: ${forced}.`, !bundled && "It was trained on other data than the bundled MNIST."];
  byId("card-warning").textContent = warnings.filter(Boolean).join(" ");
}

function showFacts(/** @type {any} */ { recipe, test, validation, libraries, created, fit_seconds: seconds, ...card }) {
  const optimizer = OPTIMIZERS[/** @type {"adam" | "sgd"} */ (recipe.optimizer)];
  const linear = card.architecture === "conv" ? "" : ": 784 weights and a constant for each digit";
  byId("facts").replaceChildren(...described({
    Trained: `${date.format(new Date(created))}, in ${seconds.toFixed(1)} s`,
    Recipe: `${recipe.name}: ${optimizer}, learning rate ${recipe.learning_rate} (${recipe.schedule}), batches of ` +
      `${recipe.batch_size}, ${recipe.epochs} epochs, seed ${recipe.seed}`,
    Architecture: ARCHITECTURES[/** @type {"softmax" | "deskew" | "conv"} */ (card.architecture)],
    Size: `${number(card.num_parameters)} numbers${linear}`,
    Validation: `${percent(validation.accuracy, 2)} of ${number(validation.images)} digits`,
    "Test loss": `${test.loss.toFixed(4)} nats; Brier score ${test.brier_score.toFixed(4)}`,
    ...(card.calibration && { Calibration: calibrated(card.calibration, test) }),
    ...(card.thresholds && { Accepts: `answers that are at least ${percent(card.thresholds.min_confidence)} sure, of pictures whose ` +
      `novelty is at most ${percent(card.thresholds.max_novelty)}` }),
    "Made with": Object.entries(libraries).map((pair) => pair.join(" ")).join(", "),
    Code: `commit ${card.git_commit?.slice(0, 12) ?? "unknown"}`,
  }));
}

/** @type {(facts: Record<string, string>) => Element[]} */
const described = (facts) => Object.entries(facts).flatMap(([name, words]) => [element("dt", {}, name), element("dd", {}, words)]);

function calibrated(/** @type {any} */ { temperature, test_before: before }, /** @type {any} */ after) {
  return `temperature ${temperature.toFixed(3)}; on test, the calibration error was ${before.calibration_error.toFixed(4)} before and is ` +
    `${after.calibration_error.toFixed(4)}, the loss was ${before.loss.toFixed(4)} and is ${after.loss.toFixed(4)} nats`;
}

function showBehaviour(/** @type {Record<string, number>} */ behaviour) {
  byId("behaviour-figure").hidden = !Object.keys(behaviour).length;
  byId("behaviour").replaceChildren(...Object.entries(behaviour).flatMap(([name, share]) => described({ [name]: percent(share) })));
}

/** @param {any} card */
function showCoverage({ acceptance }) {
  byId("coverage-figure").hidden = !acceptance;
  if (!acceptance) return;
  const { coverage, accuracy, accuracy_interval: [low, high] } = acceptance.test;
  byId("coverage-words").textContent = "The fewer it answers, the surest first, the more often it is right. The cross is where its thresholds " +
    `are: it accepts ${percent(coverage)} of the test digits and is right in ${percent(accuracy, 2)} of these ` +
    `(${percent(low, 2)} to ${percent(high, 2)}, with 95 % confidence).`;
}

function showMistakes(/** @type {number[][]} */ confusion) {
  const worst = showConfusion(byId("confusion"), confusion, "Test digits");
  byId("confusion-words").textContent = "Rows: what was written; columns: what was read. Most often " +
    `a ${worst.label} is read as a ${worst.digit}, ${worst.count} times.`;
}

/** Fill a table of counts by label and digit answered; return the most frequent mistake. @type {(table: HTMLElement, confusion: number[][], words: string) => any} */
export function showConfusion(table, confusion, words) {
  const mistakes = confusion.flatMap((row, label) => row.map((count, digit) => ({ label, digit, count: label === digit ? 0 : count })));
  const worst = mistakes.reduce((one, other) => (other.count > one.count ? other : one));
  const heads = confusion.map((_, digit) => element("th", { scope: "col" }, `${digit}`));
  const rows = confusion.map((row, label) => {
    const cells = row.map((count, digit) => {
      const cell = element("td", { class: label === digit ? "right" : "" }, count ? `${count}` : "·");
      cell.style.setProperty("--share", `${mistakes[10 * label + digit].count / (worst.count || 1)}`);
      return cell;
    });
    return element("tr", {}, element("th", { scope: "row" }, `${label}`), ...cells);
  });
  const caption = element("caption", { class: "unseen" }, `${words} by label (rows) and by answer (columns)`);
  table.replaceChildren(caption, element("thead", {}, element("tr", {}, element("td"), ...heads)), element("tbody", {}, ...rows));
  return worst;
}
