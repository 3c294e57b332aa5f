/** What is taken away: a table of a batch, an array of what the model was sent, and commands that send it. */

import { key } from "./api.js";
import { npyHeader } from "./files.js";

const ROWS_AT_ONCE = 2000;

/** The rows as CSV (RFC 4180), a piece at a time; with labels only where there are some. @param {Row[]} rows @returns {Generator<string>} */
export function* toCsv(rows) {
  const digits = Array.from({ length: 10 }, (_, digit) => `p${digit}`);
  const labelled = rows.some((row) => row.label !== undefined);
  yield `${["file", "image", "digit", "confidence", "novelty", "accepted", ...digits, "model", ...(labelled ? ["label"] : [])]}\r\n`;
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
    yield rows.slice(from, from + ROWS_AT_ONCE).map((row) => {
      const sure = [row.confidence, row.novelty, row.accepted]; // of a version without them, the latter two are empty
      return `${[field(row.name), row.index, row.digit, ...sure, ...row.probabilities, row.model, ...(labelled ? [row.label] : [])]}\r\n`;
    }).join("");
}

/** A leading = + - @ would be a formula to a spreadsheet. @param {string} value */
function field(value) {
  const safe = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What the model was sent, as numpy.load reads it: (N, 28, 28) of unsigned bytes. @param {Row[]} rows */
export const toNpy = (rows) => new Blob(/** @type {BlobPart[]} */ ([npyHeader("|u1", [rows.length, 28, 28]), ...rows.map((row) => row.sent)]));

const address = () => new URL("predict", document.baseURI).href.replaceAll("'", "%27").replaceAll("$", "%24"); // within either of the shell's quotes

// The key itself is not said: what is pasted into a shell stays in its history.

/** The start of a command that asks what a body of this type shows. @param {string} type */
export const curlWith = (type) => `curl -s "${address()}" -H content-type:application/${type}${key() && ' -H "authorization: Bearer $API_KEY"'}`;

/** The start of such a program. @param {string} type */
export const pythonWith = (type) => `import json, os, urllib.request

address = "${address()}"
headers = {"Content-Type": "application/${type}"${key() && ', "Authorization": "Bearer " + os.environ["API_KEY"]'}}`;

/** Commands that send the digits.npy of toNpy from its folder. @type {(count: number, limit: number) => {curl: string, python: string}} */
export function commands(count, limit) {
  const curl = (/** @type {string} */ type) => `${curlWith(type)} --data-binary @`;
  const inParts = `tail -c +129 digits.npy | split -b ${784 * limit} --filter='${curl("octet-stream")}-'`;
  const python = `${pythonWith("octet-stream")}
import numpy

images = numpy.load("digits.npy")
for start in range(0, len(images), ${limit}):
    request = urllib.request.Request(address, images[start : start + ${limit}].tobytes(), headers)
    print(json.load(urllib.request.urlopen(request))["digits"])`;
  return { curl: count > limit ? inParts : `${curl("x-npy")}digits.npy`, python };
}
