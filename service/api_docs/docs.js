// Shows docs.json with the Swagger UI of BentoML's package, and asks for a key where the service wants one.

import { keepKey, key } from "../web/api.js";

const form = document.getElementById("key");

/** Adds the key to a request, unless Swagger UI's "Authorize" has added one. */
function withKey(request) {
  if (key() && !request.headers.Authorization) request.headers.Authorization = `Bearer ${key()}`;
  return request;
}

function say(sentence) {
  document.getElementById("why").textContent = sentence;
}

async function show() {
  const { status } = await fetch("docs.json", withKey({ method: "HEAD", headers: {} })).catch(() => ({ status: 0 }));
  form.hidden = status !== 401;
  if (status === 401) {
    say(key() ? "This service does not know that key." : "This service wants a key, also for its description.");
  } else if (status === 200) {
    say("");
    SwaggerUIBundle({ url: "docs.json", dom_id: "#viewer", deepLinking: true, requestInterceptor: withKey });
  } else {
    say(status ? `The service answered ${status} instead of its description.` : "The service cannot be reached.");
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  keepKey(document.getElementById("value").value.trim());
  show();
});
show();
