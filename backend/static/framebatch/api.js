// Talking to the API from a signed-in page.

const SERVICE_AWAY = "The service cannot be reached right now. Please try again in a few seconds.";
// What the API says of these is meant for programs.
const OF_A_SESSION = {
  not_authenticated: "You are not signed in any more. Please load this page again and sign in.",
  csrf_failed: "This page is out of date. Please load it again.",
};

/** What went wrong, in sentences a user can read. */
export class Problem extends Error {
  constructor(message, { status = 0, retryAfter = 0 } = {}) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Sends JSON and returns {body, retryAfter}; throws Problem. `once` is an idempotency key. */
export async function ask(url, { method = "GET", body = undefined, once = "" } = {}) {
  const headers = { Accept: "application/json" };
  if (once) headers["Idempotency-Key"] = once;
  if (method !== "GET") {
    headers["Content-Type"] = "application/json";
    headers["X-CSRFToken"] = csrfToken();
  }
  let response;
  try {
    response = await fetch(url, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new Problem(SERVICE_AWAY);
  }
  const retryAfter = Number(response.headers.get("Retry-After")) || 0;
  if (response.status === 204) return { body: null, retryAfter };
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    throw new Problem(SERVICE_AWAY, { status: response.status, retryAfter });
  }
  if (!response.ok) {
    throw new Problem(sentences(answer), { status: response.status, retryAfter });
  }
  return { body: answer, retryAfter };
}

/** As it is now, or empty: whoever signs in anew in another tab gets another one, and the page's own form is older than
 * that. */
export function csrfToken() {
  return document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
}

function sentences({ code, detail, errors }) {
  if (code in OF_A_SESSION) return OF_A_SESSION[code];
  const faults = Object.entries(errors || {});
  // Of a faulty field only its name tells what the sentence is about; other refusals say it themselves.
  const said =
    code === "invalid"
      ? faults.flatMap(([field, texts]) => texts.map((text) => `${words(field)}: ${text}`))
      : [detail, ...faults.flatMap(([, texts]) => texts)];
  return [...new Set(said)].join(" ") || detail || SERVICE_AWAY;
}

function words(field) {
  return field.replace("options.", "").replaceAll("_", " ");
}

export function show(element, text) {
  element.textContent = text;
  element.hidden = !text;
}

/** Calls `start` whenever the page comes into view, and what it returned when it goes out of view: a browser has only
 * a few connections for all pages of a site, and each stream holds one. */
export function whileVisible(start) {
  let stop = null;
  const turn = () => {
    if (document.hidden) {
      stop?.();
      stop = null;
    } else {
      stop ??= start();
    }
  };
  document.addEventListener("visibilitychange", turn);
  turn();
}

/** An idempotency key. */
export function newKey() {
  // crypto.randomUUID() exists only where the page came by HTTPS or from this machine.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("-");
}
