// Waits on a webhook's page for what comes of deliveries, and prints what happened. It is told the data of those that
// the page shows as about to be sent.

import { element, happened, run, selected, told, until } from "./browser.mjs";

const { setInterval: every } = globalThis;
globalThis.setInterval = (look) => every(look, 5); // no second is waited

selected["[data-delivery]"] = told.soon.map((dataset) => ({ dataset }));
element("deliveries").dataset.pending = "/pending";
await run("deliveries.js");

if (told.soon.length) await until(() => happened.left || element("action-error").textContent);
document.hidden = true; // nobody looks any more
document.dispatchEvent(new Event("visibilitychange"));
console.log(JSON.stringify({ ...happened, error: element("action-error").textContent }));
