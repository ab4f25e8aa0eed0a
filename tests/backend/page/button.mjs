// Presses a button that names what it asks for, and prints what happened. It is told the button's data and whether
// somebody who is asked whether he is sure says so.

import { element, happened, run, selected, told, until } from "./browser.mjs";

const button = Object.assign(element("button"), { dataset: told.data, disabled: false });
selected["button[data-ask]"] = [button];
window.confirm = (question) => {
  happened.question = question;
  return told.sure;
};
await run("actions.js");

button.dispatchEvent(new Event("click"));
await until(() => happened.left || !button.disabled);
const { asked, sent, left, question } = happened;
console.log(JSON.stringify({ asked, sent, left, question, error: element("action-error").textContent }));
