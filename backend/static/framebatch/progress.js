// An analysis that is not over: shows how far it is as the server tells it, and the result when it ends. Where nothing
// is told, because something between here and the server holds it back, it asks, as often as the server says.

import { ask, Problem, show, whileVisible } from "./api.js";

const OVER = ["succeeded", "failed", "cancelled"];
const SILENT_SECONDS = 5; // how things stand is told at once

const element = document.getElementById("analysis");
const status = document.getElementById("status");
const waiting = document.getElementById("waiting");
const progress = document.getElementById("progress");
const frames = document.getElementById("frames");
const estimate = document.getElementById("estimate");
const error = document.getElementById("poll-error");
let failures = 0;
let polling = false;

function listen() {
  if (polling) return () => {};
  const stream = new EventSource(element.dataset.live);
  let silent = setTimeout(askInstead, SILENT_SECONDS * 1000);

  function askInstead() {
    stream.close();
    polling = true;
    poll();
  }

  stream.addEventListener("analysis", ({ data }) => {
    clearTimeout(silent);
    show(error, "");
    draw(JSON.parse(data));
  });
  stream.addEventListener("over", () => {
    clearTimeout(silent);
    stream.close();
    window.location.reload();
  });
  stream.addEventListener("error", () => {
    clearTimeout(silent);
    // The browser comes again by itself after a broken connection, but not after a refusal.
    if (stream.readyState === EventSource.CLOSED) askInstead();
    else silent = setTimeout(askInstead, 2 * SILENT_SECONDS * 1000);
  });
  return () => {
    clearTimeout(silent);
    stream.close();
  };
}

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
  estimate.textContent = analysis.estimated_finish_at
    ? `About ${left(analysis.estimated_finish_at)} left`
    : analysis.estimated_start_at
      ? `Usually begins in about ${left(analysis.estimated_start_at)}`
      : "";
}

function left(moment) {
  const seconds = Math.max((new Date(moment) - Date.now()) / 1000, 0);
  if (seconds < 90) return "a minute";
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} minutes`;
  return `${Math.round(seconds / 3600)} hours`;
}

whileVisible(listen);
