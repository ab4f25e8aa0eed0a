// As little of a browser as the pages' scripts use, for Node. Arguments: folder of the scripts, JSON of what the API
// answers to each request in turn ([status, body]), and what a page wants to be told besides.

import { pathToFileURL } from "node:url";

const [, , folder, answers, more] = process.argv;
const script = JSON.parse(answers);
const elements = new Map();

export const told = JSON.parse(more ?? "{}");
export const happened = { asked: [], sent: [], left: null, warned: null };
export const selected = {}; // what a page finds, by selector

/** The one of this id. */
export function element(id) {
  if (!elements.has(id)) elements.set(id, Object.assign(new EventTarget(), { id, dataset: {}, textContent: "" }));
  return elements.get(id);
}

export function run(name) {
  return import(pathToFileURL(`${folder}/${name}`));
}

export async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function leave(url) {
  const leaving = new Event("beforeunload", { cancelable: true });
  page.dispatchEvent(leaving);
  Object.assign(happened, { left: url, warned: leaving.defaultPrevented });
}

const page = Object.assign(new EventTarget(), {
  location: { assign: leave, reload: () => leave("the same page") },
});
Object.assign(globalThis, {
  window: page,
  document: Object.assign(new EventTarget(), {
    cookie: "other=1; csrftoken=of-now",
    hidden: false,
    getElementById: element,
    querySelector: (selector) => selected[selector]?.[0] ?? null,
    querySelectorAll: (selector) => selected[selector] ?? [],
  }),
  async fetch(url, { method, headers, body }) {
    const token = headers["X-CSRFToken"];
    happened.asked.push(token ? `${method} ${url} with ${token}` : `${method} ${url}`);
    happened.sent.push(body);
    const [status, answer] = script.shift();
    return new Response(status === 204 ? null : JSON.stringify(answer), { status });
  },
});
