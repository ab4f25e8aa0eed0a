// The pages of a video, an analysis and a webhook: what their owner can ask for, each with a button that names the
// address in data-ask.

import { ask, newKey, Problem, show } from "./api.js";

const error = document.getElementById("action-error");

for (const button of document.querySelectorAll("button[data-ask]")) {
  const once = newKey(); // pressed again after an answer that was lost, it must not start a second analysis
  button.addEventListener("click", async () => {
    if (button.dataset.sure && !window.confirm(button.dataset.sure)) return;
    button.disabled = true;
    show(error, "");
    try {
      const { body: analysis } = await ask(button.dataset.ask, {
        method: button.dataset.method || "POST",
        body: JSON.parse(button.dataset.body || "{}"),
        once,
      });
      window.location.assign(button.dataset.then || analysis.links.page);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      show(error, problem.message);
      button.disabled = false;
    }
  });
}
