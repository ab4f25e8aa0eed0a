// Home: sends the chosen file straight to the video storage, then opens the video's page.

import { ask, Problem, show } from "./api.js";

const form = document.getElementById("upload");
const file = document.getElementById("file");
const button = form.querySelector("button");
const progress = document.getElementById("upload-progress");
const status = document.getElementById("upload-status");
const error = document.getElementById("upload-error");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  show(error, "");
  try {
    await upload(file.files[0]);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    show(error, problem.message);
    status.textContent = "";
    progress.hidden = true;
  } finally {
    button.disabled = false;
  }
});

window.addEventListener("beforeunload", (event) => {
  if (!progress.hidden && progress.value < 1) event.preventDefault();
});

async function upload(chosen) {
  status.textContent = "Starting the upload…";
  const { body: video } = await ask(form.dataset.start, {
    method: "POST",
    body: { filename: chosen.name, size_bytes: chosen.size, content_type: chosen.type },
  });
  progress.value = 0;
  progress.hidden = false;
  await send(video.upload, chosen);
  progress.value = 1;
  status.textContent = "Uploaded. Checking the file…";
  let { body: seen, retryAfter } = await ask(video.links.finish, { method: "POST", body: {} });
  while (seen.status === "probing") {
    await new Promise((resolve) => setTimeout(resolve, (retryAfter || 1) * 1000));
    ({ body: seen, retryAfter } = await ask(video.links.self));
  }
  if (seen.error) throw new Problem(seen.error.message);
  window.location.assign(`${video.links.page}#analyse`);
}

// fetch() cannot tell how much of a body was sent, so this is XMLHttpRequest.
function send({ method, url, headers }, body) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    let announced = -1;
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      progress.value = total ? Math.min(loaded / total, 0.99) : 0;
      const tenth = Math.floor(progress.value * 10);
      if (tenth !== announced) {
        announced = tenth;
        status.textContent = `Uploading, ${tenth * 10} % done…`;
      }
    });
    request.addEventListener("load", () => {
      if (request.status >= 200 && request.status < 300) resolve();
      else reject(new Problem("The video storage refused the file. Please try to upload it again."));
    });
    request.addEventListener("error", () =>
      reject(new Problem("The upload broke off. Please check the connection and upload the file again.")),
    );
    request.send(body);
  });
}
