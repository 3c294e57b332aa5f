/** Files of many images, or of their labels: IDX and .npy, cut into what the service takes. Nothing of the page. */

const NUM_PIXELS = 784;
const MAX_HEADER_BYTES = 4096; // of .npy; that of images has 128

/** Whether a file is .npy or IDX. HEIC, AVIF and icons begin with two zeros too, but not with one of IDX's types after these.
 * @param {string} start  its first characters */
export const isArray = (start) => /^(\x93NUMPY|\0\0[\x08-\x0e])/.test(start);

/** Read a file of which isArray is true; an error says why it is not of images or labels.
 * @param {Uint8Array} bytes @returns {Images | {labels: number[]}} */
export function readArray(bytes) {
  const array = bytes[0] ? readNpy(bytes) : readIdx(bytes);
  if (array.shape.join() === "28,28") array.shape.unshift(1);
  const { data, shape, shape: [count, ...each] } = array;
  const [size, length] = [Number(array.dtype.slice(2)), each.length ? NUM_PIXELS : 1];
  if (!shape.length || (each.length && !["784", "28,28"].includes(each.join())))
    throw new Error(`images of shape (${shape.join(", ")}); (N, 28, 28), (N, 784) or (28, 28) is expected`);
  if (data.length !== count * length * size)
    throw new Error(`${data.length / size} values, and its header says ${count} × ${length}: it is cut off or damaged`);
  if (!count) throw new Error("it holds no images and no labels");
  return each.length ? cut(array, count, size) : { labels: labelsIn(array, count) };
}

/** See http://yann.lecun.com/exdb/mnist/, "File formats". @param {Uint8Array} bytes @returns {Stored} */
function readIdx(bytes) {
  const [, , type, dimensions] = bytes;
  const data = bytes.subarray(4 + 4 * dimensions);
  if (type !== 8 || ![1, 3].includes(dimensions) || data.byteOffset < 4 + 4 * dimensions)
    throw new Error(`an IDX file of ${dimensions} dimensions and type ${type}; 3 dimensions (images) or 1 (labels) of unsigned bytes (8) are expected`);
  const header = new DataView(bytes.buffer);
  return { data, shape: Array.from({ length: dimensions }, (_, place) => header.getUint32(4 + 4 * place)), dtype: "|u1", isIdx: true };
}

/** See numpy.lib.format. @param {Uint8Array} bytes @returns {Stored} */
function readNpy(bytes) {
  if (bytes.length < 12) throw new Error("a .npy file that is cut off");
  const header = new DataView(bytes.buffer);
  const [from, length] = bytes[6] === 1 ? [10, header.getUint16(8, true)] : [12, header.getUint32(8, true)];
  const words = String.fromCharCode(...bytes.subarray(from, from + Math.min(length, MAX_HEADER_BYTES)));
  const dtype = /'descr': ('[^']*'|\[.*?\])/.exec(words)?.[1].replaceAll("'", "") ?? "unknown";
  if (!/^[<>|][uif]\d+$/.test(dtype)) throw new Error(`a .npy array of type ${dtype.slice(0, 40)}; real numbers are expected (u, i or f)`);
  const shape = /'shape': \(([^)]*)\)/.exec(words)?.[1].match(/\d+/g)?.map(Number) ?? [];
  return { data: bytes.subarray(from + length), shape, dtype, isFortran: words.includes("'fortran_order': True") };
}

/** @param {Stored} array @param {number} count @param {number} size  of a value, in bytes @returns {Images} */
function cut({ data, shape, dtype, isFortran, isIdx }, count, size) {
  // In Fortran order the values of one place lie together for all images, so that rows are a piece of each of 784 columns.
  const [columns, step] = isFortran ? [NUM_PIXELS, size] : [1, NUM_PIXELS * size];
  const body = (/** @type {number} */ from, /** @type {number} */ to) => {
    const parts = Array.from({ length: columns }, (_, column) => data.subarray((column * count + from) * step, (column * count + to) * step));
    const header = isIdx ? [] : [npyHeader(dtype, [to - from, ...shape.slice(1)], isFortran)];
    return new Blob(/** @type {BlobPart[]} */ ([...header, ...parts]), { type: `application/${isIdx ? "octet-stream" : "x-npy"}` });
  };
  return { count, imageBytes: size * NUM_PIXELS, body, pixels: isFortran ? undefined : pixelsOf(data, dtype) };
}

/** Images as bytes, rounded as the service does. @type {(data: Uint8Array, dtype: string) => ((index: number) => Uint8Array) | undefined} */
function pixelsOf(data, dtype) {
  if (dtype === "|u1") return (index) => data.subarray(NUM_PIXELS * index, NUM_PIXELS * (index + 1));
  const value = valuesOf(data, dtype);
  return value && ((index) => {
    const pixels = new Uint8ClampedArray(NUM_PIXELS);
    for (let place = 0; place < NUM_PIXELS; place++) pixels[place] = value(NUM_PIXELS * index + place);
    return new Uint8Array(pixels.buffer);
  });
}

/** The value at each place; nothing where this browser has no numbers of that type, as some have no f2.
 * @type {(data: Uint8Array, dtype: string) => ((place: number) => number) | undefined} */
function valuesOf(data, dtype) {
  const [kind, size, isLittle] = [dtype[1], Number(dtype.slice(2)), dtype[0] !== ">"];
  const view = /** @type {any} */ (new DataView(data.buffer, data.byteOffset, data.length));
  const name = `get${kind !== "f" && size === 8 ? "Big" : ""}${{ u: "Uint", i: "Int", f: "Float" }[kind]}${8 * size}`;
  return name in view ? (place) => Number(view[name](size * place, isLittle)) : undefined;
}

/** 128 bytes, as numpy.save writes them. @type {(dtype: string, shape: number[], isFortran?: boolean) => Uint8Array} */
export function npyHeader(dtype, shape, isFortran = false) {
  const words = `{'descr': '${dtype}', 'fortran_order': ${isFortran ? "True" : "False"}, 'shape': (${shape.join(", ")}), }`;
  return Uint8Array.from(`\x93NUMPY\x01\0\x76\0${words.padEnd(117)}\n`, (character) => character.charCodeAt(0));
}

/** @param {Stored} array  of whole numbers in any byte order @param {number} count */
function labelsIn({ data, dtype }, count) {
  const value = valuesOf(data, dtype);
  if (dtype[1] === "f" || !value) throw new Error(`${count} labels that are no whole numbers; save them as integers`);
  const labels = Array.from({ length: count }, (_, place) => value(place));
  const wrong = labels.findIndex((label) => label < 0 || label > 9);
  if (wrong >= 0) throw new Error(`label ${wrong} is none of 0 to 9`);
  return labels;
}
