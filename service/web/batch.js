/** The view for many pictures at once: files in, a grid of answers, a table to take away. */

import { predict } from "./api.js";
import { readImages, toCsv } from "./files.js";
import { byId, element, number, paintPixels, percent, pixelCanvas } from "./paint.js";
import { listenForFiles, readPicture } from "./pictures.js";

const IMAGES_A_REQUEST = 256; // well below what a service takes by default
const SHOWN_AT_ONCE = 120;
const SURE_FROM = 0.6; // below it, an answer is marked as doubtful, where the version does not say what it stands by

/** @type {import("./files.js").Row[]} */
let rows = [];
let shown = SHOWN_AT_ONCE;
/** @type {Record<string, (one: import("./files.js").Row, other: import("./files.js").Row) => number>} */
const ORDERS = {
  doubt: (one, other) => one.confidence - other.confidence,
  novelty: (one, other) => (other.novelty ?? 0) - (one.novelty ?? 0),
};
let run = 0; // of the drop whose answers are wanted; those of an earlier one are let go

export function startBatch() {
  listenForFiles(byId("drop"), byId("files"), answerFiles);
  byId("order").addEventListener("change", show);
  byId("more").addEventListener("click", () => {
    shown += SHOWN_AT_ONCE;
    show();
  });
  byId("csv").addEventListener("click", download);
}

/** @param {File[]} files */
async function answerFiles(files) {
  const mine = ++run;
  const problems = [];
  rows = [];
  shown = SHOWN_AT_ONCE;
  for (const file of files) {
    say(`Reading ${file.name} …`);
    try {
      await answerImages(file.name, await imagesOf(file), mine);
    } catch (error) {
      problems.push(`${file.name}: ${/** @type {Error} */ (error).message}.`);
    }
    if (mine !== run) return;
  }
  show();
  say([`${number(rows.length)} answered${stoodBy()}.`, ...problems].join(" "));
}

function stoodBy() {
  const doubtful = rows.filter(isDoubtful).length;
  if (rows.some((row) => row.accepted !== undefined)) return `, ${number(rows.length - doubtful)} of them accepted`;
  return doubtful ? `, ${number(doubtful)} of them less than ${percent(SURE_FROM, 0)} sure` : "";
}

const isDoubtful = (/** @type {import("./files.js").Row} */ { confidence, accepted = confidence >= SURE_FROM }) => !accepted;

/** The images in a file: many of an IDX or .npy file, one of a picture. @param {File} file @returns {Promise<ArrayLike<number>[]>} */
async function imagesOf(file) {
  const isGzip = file.name.endsWith(".gz");
  const content = isGzip ? new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))) : file;
  return readImages(await content.arrayBuffer()) ?? [(await readPicture(file)).pixels];
}

/** @param {string} name @param {ArrayLike<number>[]} images @param {number} mine */
async function answerImages(name, images, mine) {
  for (let from = 0; from < images.length; from += IMAGES_A_REQUEST) {
    const part = images.slice(from, from + IMAGES_A_REQUEST);
    const { model, digits, probabilities, ...answers } = await predict(part);
    if (mine !== run) return;
    for (const [place, digit] of digits.entries()) {
      const confidence = probabilities[place][digit];
      const [novelty, accepted] = [answers.novelty?.[place], answers.accepted?.[place]];
      const picture = { name, index: from + place, pixels: part[place] };
      rows.push({ ...picture, digit, confidence, novelty, accepted, probabilities: probabilities[place], model });
    }
    if (from === 0) show();
    if (images.length > IMAGES_A_REQUEST) say(`${number(rows.length)} answered of ${number(images.length)} …`);
  }
}

function say(/** @type {string} */ words) {
  byId("progress").hidden = false;
  byId("progress").textContent = words;
}

function show() {
  const order = ORDERS[byId("order").value];
  const sorted = order ? [...rows].sort(order) : rows;
  byId("batch-tools").hidden = !rows.length;
  byId("order").options.namedItem("by-novelty").disabled = !rows.some((row) => row.novelty !== undefined);
  byId("more").hidden = rows.length <= shown;
  byId("more").textContent = `Show more of ${number(rows.length)}`;
  byId("grid").replaceChildren(...sorted.slice(0, shown).map(card));
}

function card(/** @type {import("./files.js").Row} */ row) {
  const { name, index, pixels, digit, confidence, novelty } = row;
  const canvas = pixelCanvas(`Picture ${index} of ${name}`, "dark");
  paintPixels(canvas, pixels);
  const unusual = novelty === undefined ? "" : `, novelty ${percent(novelty)}`;
  const look = { class: isDoubtful(row) ? "doubtful" : "", title: `${name}, picture ${index}${unusual}` };
  return element("li", look, canvas, element("b", {}, `${digit}`), element("span", {}, percent(confidence, 0)));
}

function download() {
  const address = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv" }));
  element("a", { href: address, download: "digits.csv" }).click();
  URL.revokeObjectURL(address);
}
