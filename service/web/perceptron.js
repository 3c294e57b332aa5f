/** The view of the perceptron: trains it, plays the training, and keeps all of its state in the address. */

import { start, train } from "./learning.js";
import { film } from "./maths.js";
import { button, byId, element, line, on, shape, signed, text } from "./paint.js";
import { MAX_POINTS, placed, showPlane, startPlane } from "./plane.js";

const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
const GATES = { AND: "0001", OR: "0111", XOR: "0110" };
const NO_LINE = ["0110", "1001"]; // of all sixteen, the two that no line can do: XOR and its opposite
const MAX_EPOCHS = 200; // of each unit of a network, and before a unit alone counts as still wrong
const LAST_ADDRESSED = 9999;
const CHART = { left: 18, right: 400, base: 80, height: 68, fewest: 24, most: 200 };

const START = { target: GATES.AND, points: CORNERS, rate: "0.1", speed: "220", seed: 0, hidden: false, epoch: 0 };
const state = { ...START };
/** @type {Frame[]} */
let frames = [];
let playing = 0; // the timer, while it plays

export function startPerceptron() {
  byId("gates").prepend(...Object.entries(GATES).map(([name, target]) =>
    button({ "data-target": target }, () => restart({ target, points: CORNERS }), name)));
  startPlane((points, target) => restart({ points, target }));
  on("play", "click", () => (playing ? pause() : play()));
  on("step", "click", () => (pause(), goTo(state.epoch + 1)));
  on("reset", "click", () => (pause(), goTo(0)));
  on("restart", "click", () => restart({ seed: state.seed + 1 }));
  on("rate", "change", () => restart({ rate: byId("rate").value }));
  on("speed", "change", () => {
    state.speed = byId("speed").value;
    if (playing) play();
    else tell();
  });
  on("hidden-layer", "change", () => restart({ hidden: byId("hidden-layer").checked }));
  on("solve", "click", () => {
    byId("hidden-layer").focus(); // this button goes away
    restart({ hidden: true });
    play();
  });
}

/** Show the state that an address has; what is missing or no such state is as at the start. One without any keeps what is shown.
 * @param {URLSearchParams} query */
export function openPerceptron(query) {
  if (frames.length && !`${query}`) return tell();
  const given = (/** @type {string} */ name) => query.get(name) ?? "";
  const whole = (/** @type {string} */ name) => (/^\d{1,9}$/.test(given(name)) ? Number(given(name)) : 0);
  const option = (/** @type {"rate" | "speed"} */ name) =>
    [...byId(name).options].some(({ value }) => value === given(name)) ? given(name) : START[name];
  const [points, target] = [pointsIn(given("points")), given("target")];
  const isTarget = /^[01]+$/.test(target) && target.length === points.length;
  restart({
    ...START,
    ...(isTarget && { points, target }),
    rate: option("rate"),
    speed: option("speed"),
    seed: whole("seed"),
    hidden: given("hidden") === "1",
    epoch: Math.min(whole("epoch"), LAST_ADDRESSED),
  });
}

/** The points of an address, "0_0_0.25_1" for two, or else the corners. */
function pointsIn(/** @type {string} */ text) {
  const numbers = text.split("_").map(Number);
  const points = numbers.flatMap((x, place) => (place % 2 ? [] : [placed([x, numbers[place + 1]])]));
  return text && points.length <= MAX_POINTS && points.flat().every(Number.isFinite) ? points : CORNERS;
}

/** Train anew, from the start unless an epoch is given, and show it. @param {Partial<typeof state>} changes */
function restart(changes) {
  pause();
  Object.assign(state, { epoch: 0 }, changes);
  showControls();
  frames = [];
  goTo(state.epoch);
}

function play() {
  clearInterval(playing);
  if (frames[state.epoch].last) goTo(0);
  byId("play").textContent = "Pause";
  playing = window.setInterval(() => {
    goTo(state.epoch + 1);
    if (frames[state.epoch].last) pause();
  }, Number(state.speed));
}

export function pause() {
  if (!playing) return;
  clearInterval(playing);
  playing = 0;
  byId("play").textContent = "Play";
  tell();
}

function goTo(/** @type {number} */ epoch) {
  const { points, target, rate, seed, hidden } = state;
  const starts = Array.from({ length: hidden ? 3 : 1 }, (_, unit) => start(seed + unit));
  const maxEpochs = hidden ? MAX_EPOCHS : Math.max(MAX_EPOCHS, epoch);
  if (epoch >= frames.length && !frames.at(-1)?.last) frames = film(train(points, target, Number(rate), starts, maxEpochs));
  state.epoch = Math.min(epoch, frames.length - 1);
  showFrame(frames[state.epoch]);
  if (!playing) tell();
}

/** Write the address and tell a screen reader. Not while it plays: browsers let no page write so often, and nobody can listen. */
function tell() {
  const { points, hidden, ...rest } = state;
  const own = points === CORNERS ? {} : { points: points.flat().join("_") };
  const values = Object.entries({ ...rest, ...own, hidden: Number(hidden) }).map(([name, value]) => [name, `${value}`]);
  if (location.hash.startsWith("#perceptron")) history.replaceState(null, "", `#perceptron?${new URLSearchParams(values)}`);
  const point = document.activeElement?.matches(".point") ? `${document.activeElement.ariaLabel?.split(";")[0]}. ` : "";
  byId("training").textContent = `${point}${state.epoch} ${words(frames[state.epoch])}`;
}

function showControls() {
  const { target, points, rate, speed, hidden } = state;
  const gate = points === CORNERS ? target : "";
  for (const each of byId("gates").querySelectorAll("button")) each.ariaPressed = `${each.dataset.target === gate}`;
  byId("own").textContent = Object.values(GATES).includes(gate) ? "" : "or your own";
  byId("rate").value = rate;
  byId("speed").value = speed;
  byId("hidden-layer").checked = hidden;
  byId("layered").hidden = !hidden;
  byId("never").hidden = hidden || !NO_LINE.includes(gate);
  const [outer, inner] = target === "0110" ? ["< 0", "> 0"] : ["> 0", "< 0"];
  byId("proof").replaceChildren(...[
    `(0, 0) and (1, 1) need b ${outer} and w₁+w₂+b ${outer}, so w₁+w₂+2b ${outer}.`,
    `(1, 0) and (0, 1) need w₁+b ${inner} and w₂+b ${inner}, so w₁+w₂+2b ${inner}.`,
    "It cannot be both.",
  ].map((line) => element("li", {}, line)));
}

/** @param {Frame} frame */
function showFrame(frame) {
  showPlane(state.points, state.target, frame);
  showErrors();
  byId("epoch").textContent = `${state.epoch}`;
  byId("state").textContent = words(frame);
  byId("formula").replaceChildren(...frame.units.map(({ weights: [one, other], bias }, place) => {
    const name = frame.units.length > 1 ? ["h₁ = 1 where", "h₂ = 1 where", "1 where"][place] : "1 where";
    const input = place === 2 ? "h" : "x";
    return element("span", {}, `${name} ${signed(one, 2)}·${input}₁ ${signed(other, 2)}·${input}₂ ${signed(bias, 2)} > 0`);
  }));
  byId("step").disabled = frame.last;
  byId("reset").disabled = state.epoch === 0;
}

/** @param {Frame} frame */
function words({ errors, learning, last }) {
  const epochs = state.epoch === 1 ? "epoch" : "epochs";
  if (last && !errors) return `${epochs}, and nothing is wrong, so nothing moves any more.`;
  const wrong = `${errors} ${errors === 1 ? "answer is" : "answers are"}${last || state.epoch >= MAX_EPOCHS ? " still" : ""} wrong`;
  const who = { all: "", hidden: ": the hidden two learn their halves", output: ": the output learns OR of the hidden two" }[learning];
  return `${epochs}${who}, ${wrong}.`;
}

function showErrors() {
  const first = Math.max(0, state.epoch + 1 - CHART.most);
  const counts = frames.slice(first, state.epoch + 1).map((frame) => frame.errors);
  const most = Math.max(4, ...counts);
  const step = (CHART.right - CHART.left) / Math.max(CHART.fewest, counts.length);
  const bars = counts.map((count, place) => {
    const height = (count / most) * CHART.height || 1;
    const box = { x: CHART.left + place * step, y: CHART.base - height, width: 0.8 * step, height };
    return shape("rect", { class: first + place === state.epoch ? "now" : "bar", ...box });
  });
  byId("errors").replaceChildren(line(CHART.left, CHART.right, CHART.base), ...bars, text(0, CHART.base - CHART.height + 8, most),
    text(0, CHART.base, 0), text(CHART.left, CHART.base + 14, `errors after each epoch${first ? ` from ${first} on` : ""}`));
  byId("errors").setAttribute("aria-label", `Errors after each epoch, the last ten: ${counts.slice(-10).join(", ")}`);
}
