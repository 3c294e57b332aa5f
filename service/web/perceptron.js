/** The view of the perceptron: plays the training that the service computes, and keeps all of its state in the address. */

import { get } from "./api.js";
import { answer, clamp, film, lineIn, regions } from "./maths.js";
import { byId, element, shape, signed } from "./paint.js";

const CORNERS = [[0, 0], [0, 1], [1, 0], [1, 1]];
const GATES = { AND: "0001", OR: "0111", XOR: "0110" };
const NO_LINE = ["0110", "1001"]; // of all sixteen, the two that no line can do: XOR and its opposite
const PLANE = [[-0.3, -0.3], [1.3, -0.3], [1.3, 1.3], [-0.3, 1.3]];
const EPOCH_MILLISECONDS = 220;
const CHART = { left: 18, right: 400, base: 80, height: 68, fewest: 24 };

const state = { target: GATES.AND, rate: "0.1", seed: 0, hidden: false, epoch: 0 };
/** @type {import("./maths.js").Frame[]} */
let frames = [];
/** @type {ReturnType<typeof setInterval> | undefined} */
let playing;
let asked = ""; // the training that is wanted; another one that comes late is let go

export function startPerceptron() {
  byId("gates").prepend(...Object.entries(GATES).map(([name, target]) => {
    const button = element("button", { type: "button", "data-target": target }, name);
    button.addEventListener("click", () => train({ target }));
    return button;
  }));
  byId("square").append(...CORNERS.map(corner));
  byId("play").addEventListener("click", () => (playing ? pause() : play()));
  byId("step").addEventListener("click", () => (pause(), goTo(state.epoch + 1)));
  byId("reset").addEventListener("click", () => (pause(), goTo(0)));
  byId("restart").addEventListener("click", () => train({ seed: state.seed + 1 }));
  byId("rate").addEventListener("change", () => train({ rate: byId("rate").value }));
  byId("hidden-layer").addEventListener("change", () => train({ hidden: byId("hidden-layer").checked }));
  byId("solve").addEventListener("click", async () => {
    byId("hidden-layer").focus(); // this button goes away
    await train({ hidden: true });
    play();
  });
}

/** @param {number[]} point @param {number} place */
function corner(point, place) {
  const button = element("button", { type: "button", class: "corner", "data-at": point.join("") });
  button.addEventListener("click", () => {
    const flipped = state.target[place] === "1" ? "0" : "1";
    train({ target: state.target.slice(0, place) + flipped + state.target.slice(place + 1) });
  });
  return button;
}

/** Show the state that an address has; what is missing or no such state is as at the start. @param {URLSearchParams} query */
export function openPerceptron(query) {
  const [target, rate] = [query.get("target") ?? "", query.get("rate") ?? ""];
  const whole = (/** @type {string} */ name) => (/^\d{1,9}$/.test(query.get(name) ?? "") ? Number(query.get(name)) : 0);
  const isRate = [...byId("rate").options].some((option) => option.value === rate);
  train({
    target: /^[01]{4}$/.test(target) ? target : GATES.AND,
    rate: isRate ? rate : "0.1",
    seed: whole("seed"),
    hidden: query.get("hidden") === "1",
    epoch: whole("epoch"),
  });
}

/** Train anew, from the start unless an epoch is given, and show it. @param {Partial<typeof state>} changes */
async function train(changes) {
  pause();
  const { target, rate, seed, hidden } = Object.assign(state, { epoch: 0 }, changes);
  const mine = new URLSearchParams({ target, learning_rate: rate, seed: `${seed}`, hidden: `${hidden}` }).toString();
  asked = mine;
  showControls();
  try {
    const { units } = await get(`perceptron?${mine}`);
    if (mine !== asked) return;
    frames = film(units);
    goTo(state.epoch);
  } catch (error) {
    byId("state").textContent = `No training: ${/** @type {Error} */ (error).message}.`;
  }
}

/** Train once more what could not be trained while the service was away. */
export const retryPerceptron = () => void (!frames.length && asked && train({ epoch: state.epoch }));

function play() {
  if (frames[state.epoch]?.last) goTo(0);
  byId("play").textContent = "Pause";
  playing = setInterval(() => {
    goTo(state.epoch + 1);
    if (frames[state.epoch]?.last) pause();
  }, EPOCH_MILLISECONDS);
}

export function pause() {
  clearInterval(playing);
  playing = undefined;
  byId("play").textContent = "Play";
}

function goTo(/** @type {number} */ epoch) {
  if (!frames.length) return;
  state.epoch = clamp(epoch, 0, frames.length - 1);
  const query = new URLSearchParams({ ...state, seed: `${state.seed}`, hidden: state.hidden ? "1" : "0", epoch: `${state.epoch}` });
  if (location.hash.startsWith("#perceptron")) history.replaceState(null, "", `#perceptron?${query}`);
  showFrame(frames[state.epoch]);
}

function showControls() {
  const { target, rate, hidden } = state;
  for (const button of byId("gates").querySelectorAll("button")) button.setAttribute("aria-pressed", `${button.dataset.target === target}`);
  byId("own").textContent = Object.values(GATES).includes(target) ? "" : "or your own";
  byId("rate").value = rate;
  byId("hidden-layer").checked = hidden;
  byId("layered").hidden = !hidden;
  byId("never").hidden = hidden || !NO_LINE.includes(target);
  const [outer, inner] = target === "0110" ? ["< 0", "> 0"] : ["> 0", "< 0"];
  byId("proof").replaceChildren(...[
    `(0, 0) and (1, 1) need b ${outer} and w₁+w₂+b ${outer}, so w₁+w₂+2b ${outer}.`,
    `(1, 0) and (0, 1) need w₁+b ${inner} and w₂+b ${inner}, so w₁+w₂+2b ${inner}.`,
    "It cannot be both.",
  ].map((line) => element("li", {}, line)));
}

/** @param {import("./maths.js").Frame} frame */
function showFrame(frame) {
  showPlane(frame);
  showCorners(frame);
  showErrors();
  byId("epoch").textContent = `${state.epoch}`;
  byId("state").textContent = words(frame);
  byId("formula").replaceChildren(...frame.units.map(({ weights: [one, other], bias }, place) => {
    const name = frame.units.length > 1 ? ["left:", "right:", "output:"][place] : "1 where";
    const input = place === 2 ? "h" : "x";
    return element("span", {}, `${name} ${signed(one, 2)}·${input}₁ ${signed(other, 2)}·${input}₂ ${signed(bias, 2)} > 0`);
  }));
  byId("step").disabled = frame.last;
  byId("reset").disabled = state.epoch === 0;
}

/** @param {import("./maths.js").Frame} frame */
function words({ errors, learning, last }) {
  const epochs = state.epoch === 1 ? "epoch" : "epochs";
  if (last && !errors) return `${epochs}, and nothing is wrong, so nothing moves any more.`;
  const wrong = `${errors} ${errors === 1 ? "answer is" : "answers are"}${last ? " still" : ""} wrong`;
  const who = { all: "", hidden: ": the hidden two learn their halves", output: ": the output learns OR of the hidden two" }[learning];
  return `${epochs}${who}, ${wrong}.`;
}

/** @param {import("./maths.js").Frame} frame */
function showPlane({ units, learning }) {
  const path = (/** @type {number[][]} */ points) => points.map(([x, y]) => `${x},${-y}`).join(" "); // in SVG, up is less
  const shaded = learning === "hidden" ? [] : regions(units, PLANE);
  byId("plane").replaceChildren(
    ...shaded.map((region) => shape("polygon", { class: region.answer > 0 ? "one" : "zero", points: path(region.polygon) })),
    shape("rect", { class: "unit", x: 0, y: -1, width: 1, height: 1 }),
    ...units.slice(0, 2).map(({ weights, bias }) => shape("polyline", { class: "line", points: path(lineIn(PLANE, weights, bias)) })),
    shape("text", { x: 0.47, y: 0.2 }, "x₁"),
    shape("text", { x: -0.25, y: -0.48 }, "x₂"),
  );
}

/** @param {import("./maths.js").Frame} frame */
function showCorners({ units, learning }) {
  for (const [place, button] of [...byId("square").querySelectorAll(".corner")].entries()) {
    const [point, given] = [CORNERS[place], state.target[place]];
    const wrong = learning !== "hidden" && answer(units, point) !== (given === "1" ? 1 : -1);
    button.textContent = given;
    button.classList.toggle("one", given === "1");
    button.classList.toggle("wrong", wrong);
    button.setAttribute("aria-label", `(${point.join(", ")}) is of class ${given}${wrong ? ", answered wrongly" : ""}; press to change it`);
  }
}

function showErrors() {
  const counts = frames.slice(0, state.epoch + 1).map((frame) => frame.errors);
  const most = Math.max(4, ...frames.map((frame) => frame.errors));
  const step = (CHART.right - CHART.left) / Math.max(CHART.fewest, counts.length);
  const bars = counts.map((count, epoch) => {
    const height = (count / most) * CHART.height || 1;
    const place = { x: CHART.left + epoch * step, y: CHART.base - height, width: 0.8 * step, height };
    return shape("rect", { class: epoch === state.epoch ? "now" : "bar", ...place });
  });
  const rule = shape("line", { class: "rule", x1: CHART.left, x2: CHART.right, y1: CHART.base, y2: CHART.base });
  const texts = [[0, CHART.base - CHART.height + 8, `${most}`], [0, CHART.base, "0"], [CHART.left, CHART.base + 14, "errors after each epoch"]];
  byId("errors").replaceChildren(rule, ...bars, ...texts.map(([x, y, words]) => shape("text", { x, y }, `${words}`)));
  byId("errors").setAttribute("aria-label", `Errors after each epoch, the last ten: ${counts.slice(-10).join(", ")}`);
}
