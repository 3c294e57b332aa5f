/** Files of many images, and tables for others: IDX and .npy in, CSV out. Nothing of the page. */

const NUM_PIXELS = 784;

/** @type {Record<string, (bytes: ArrayBuffer) => ArrayLike<number>>} element types of .npy that hold pixels */
const NPY_TYPES = {
  "|u1": (bytes) => new Uint8Array(bytes),
  "<i4": (bytes) => new Int32Array(bytes),
  "<i8": (bytes) => Array.from(new BigInt64Array(bytes), Number),
  "<f4": (bytes) => new Float32Array(bytes),
  "<f8": (bytes) => new Float64Array(bytes),
};

/**
 * Read a file of many images.
 *
 * @param {ArrayBuffer} content  of an IDX or .npy file
 * @returns {ArrayLike<number>[] | null}  784 pixels each; null where it is neither
 * @throws {Error} it is one, but not of such images; the message says why
 */
export function readImages(content) {
  if (text(content, 0, 6) === "\x93NUMPY") return readNpy(content);
  return content.byteLength >= 16 && text(content, 0, 2) === "\0\0" ? readIdx(content) : null;
}

/** See http://yann.lecun.com/exdb/mnist/, "File formats". @param {ArrayBuffer} content */
function readIdx(content) {
  const header = new DataView(content);
  const [type, dimensions] = [header.getUint8(2), header.getUint8(3)];
  if (type !== 8 || dimensions !== 3)
    throw new Error(`an IDX file of ${dimensions} dimensions and type ${type}; 3 dimensions of unsigned bytes (8) are expected`);
  return cut(new Uint8Array(content, 16), [4, 8, 12].map((at) => header.getUint32(at)));
}

/** See numpy.lib.format. @param {ArrayBuffer} content */
function readNpy(content) {
  const header = new DataView(content);
  const [from, length] = header.getUint8(6) === 1 ? [10, header.getUint16(8, true)] : [12, header.getUint32(8, true)];
  const words = text(content, from, length);
  const type = /'descr': '([^']*)'/.exec(words)?.[1] ?? "unknown";
  if (!(type in NPY_TYPES) || !words.includes("'fortran_order': False"))
    throw new Error(`a .npy array of type ${type}; one of ${Object.keys(NPY_TYPES).join(" ")} in C order is expected`);
  const shape = /'shape': \(([^)]*)\)/.exec(words)?.[1].match(/\d+/g)?.map(Number) ?? [];
  return cut(NPY_TYPES[type](content.slice(from + length)), shape);
}

/** Cut `values` of `shape` (N, 28, 28), (N, 784) or (28, 28) into images. @type {(values: ArrayLike<number>, shape: number[]) => number[][]} */
function cut(values, shape) {
  const isOne = shape.join() === "28,28";
  if (!isOne && !["784", "28,28"].includes(shape.slice(1).join()))
    throw new Error(`images of shape (${shape.join(", ")}); (N, 28, 28), (N, 784) or (28, 28) is expected`);
  const length = isOne ? 1 : shape[0];
  if (values.length !== length * NUM_PIXELS)
    throw new Error(`${values.length} values, and its header says ${length} × ${NUM_PIXELS}: it is cut off or damaged`);
  return Array.from({ length }, (_, index) => Array.prototype.slice.call(values, index * NUM_PIXELS, (index + 1) * NUM_PIXELS));
}

/** @type {(content: ArrayBuffer, from: number, length: number) => string} */
const text = (content, from, length) => String.fromCharCode(...new Uint8Array(content.slice(from, from + length)));

/** An image of a file and the answer to it.
 * @typedef {{name: string, index: number, pixels: ArrayLike<number>, digit: number, confidence: number, probabilities: number[],
 *   novelty?: number, accepted?: boolean, model: string}} Row */

/** The rows as CSV (RFC 4180). @param {Row[]} rows */
export function toCsv(rows) {
  const head = ["file", "image", "digit", "confidence", "novelty", "accepted", ...Array.from({ length: 10 }, (_, digit) => `p${digit}`), "model"];
  const lines = rows.map((row) => {
    const sure = [row.confidence, row.novelty, row.accepted]; // of a version without them, the latter two are empty
    return [field(row.name), row.index, row.digit, ...sure, ...row.probabilities, row.model];
  });
  return [head, ...lines].map((line) => `${line.join(",")}\r\n`).join("");
}

/** A leading = + - @ would be a formula to a spreadsheet. @param {string} value */
function field(value) {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
