// Lists of analyses: says of each that is not over how it stands, as the server tells it. A page that is loaded again
// shows the same, so nothing is done where nothing comes.

import { whileVisible } from "./api.js";

const lists = document.querySelector("[data-live]");

if (lists?.querySelector(".badge.queued, .badge.submitted, .badge.running")) {
  whileVisible(() => {
    const stream = new EventSource(lists.dataset.live);
    stream.addEventListener("analysis", ({ data }) => draw(JSON.parse(data)));
    return () => stream.close();
  });
}

function draw(analysis) {
  const badge = lists.querySelector(`[data-analysis="${analysis.id}"] .badge`);
  if (!badge) return;
  const percent = analysis.status === "running" ? Math.round(analysis.progress * 100) : 0;
  const text = analysis.status_sentence + (percent ? ` ${percent} %` : "");
  if (badge.textContent !== text) badge.textContent = text;
  badge.className = `badge ${analysis.status}`;
}
