/** The picture for use elsewhere: saved as PNG, or copied as a command or a program that asks the service what it shows. */

import { curlWith, pythonWith } from "./downloads.js";
import { sheetAsPng } from "./draw.js";
import { byId, on } from "./paint.js";
import { save } from "./pictures.js";
import { onChange, present } from "./present.js";

/** @type {Record<string, (body: string) => string>} */
const FORMS = {
  curl: (body) => `${curlWith("json")} -d '${body}'\n`,
  Python: (body) => `${pythonWith("json")}
request = urllib.request.Request(address, b'${body}', headers)
print(json.load(urllib.request.urlopen(request)))
`,
};

export function startShare() {
  on("save", "click", async () => save("digit.png", await sheetAsPng()));
  for (const name of Object.keys(FORMS)) on(`copy-${name}`, "click", () => copy(name));
  onChange((changed) => ("picture" in changed || "answer" in changed) && begin());
  begin();
}

function begin() {
  for (const id of ["save", "copy-curl", "copy-Python"]) byId(id).disabled = !present.picture?.pixels;
  byId("copied").textContent = "The page’s address keeps what is drawn.";
  byId("copy").hidden = true;
}

async function copy(/** @type {string} */ name) {
  const text = FORMS[name](JSON.stringify({ images: [Array.from(present.picture?.sent ?? present.picture?.pixels ?? [])] }));
  const isCopied = await Promise.resolve(navigator.clipboard?.writeText(text).then(() => true)).catch(() => false);
  byId("copied").textContent = isCopied ? `Copied as ${name}.` : "This browser does not let the page copy: copy it from here.";
  byId("copy").hidden = isCopied; // over plain HTTP, pages may not
  byId("copy").value = text;
  if (!isCopied) byId("copy").select();
}
