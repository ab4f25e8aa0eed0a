// Uploads a file on the home page and prints what happened.

import { element, happened, run, until } from "./browser.mjs";

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

const kept = new Map();
Object.assign(globalThis, {
  XMLHttpRequest: Request,
  localStorage: {
    getItem: (name) => kept.get(name) ?? null,
    setItem: (name, value) => kept.set(name, value),
    removeItem: (name) => kept.delete(name),
  },
});

const form = element("upload");
form.dataset.start = "/api/videos";
form.querySelector = () => element("submit");
element("file").files = [new File(["what is in it"], "clip.mp4", { type: "video/mp4" })];
await run("upload.js");

form.dispatchEvent(new Event("submit", { cancelable: true }));
await until(() => !element("submit").disabled);
const { asked, left, warned } = happened;
console.log(JSON.stringify({ asked, left, warned, error: element("upload-error").textContent }));
