// A video's page: says what an analysis would cost, asks for it at that price, then opens its page.

import { ask, newKey, Problem, show } from "./api.js";

// Asking again after an answer that was lost must not start a second analysis; asking for something else must.
let request = { text: "", key: "", quote: "" };
const PAUSE_MS = 300; // while somebody types, not every digit is quoted

const form = document.getElementById("request");
let quoted = { text: "", token: "" };
let pause;

if (form) {
  form.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(quote, PAUSE_MS);
  });
  quote();
}

async function quote() {
  const line = document.getElementById("quote");
  const body = asked();
  const text = JSON.stringify(body);
  try {
    const { body: answer } = await ask(form.dataset.quote, { method: "POST", body });
    if (text !== JSON.stringify(asked())) return; // a later question is on its way
    quoted = { text, token: answer.quote };
    const unsure = answer.basis.assumed.length ? "; the file does not tell its length or size, so this is a guess" : "";
    line.textContent =
      `Costs at most ${many(answer.credits)} of your ${many(answer.balance)} credits, ` +
      `about ${Math.ceil(answer.seconds)} seconds of a machine with a GPU${unsure}. What it does not use comes back.`;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    quoted = { text: "", token: "" };
    line.textContent = problem.message;
  }
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const status = document.getElementById("request-status");
  const error = document.getElementById("request-error");
  button.disabled = true;
  show(error, "");
  status.textContent = "Asking for the analysis…";
  try {
    const body = remembered(asked());
    const { body: analysis } = await ask(form.dataset.request, { method: "POST", body, once: request.key });
    window.location.assign(analysis.links.page);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    status.textContent = "";
    show(error, problem.message);
    button.disabled = false;
    if (problem.status >= 400 && problem.status < 500) {
      request = { text: "", key: "", quote: "" }; // it was refused for certain, and the quote may be why
      quote();
    }
  }
});

function asked() {
  return {
    video: form.dataset.video,
    model: form.elements.model.value,
    options: {
      confidence: form.elements.confidence.valueAsNumber,
      track: form.elements.track.checked,
      annotated_video: form.elements.annotated.checked,
    },
  };
}

function many(count) {
  return count.toLocaleString("en");
}

/** The body with its quote: the same as before where the same is asked for again. */
function remembered(body) {
  const text = JSON.stringify(body);
  if (text !== request.text) request = { text, key: newKey(), quote: text === quoted.text ? quoted.token : "" };
  return request.quote ? { ...body, quote: request.quote } : body;
}
