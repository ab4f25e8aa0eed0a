// An analysis that is not over: asks how far it is, as often as the server says, and shows the result when it ends.

import { ask, Problem, show } from "./api.js";

const OVER = ["succeeded", "failed", "cancelled"];

const element = document.getElementById("analysis");
const status = document.getElementById("status");
const waiting = document.getElementById("waiting");
const progress = document.getElementById("progress");
const frames = document.getElementById("frames");
const error = document.getElementById("poll-error");
let failures = 0;

async function poll() {
  let seconds;
  try {
    const { body, retryAfter } = await ask(element.dataset.poll);
    failures = 0;
    show(error, "");
    if (OVER.includes(body.status)) {
      window.location.reload();
      return;
    }
    draw(body);
    seconds = Math.max(retryAfter, 1);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.status === 401 || problem.status === 403 || problem.status === 404) {
      show(error, "This page can no longer be updated. Please sign in again.");
      return;
    }
    failures += 1;
    show(error, `${problem.message} This page goes on trying.`);
    seconds = Math.max(problem.retryAfter, Math.min(2 ** failures, 30));
  }
  setTimeout(poll, seconds * 1000);
}

function draw(analysis) {
  const sentence = analysis.status_sentence;
  // Only changes are written, so that a screen reader is not told the same thing every second.
  if (status.textContent !== sentence) status.textContent = sentence;
  status.className = `badge ${analysis.status}`;
  const reason = analysis.waiting_reason || "";
  if (waiting.textContent !== reason) show(waiting, reason);
  progress.value = analysis.progress * 100;
  frames.textContent = analysis.frames_total
    ? `${analysis.frames_done.toLocaleString("en")} of about ${analysis.frames_total.toLocaleString("en")} frames`
    : "";
}

poll();
