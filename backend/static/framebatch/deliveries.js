// A webhook's page: loads itself again as soon as something came of a delivery that was about to be sent.

import { ask, Problem, show, whileVisible } from "./api.js";

const PAUSE_MS = 2000;

const list = document.getElementById("deliveries");
const soon = [...document.querySelectorAll("[data-delivery]")];

if (soon.length) {
  whileVisible(() => {
    const timer = setInterval(look, PAUSE_MS);
    return () => clearInterval(timer);

    async function look() {
      try {
        if (await somethingCame()) window.location.reload();
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        clearInterval(timer);
        show(document.getElementById("action-error"), `${problem.message} Until then this page stays as it is.`);
      }
    }
  });
}

/** What is pending still, with as many attempts as before, is as the page shows it. */
async function somethingCame() {
  const { body } = await ask(list.dataset.pending);
  const attempts = new Map(body.results.map((delivery) => [delivery.id, delivery.attempts.length]));
  return soon.some(({ dataset }) => attempts.get(dataset.delivery) !== Number(dataset.attempts));
}
