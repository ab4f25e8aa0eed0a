// Home: sends the chosen file straight to the video storage, then opens the video's page.

import { newKey, Problem, show } from "./api.js";
import { Cancelled, Upload } from "./sending.js";

const form = document.getElementById("upload");
const file = document.getElementById("file");
const button = form.querySelector("button[type=submit]");
const progress = document.getElementById("upload-progress");
const status = document.getElementById("upload-status");
const error = document.getElementById("upload-error");
const actions = document.getElementById("upload-actions");
const pause = document.getElementById("upload-pause");
const cancel = document.getElementById("upload-cancel");

let upload = null;

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  show(error, "");
  try {
    const video = await send(file.files[0]);
    upload = null; // or the browser would ask whether to leave the page
    window.location.assign(`${video.links.page}#analyse`);
  } catch (problem) {
    status.textContent = problem instanceof Cancelled ? "The upload was cancelled." : "";
    if (problem instanceof Problem) show(error, problem.message);
    else if (!(problem instanceof Cancelled)) throw problem;
  } finally {
    upload = null;
    progress.hidden = actions.hidden = true;
    button.disabled = false;
  }
});

pause.addEventListener("click", () => {
  if (upload.paused) {
    upload.resume();
    status.textContent = "Going on…";
  } else {
    upload.pause();
    status.textContent = "Paused. You may also leave the page and choose the same file later.";
  }
  pause.textContent = upload.paused ? "Go on" : "Pause";
});

cancel.addEventListener("click", async () => {
  const { file: given } = upload;
  try {
    await upload.cancel();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    show(error, problem.message);
  }
  forget(given);
});

window.addEventListener("beforeunload", (event) => {
  if (upload) event.preventDefault();
});

async function send(chosen) {
  status.textContent = "Starting the upload…";
  progress.value = 0;
  progress.hidden = actions.hidden = false;
  pause.textContent = "Pause";
  let announced = -1;
  const progressed = (bytes) => {
    progress.value = chosen.size ? Math.min(bytes / chosen.size, 0.99) : 0;
    const tenth = Math.floor(progress.value * 10);
    if (tenth === announced || upload?.paused) return;
    announced = tenth;
    status.textContent = `Uploading, ${tenth * 10} % done…`;
  };
  const says = (sentence) => (status.textContent = sentence);
  for (;;) {
    upload = new Upload(chosen, { progressed, says });
    const video = await upload.run(form.dataset.start, keyOf(chosen));
    if (video.status === "aborted") {
      forget(chosen); // given up elsewhere; this is a new beginning
      continue;
    }
    forget(chosen);
    if (video.error) throw new Problem(video.error.message);
    return video;
  }
}

// The same file goes on under the same key, also after the page was left.
function keyOf(chosen) {
  const name = nameOf(chosen);
  const key = localStorage.getItem(name) || newKey();
  localStorage.setItem(name, key);
  return key;
}

function forget(chosen) {
  localStorage.removeItem(nameOf(chosen));
}

function nameOf(chosen) {
  return `framebatch-upload ${chosen.name} ${chosen.size} ${chosen.lastModified}`;
}
