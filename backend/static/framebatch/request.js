// A video's page: asks for an analysis, then opens its page.

import { ask, newKey, Problem, show } from "./api.js";

// Asking again after an answer that was lost must not start a second analysis; asking for something else must.
const request = { text: "", key: "" };

const form = document.getElementById("request");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const status = document.getElementById("request-status");
  const error = document.getElementById("request-error");
  button.disabled = true;
  show(error, "");
  status.textContent = "Asking for the analysis…";
  try {
    const body = {
      video: form.dataset.video,
      model: form.elements.model.value,
      options: {
        confidence: form.elements.confidence.valueAsNumber,
        track: form.elements.track.checked,
        annotated_video: form.elements.annotated.checked,
      },
    };
    const { body: analysis } = await ask(form.dataset.request, { method: "POST", body, once: keyOf(body) });
    window.location.assign(analysis.links.page);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    status.textContent = "";
    show(error, problem.message);
    button.disabled = false;
  }
});

function keyOf(body) {
  const text = JSON.stringify(body);
  if (text !== request.text) Object.assign(request, { text, key: newKey() });
  return request.key;
}
