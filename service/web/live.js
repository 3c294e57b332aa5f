/** The live view: what the metrics of one instance say, asked for while somebody watches, and which versions are published. */

import { get, isPassing, latestOnly, request } from "./api.js";
import { byId, element, line, number, on, percent, polyline, shape, text } from "./paint.js";
import { present, whenShown } from "./present.js";
import { counted, KEPT_SECONDS, keep, quantile, read, total } from "./samples.js";

const POLL_MILLISECONDS = 2000;
const TILES = { rate: "Requests to predict", times: "Time to answer", accepted: "Accepted", digits: "Digits", confidence: "Confidence", novelty: "Novelty" };
const [WIDTH, TOP, BASE] = [300, 16, 76]; // of a chart

/** @type {Map<string, Sample[]>} by instance */
const kept = new Map();
let instance = ""; // of those, the one that is shown while it answers
let isClosed = false;

const short = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 }).format;
const milliseconds = (/** @type {number | null} */ seconds) => (seconds === null ? "–" : `${short(1000 * seconds)} ms`);
const date = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const isWatched = () => !document.hidden && present.view === "live";

export function startLive() {
  byId("tiles").append(...Object.entries(TILES).map(([name, title]) => element("figure", { id: `tile-${name}` }, element("h2", {}, title),
    shape("svg", { class: "chart", viewBox: `0 0 ${WIDTH} 94`, role: "img" }), element("figcaption"))));
  on(document, "visibilitychange", open);
  whenShown("live", ["card"], open);
  setInterval(() => isWatched() && !isClosed && poll(null), POLL_MILLISECONDS);
}

function open() {
  if (!isWatched()) return;
  poll(null);
  showVersions();
}

const poll = latestOnly(async () => {
  try {
    const answer = await request("metrics");
    keep(kept, answer.headers.get("x-instance") ?? "", read(await answer.text(), performance.now() / 1000));
    isClosed = false;
    byId("live-closed").textContent = "";
    show();
  } catch (error) {
    if (isPassing(error)) return; // which is said above every view
    isClosed = true;
    byId("live-closed").textContent = `The metrics of this service are closed to this page: ${/** @type {Error} */ (error).message}`;
  }
  byId("live").hidden = isClosed;
});

const digits = (/** @type {Span} */ { from, to }) => counted(from, to, "predictions_total", "digit");
const requests = (/** @type {Span} */ { from, to }) => total(counted(from, to, "requests_total", "status", 'route="/predict"'));
const seconds = (/** @type {number} */ share) => (/** @type {Span} */ { from, to }) =>
  quantile(counted(from, to, "request_duration_seconds_bucket", "le", 'route="/predict"'), share);
const accepted = (/** @type {Span} */ { from, to }) => {
  const counts = counted(from, to, "acceptance_total", "accepted");
  return total(counts) ? Object.fromEntries(counts).true / total(counts) : null;
};
/** What each bucket alone holds, by its bound in percent. @type {(family: string) => (span: Span) => Counts} */
const inBuckets = (family) => ({ from, to }) => counted(from, to, family, "le").slice(0, -1)
  .map(([bound, count], place, all) => [`${+(100 * Number(bound)).toFixed(2)}`, count - (place ? all[place - 1][1] : 0)]);

function show() {
  const names = [...kept.keys()];
  if (!kept.has(instance)) [instance] = names;
  const samples = kept.get(instance) ?? [];
  const to = samples[samples.length - 1];
  const spans = samples.slice(1).map((each, place) => ({ from: samples[place], to: each }));
  // Where nothing was answered while it was watched: all since it started, rather than nothing.
  const whole = { from: requests({ from: samples[0], to }) ? samples[0] : null, to };
  const when = whole.from ? `in the last ${Math.round(to.at - samples[0].at)} s` : "since this instance started";
  byId("live-instance").textContent = `Instance ${instance}${names.length > 1 ? `, one of ${names.length} that answered within a minute` : ""}.`;
  byId("live-range").textContent = `Times and shares are of the ${number(total(digits(whole)))} images answered ${when}; lines, of two minutes.`;
  const rates = spans.map((span) => requests(span) / (span.to.at - span.from.at));
  lines("rate", spans, [rates], short, `${rates.length ? short(rates[rates.length - 1]) : "–"} per second`);
  lines("times", spans, [0.5, 0.99].map((share) => spans.map(seconds(share))), milliseconds,
    `Half within ${milliseconds(seconds(0.5)(whole))}, 99 % within ${milliseconds(seconds(0.99)(whole))} (dashed)`);
  const [share, expected] = [accepted(whole), to.values.expected_acceptance];
  lines("accepted", spans, [spans.map(accepted)], percent,
    `${share === null ? "–" : percent(share)} of images${expected ? `; of the validation digits ${percent(expected)}` : ""}`);
  bars("digits", digits(whole), "digit answered");
  for (const name of ["confidence", "novelty"]) bars(name, inBuckets(`prediction_${name}_bucket`)(whole), `${name}, up to that many %`);
}

/** @param {string} name @param {Element[]} shapes @param {string} words @param {string} [label] */
function draw(name, shapes, words, label = "") {
  const [, svg, caption] = byId(`tile-${name}`).children;
  svg.replaceChildren(line(0, WIDTH, BASE), ...shapes);
  svg.setAttribute("aria-label", `${TILES[/** @type {keyof TILES} */ (name)]} ${label}`);
  caption.textContent = words;
}

/** Values over two minutes, each at the end of its span. @type {(name: string, spans: Span[], values: (number | null)[][], told: (value: number) => string, words: string) => void} */
function lines(name, spans, values, told, words) {
  const most = Math.max(...values.flat().map(Number), 0);
  const now = spans[spans.length - 1]?.to.at ?? 0;
  const way = (/** @type {(number | null)[]} */ all) => all.flatMap((value, place) => (value === null ? [] :
    [[WIDTH * (1 - (now - spans[place].to.at) / KEPT_SECONDS), BASE - ((BASE - TOP) * value) / (most || 1)]]));
  const drawn = values.map((all, place) => polyline(way(all), place ? "curve ideal" : "curve"));
  draw(name, [...drawn, text(0, TOP - 5, most ? `highest: ${told(most)}` : "")], words, "in the last two minutes");
}

/** Shares in percent. @type {(name: string, counts: Counts, by: string) => void} */
function bars(name, counts, by) {
  const [all, most] = [total(counts), Math.max(...counts.map(([, count]) => count))];
  const step = WIDTH / counts.length;
  byId(`tile-${name}`).hidden = !all;
  const shapes = counts.flatMap(([label, count], place) => {
    const [x, height] = [(place + 0.5) * step, ((BASE - TOP) * count) / (most || 1)];
    return [shape("rect", { class: "bar", x: x - 0.4 * step, y: BASE - height, width: 0.8 * step, height }),
      text(x, BASE - height - 4, count ? Math.round((100 * count) / all) : "", "middle"), text(x, BASE + 14, label, "middle")];
  });
  draw(name, shapes, `Share of images, %, by ${by}`, counts.map(([label, count]) => `${label}: ${percent(count / (all || 1))}`).join(", "));
}

async function showVersions() {
  const answer = await get("model/versions").catch((/** @type {Error} */ error) => error);
  byId("versions-words").textContent = answer instanceof Error ? `No versions: ${answer.message}` : "";
  byId("versions").replaceChildren(...(answer.versions ?? []).map((/** @type {any} */ { served, ...version }) => {
    const cells = [date.format(new Date(version.created_at)), `${version.recipe} (${version.architecture})`, percent(version.test_accuracy, 2),
      version.coverage === null ? "–" : percent(version.coverage), served ? "served" : ""];
    return element("tr", { class: served ? "served" : "" }, element("th", { scope: "row" }, version.version), ...cells.map((cell) => element("td", {}, cell)));
  }));
}
