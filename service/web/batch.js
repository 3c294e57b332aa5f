/** The view for many pictures at once: files in, a grid of answers, a score against labels, and all of it to take away. */

import { pause } from "./api.js";
import { commands, toCsv, toNpy } from "./downloads.js";
import { listenForFiles } from "./folders.js";
import { giveLabels, labelOf, score } from "./labels.js";
import { showConfusion } from "./model.js";
import { byId, element, number, on, paintPixels, percent, pixelCanvas } from "./paint.js";
import { save } from "./pictures.js";
import { answers, imagesPerRequest } from "./sending.js";

const SHOWN_AT_ONCE = 120;
const SURE_FROM = 0.6; // below it, an answer is marked as doubtful, where the version does not say what it stands by

/** @type {Row[]} */
let rows = [];
let shown = SHOWN_AT_ONCE;
/** @type {Record<string, (one: Row, other: Row) => number>} */
const ORDERS = {
  doubt: (one, other) => one.confidence - other.confidence,
  novelty: (one, other) => (other.novelty ?? 0) - (one.novelty ?? 0),
  mistake: (one, other) => Number(isWrong(other)) - Number(isWrong(one)) || other.confidence - one.confidence,
};
let running = new AbortController(); // of the files whose answers are wanted; those before them are let go

export function startBatch() {
  listenForFiles(byId("drop"), [byId("files"), byId("folder")], answerFiles);
  on("order", "change", show);
  on("more", "click", () => {
    shown += SHOWN_AT_ONCE;
    show();
    if (byId("more").hidden) byId("grid").focus({ preventScroll: true });
  });
  on("cancel", "click", () => running.abort());
  on("csv", "click", downloadCsv);
  on("npy", "click", () => save("digits.npy", toNpy(rows)));
  on("commands", "toggle", showCommands);
}

/** @param {Found[]} files */
async function answerFiles(files) {
  running.abort();
  const mine = (running = new AbortController());
  const [before, labels] = [rows, /** @type {number[]} */ ([])];
  [rows, shown] = [[], SHOWN_AT_ONCE];
  begin(files.length);
  const isWanted = () => mine === running;
  /** @type {Listener} */
  const listener = { signal: mine.signal, wait, report: (...words) => isWanted() && report(...words) };
  try {
    for await (const part of answers(files, listener)) if (isWanted()) labels.push(...take(part));
    if (labels.length && isWanted()) giveLabels(rows.length ? rows : before, labels);
  } catch (error) {
    if (!mine.signal.aborted) report("", /** @type {Error} */ (error).message);
  }
  if (!isWanted()) return;
  if (!rows.length) rows = before; // what was chosen was their labels, or nothing that can be answered
  end(mine.signal.aborted);
}

function begin(/** @type {number} */ files) {
  byId("problem-list").replaceChildren();
  byId("problems").hidden = byId("score").hidden = true;
  byId("running").hidden = false;
  Object.assign(byId("batch-bar"), { max: files, value: 0 });
  byId("count").textContent = byId("batch-hint").textContent = "";
  show();
  wait("");
}

/** @param {Part} part @returns {number[]} its labels */
function take({ files, rows: more = [], labels = [], hint }) {
  const isFirst = more.length && !rows.length;
  for (const row of more) rows.push(Object.assign(row, { label: row.isOfMany ? undefined : labelOf(row.name) }));
  byId("batch-bar").value += files;
  byId("count").textContent = `${number(rows.length)} answered`;
  if (hint) byId("batch-hint").textContent = hint;
  if (isFirst) show();
  return labels;
}

function report(/** @type {string} */ name, /** @type {string} */ words) {
  byId("problem-list").append(element("li", {}, `${name && `${name}: `}${words.replace(/\.$/, "")}.`));
  const { length } = byId("problem-list").children;
  byId("problem-count").textContent = length === 1 ? "One file was not answered" : `${number(length)} files were not answered`;
  byId("problems").hidden = false;
  byId("batch-bar").value += 1;
}

/** @param {string} words  why the service is waited for */
const wait = (words) => say(words ? `${words.replace(/\.$/, "")}. Trying again …` : "Reading …");

function say(/** @type {string} */ words) {
  if (byId("progress").textContent !== words) byId("progress").textContent = words; // else it would be read out again
}

function end(/** @type {boolean} */ isCancelled) {
  if (document.activeElement === byId("cancel")) byId("files").focus();
  byId("running").hidden = true;
  show();
  showScore();
  showCommands();
  const problems = byId("problems").hidden ? "" : ` ${byId("problem-count").textContent}.`;
  say(`${isCancelled ? "Cancelled: " : ""}${number(rows.length)} answered${stoodBy()}.${problems}`);
}

function stoodBy() {
  const doubtful = rows.filter(isDoubtful).length;
  if (rows.some((row) => row.accepted !== undefined)) return `, ${number(rows.length - doubtful)} of them accepted`;
  return doubtful ? `, ${number(doubtful)} of them less than ${percent(SURE_FROM, 0)} sure` : "";
}

const isDoubtful = (/** @type {Row} */ { confidence, accepted = confidence >= SURE_FROM }) => !accepted;
const isWrong = (/** @type {Row} */ { digit, label = digit }) => label !== digit;

function show() {
  const order = ORDERS[byId("order").value];
  const sorted = order ? [...rows].sort(order) : rows;
  byId("batch-tools").hidden = byId("commands").hidden = !rows.length;
  byId("order").options.namedItem("by-novelty").disabled = !rows.some((row) => row.novelty !== undefined);
  byId("order").options.namedItem("by-mistake").disabled = !rows.some(isWrong);
  byId("more").hidden = rows.length <= shown;
  byId("more").textContent = `Show more of ${number(rows.length)}`;
  byId("grid").replaceChildren(...sorted.slice(0, shown).map(card));
}

function card(/** @type {Row} */ row) {
  const { name, index, seen, digit, confidence, novelty, label } = row;
  const canvas = pixelCanvas(`Picture ${index} of ${name}${isWrong(row) ? `, labelled ${label}` : ""}`, "dark");
  paintPixels(canvas, seen);
  const unusual = novelty === undefined ? "" : `, novelty ${percent(novelty)}`;
  const look = `${isDoubtful(row) ? "doubtful" : ""} ${isWrong(row) ? "wrong" : ""}`;
  const written = isWrong(row) ? [element("s", {}, `${label}`), " "] : [];
  return element("li", { class: look, title: `${name}, picture ${index}${unusual}` }, canvas, ...written, element("b", {}, `${digit}`), element("span", {}, percent(confidence, 0)));
}

function showScore() {
  const { images, right, accepted, acceptedRight, confusion } = score(rows);
  byId("score").hidden = !images;
  if (!images) return;
  const worst = showConfusion(byId("batch-confusion"), confusion, "Digits of the batch");
  const mistaken = worst.count ? ` Most often a ${worst.label} is read as a ${worst.digit}: ${number(worst.count)} of them.` : "";
  const stood = accepted ? ` It accepts ${percent(accepted / images)} of them and is right in ${percent(acceptedRight / accepted, 2)} of these.` : "";
  byId("score-words").textContent = `Of ${number(images)} with labels, ${percent(right / images, 2)} are read right.${stood}${mistaken}`;
}

async function downloadCsv() {
  const pieces = [];
  for (const piece of toCsv(rows)) {
    pieces.push(piece);
    await pause(0); // so that the page can be used meanwhile
  }
  save("digits.csv", new Blob(pieces, { type: "text/csv" }));
}

function showCommands() {
  if (!byId("commands").open || !rows.length) return;
  const { curl, python } = commands(rows.length, imagesPerRequest(784));
  byId("batch-curl").textContent = curl;
  byId("batch-python").textContent = python;
}
