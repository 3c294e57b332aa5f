/** The view of the model card: in words, as charts of reliability and of coverage, as a confusion matrix. */

import { byId, element, line, number, percent, polyline, shape, text } from "./paint.js";
import { paintFrom } from "./pictures.js";
import { onChange, present, whenShown } from "./present.js";

const OPTIMIZERS = { adam: "Adam", sgd: "plain gradient descent" };
const ARCHITECTURES = {
  softmax: "softmax: one layer, from pixels to probabilities",
  deskew: "deskew: position, slant and size brought to one, then softmax",
  conv: "conv: a small convolutional network",
};
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

export function startModel() {
  onChange(({ card }) => card && show(card));
  // The version is in the address, so that a picture of another one is not taken from memory.
  whenShown("model", ["card"], () => present.card && paintFrom(byId("curve"), `model/pictures/learning_curve.png?${present.card.version}`));
}

function show(/** @type {any} */ card) {
  showWords(card);
  showFacts(card);
  showReliability(card.test);
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
  byId("card-warning").hidden = !warnings.some(Boolean);
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

const x = (/** @type {number} */ share) => 34 + 270 * share;
const y = (/** @type {number} */ share) => 262 - 250 * share;

function showReliability(/** @type {any} */ { reliability, calibration_error: error, images }) {
  const bins = reliability.filter((/** @type {any} */ bin) => bin.images);
  const points = bins.map((/** @type {any} */ bin) => [x(bin.mean_confidence), y(bin.accuracy)]);
  byId("reliability").replaceChildren(
    ...axes(0, "how sure it was, %", "how often it was right, %", y(1) + 14),
    line(x(0), x(1), y(0), y(1), "ideal"),
    polyline(points),
    ...bins.map((/** @type {any} */ bin, /** @type {number} */ place) => dot([...points[place], 3 + 9 * Math.sqrt(bin.images / images)])),
  );
  byId("reliability-words").textContent = "On the dashed line it would be right as often as it is sure. It is off by " +
    `${(100 * error).toFixed(1)} points on average; larger dots stand for more digits.`;
}

/** The frame of a chart of shares: 0 to 1 to the right, and from `low` to 1 upwards, which is said where there is room.
 * @type {(low: number, right: string, up: string, room: number) => Element[]} */
function axes(low, right, up, room) {
  return [
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      line(x(0), x(1), y(share)),
      text(x(0) - 6, y(share) + 3, +(100 * (low + share * (1 - low))).toFixed(2), "end"),
      text(x(share), y(0) + 14, 100 * share, "middle"),
    ]),
    text(x(0.5), 294, right, "middle"),
    text(x(0) + 6, room, up),
  ];
}

const dot = (/** @type {number[]} */ [cx, cy, r]) => shape("circle", { class: "dot", cx, cy, r });

/** @param {any} card */
function showCoverage({ coverage: rows, acceptance }) {
  byId("coverage-figure").hidden = !acceptance;
  if (!acceptance) return;
  const { coverage, accuracy, accuracy_interval: [from, to] } = acceptance.test;
  const accuracies = rows.map((/** @type {any} */ row) => row.accuracy);
  const low = Math.min(0.99, Math.floor(100 * Math.min(...accuracies, from)) / 100);
  const up = (/** @type {number} */ share) => y((share - low) / (1 - low));
  byId("coverage").replaceChildren(
    ...axes(low, "share of the test digits answered, %", "how often it is right in these, %", y(0) - 8),
    polyline(rows.map((/** @type {any} */ row) => [x(row.coverage), up(row.accuracy)])),
    line(x(coverage), x(coverage), up(from), up(to), "interval"),
    dot([x(coverage), up(accuracy), 5]),
  );
  byId("coverage-words").textContent = "The fewer it answers, the surest first, the more often it is right. The dot is where its thresholds " +
    `are: it accepts ${percent(coverage)} of the test digits and is right in ${percent(accuracy, 2)} of these ` +
    `(${percent(from, 2)} to ${percent(to, 2)}, with 95 % confidence).`;
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
