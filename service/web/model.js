/** The view of the model card: in words, as a reliability diagram, as a confusion matrix. */

import { byId, element, number, percent, shape } from "./paint.js";
import { onChange } from "./present.js";

const OPTIMIZERS = { adam: "Adam", sgd: "plain gradient descent" };
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short" });

export function startModel() {
  onChange(({ card }) => {
    if (!card) return;
    showWords(card);
    showFacts(card);
    showReliability(card.test);
    showConfusion(card.test.confusion);
    // The version is in the address, so that a picture of another one is not taken from memory.
    byId("curve").src = `model/pictures/learning_curve.png?${card.version}`;
  });
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
  const facts = {
    Trained: `${date.format(new Date(created))}, in ${seconds.toFixed(1)} s`,
    Recipe: `${recipe.name}: ${optimizer}, learning rate ${recipe.learning_rate} (${recipe.schedule}), batches of ` +
      `${recipe.batch_size}, ${recipe.epochs} epochs, seed ${recipe.seed}`,
    Size: `${number(card.num_parameters)} numbers: 784 weights and a constant for each digit`,
    Validation: `${percent(validation.accuracy, 2)} of ${number(validation.images)} digits`,
    "Test loss": `${test.loss.toFixed(4)} nats; Brier score ${test.brier_score.toFixed(4)}`,
    "Made with": Object.entries(libraries).map((pair) => pair.join(" ")).join(", "),
    Code: `commit ${card.git_commit?.slice(0, 12) ?? "unknown"}`,
  };
  const items = Object.entries(facts).flatMap(([name, words]) => [element("dt", {}, name), element("dd", {}, words)]);
  byId("facts").replaceChildren(...items);
}

const x = (/** @type {number} */ share) => 34 + 270 * share;
const y = (/** @type {number} */ share) => 262 - 250 * share;

function showReliability(/** @type {any} */ { reliability, calibration_error: error, images }) {
  const bins = reliability.filter((/** @type {any} */ bin) => bin.images);
  const points = bins.map((/** @type {any} */ bin) => [x(bin.mean_confidence), y(bin.accuracy), 3 + 9 * Math.sqrt(bin.images / images)]);
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    shape("line", { class: "rule", x1: x(0), x2: x(1), y1: y(share), y2: y(share) }),
    shape("text", { x: x(0) - 6, y: y(share) + 3, "text-anchor": "end" }, `${100 * share}`),
    shape("text", { x: x(share), y: y(0) + 14, "text-anchor": "middle" }, `${100 * share}`),
  ]);
  byId("reliability").replaceChildren(
    ...ticks,
    shape("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    shape("polyline", { class: "curve", points: points.map((/** @type {number[]} */ [cx, cy]) => `${cx},${cy}`).join(" ") }),
    ...points.map((/** @type {number[]} */ [cx, cy, r]) => shape("circle", { class: "dot", cx, cy, r })),
    shape("text", { x: x(0.5), y: 294, "text-anchor": "middle" }, "how sure it was, %"),
    shape("text", { x: x(0) + 6, y: y(1) + 14 }, "how often it was right, %"),
  );
  byId("reliability-words").textContent = "On the dashed line it would be right as often as it is sure. It is off by " +
    `${(100 * error).toFixed(1)} points on average; larger dots stand for more digits.`;
}

function showConfusion(/** @type {number[][]} */ confusion) {
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
  const caption = element("caption", { class: "unseen" }, "Test digits by label (rows) and by answer (columns)");
  byId("confusion").replaceChildren(caption, element("thead", {}, element("tr", {}, element("td"), ...heads)), element("tbody", {}, ...rows));
  byId("confusion-words").textContent = "Rows: what was written; columns: what was read. Most often " +
    `a ${worst.label} is read as a ${worst.digit}, ${worst.count} times.`;
}
