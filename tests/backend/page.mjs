// Runs the scripts of the home page in Node, with as little of a browser as they use, and prints what happened.
// Arguments: folder of the scripts, JSON of what the API answers to each request in turn ([status, body]).

import { pathToFileURL } from "node:url";

const [, , folder, answers] = process.argv;
const script = JSON.parse(answers);
const happened = { asked: [], left: null, warned: null };
const elements = new Map();

function element(id) {
  if (!elements.has(id)) elements.set(id, Object.assign(new EventTarget(), { id, dataset: {}, textContent: "" }));
  return elements.get(id);
}

class Request extends EventTarget {
  upload = new EventTarget();
  status = 200;
  open(method, url) {
    happened.asked.push(`${method} ${url}`);
  }
  setRequestHeader() {}
  send() {
    setTimeout(() => this.dispatchEvent(new Event("loadend")));
  }
}

const page = Object.assign(new EventTarget(), {
  location: {
    assign(url) {
      const leaving = new Event("beforeunload", { cancelable: true });
      page.dispatchEvent(leaving);
      Object.assign(happened, { left: url, warned: leaving.defaultPrevented });
    },
  },
});
const kept = new Map();
Object.assign(globalThis, {
  window: page,
  XMLHttpRequest: Request,
  document: { getElementById: element, cookie: "other=1; csrftoken=of-now" },
  localStorage: {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  },
  async fetch(url, { method, headers }) {
    happened.asked.push(`${method} ${url} with ${headers["X-CSRFToken"]}`);
    const [status, body] = script.shift();
    return new Response(JSON.stringify(body), { status });
  },
});

const form = element("upload");
form.dataset.start = "/api/videos";
form.querySelector = () => element("submit");
element("file").files = [new File(["what is in it"], "clip.mp4", { type: "video/mp4" })];
await import(pathToFileURL(`${folder}/upload.js`));

form.dispatchEvent(new Event("submit", { cancelable: true }));
while (element("submit").disabled) await new Promise((resolve) => setTimeout(resolve, 5));
console.log(JSON.stringify({ ...happened, error: element("upload-error").textContent }));
