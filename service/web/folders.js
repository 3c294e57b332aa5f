/** Files that are dropped or chosen, with those in folders, in the order of their paths. */

import { on } from "./paint.js";

/** @type {(place: HTMLElement, inputs: HTMLInputElement[], take: (files: Found[]) => void) => void} */
export function listenForFiles(place, inputs, take) {
  const give = (/** @type {Found[]} */ found) => {
    const files = found.filter(({ name }) => !/(^|\/)\./.test(name)); // without what systems hide in folders
    if (files.length) take(files.sort((one, other) => one.name.localeCompare(other.name, "en", { numeric: true })));
  };
  for (const input of inputs)
    on(input, "change", () => {
      give([...(input.files ?? [])].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
      input.value = ""; // so that the same file can be chosen again
    });
  on(place, "dragover", () => place.classList.add("over"));
  on(place, "dragleave", () => place.classList.remove("over"));
  on(place, "drop", async (event) => {
    place.classList.remove("over");
    // All of them now: the items are gone after the first wait.
    const entries = [...(event.dataTransfer?.items ?? [])].map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
    give((await Promise.all(entries.map(filesOf))).flat());
  });
}

/** @param {any} entry  a file, a folder, or null for what is neither @returns {Promise<Found[]>} */
async function filesOf(entry) {
  if (!entry || entry instanceof File) return entry ? [{ file: entry, name: entry.name }] : [];
  if (entry.isFile) return [{ file: await new Promise((...settle) => entry.file(...settle)), name: entry.fullPath.slice(1) }];
  const [reader, found] = [entry.createReader(), /** @type {Found[]} */ ([])];
  for (;;) {
    const entries = await new Promise((...settle) => reader.readEntries(...settle)); // some at a time, and none after the last
    if (!entries.length) return found;
    found.push(...(await Promise.all(entries.map(filesOf))).flat());
  }
}
