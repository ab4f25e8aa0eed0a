// A video's page: asks for an analysis, then opens its page.

import { ask, Problem, show } from "./api.js";

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
    const { body: analysis } = await ask(form.dataset.request, {
      method: "POST",
      body: {
        video: form.dataset.video,
        model: form.elements.model.value,
        options: {
          confidence: form.elements.confidence.valueAsNumber,
          track: form.elements.track.checked,
          annotated_video: form.elements.annotated.checked,
        },
      },
    });
    window.location.assign(analysis.links.page);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    status.textContent = "";
    show(error, problem.message);
    button.disabled = false;
  }
});
