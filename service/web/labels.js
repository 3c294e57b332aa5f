/** Answers against labels. Nothing of the page. */

/** The label of a file in a folder named 0 to 9. @param {string} path */
export const labelOf = (path) => [.../(?:^|\/)(\d)\/[^/]*$/.exec(path) ?? []].slice(1).map(Number)[0];

/** Give the images of files of many their labels, in order. @param {Row[]} rows @param {number[]} labels */
export function giveLabels(rows, labels) {
  const many = rows.filter((row) => row.isOfMany);
  if (many.length !== labels.length) throw new Error(`there are ${labels.length} labels for ${many.length} images of IDX or .npy; one for each is expected`);
  for (const [place, row] of many.entries()) row.label = labels[place];
}

/** How many of the labelled are read right, how many of these are accepted, and what is read as what. @param {Row[]} rows */
export function score(rows) {
  const labelled = rows.filter((row) => row.label !== undefined);
  const right = (/** @type {Row[]} */ some) => some.filter((row) => row.digit === row.label).length;
  const accepted = labelled.filter((row) => row.accepted);
  const confusion = Array.from({ length: 10 }, () => Array(10).fill(0));
  for (const { label, digit } of labelled) confusion[/** @type {number} */ (label)][digit]++;
  return { images: labelled.length, right: right(labelled), accepted: accepted.length, acceptedRight: right(accepted), confusion };
}
