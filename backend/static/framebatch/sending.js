// Sends a file to the video storage: small ones in one piece, others in parts that are taken up where they stopped.

import { ask, Problem } from "./api.js";

const IN_PARTS_FROM_BYTES = 32 * 1024 ** 2;
const AT_A_TIME = 3;
const SIGNED_AT_ONCE = 16; // calls are counted for each user
const TRIES = 8;
const LONGEST_PAUSE_SECONDS = 30;

/** Thrown out of whatever waits when the user cancels. */
export class Cancelled extends Error {}

/** Several parts share the outcome of one upload; the page pauses, resumes and cancels it. */
export class Upload {
  /** `progressed(bytes)` is told how much has arrived, `says(sentence)` what is going on. */
  constructor(file, { progressed, says }) {
    this.file = file;
    this.progressed = progressed;
    this.says = says;
    this.requests = new Set();
    this.sent = new Map(); // part -> bytes that have left this machine
    this.going = Promise.resolve();
    this.cancelled = false;
  }

  get paused() {
    return Boolean(this.goOn);
  }

  pause() {
    if (this.paused) return;
    this.going = new Promise((resolve) => (this.goOn = resolve));
    for (const request of this.requests) request.abort();
  }

  resume() {
    this.goOn?.();
    this.goOn = undefined;
  }

  /** Ends what is being sent; what has arrived is thrown away. */
  async cancel() {
    this.cancelled = true;
    this.resume();
    for (const request of this.requests) request.abort();
    if (this.video) await ask(this.video.links.abort, { method: "POST", body: {} });
  }

  /** Starts, or takes up what was started under the same key; gives the video, which is finished when it comes. */
  async run(start, key) {
    const inParts = this.file.size > IN_PARTS_FROM_BYTES;
    const whole = { filename: this.file.name, size_bytes: this.file.size, content_type: this.file.type };
    // Where the page came neither by HTTPS nor from this machine, browsers do not compute checksums.
    const checks = Boolean(crypto.subtle);
    if (inParts) whole.multipart = true;
    if (checks) whole.checksum_algorithm = "SHA256";
    if (checks && !inParts) whole.checksum = base64(await digest(this.file));
    this.video = (await this.patiently(() => ask(start, { method: "POST", body: whole, once: key }))).body;
    if (this.cancelled) await ask(this.video.links.abort, { method: "POST", body: {} }); // it came too early
    await this.mayGoOn();
    if (this.video.status !== "uploading") return this.watched(this.video);
    const finished = inParts ? await this.sendParts(checks) : await this.sendWhole();
    this.says("Uploaded. Looking at the file…");
    const finish = () => ask(this.video.links.finish, { method: "POST", body: finished });
    return this.watched((await this.patiently(finish)).body);
  }

  async sendWhole() {
    const request = {
      body: this.file,
      signed: this.video.upload,
      sign: async () => (await ask(this.video.links.sign, { method: "POST", body: {} })).body.upload,
    };
    await this.persistently("whole", request);
    return {};
  }

  async sendParts(checks) {
    const { size_bytes: size, count } = this.video.parts;
    const arrived = await this.arrived();
    const digests = new Array(count);
    const slice = (number) => this.file.slice((number - 1) * size, number * size);
    const hash = async (number) => {
      if (checks) digests[number - 1] ??= await digest(slice(number));
      return checks ? base64(digests[number - 1]) : undefined;
    };
    const sign = async (numbers) => {
      const parts = [];
      for (const number of numbers) parts.push({ number, checksum: await hash(number) });
      const { body } = await this.patiently(() => ask(this.video.links.sign, { method: "POST", body: { parts } }));
      return body.parts;
    };

    const missing = [];
    for (let number = 1; number <= count; number += 1) {
      if (arrived.size) this.says(`Comparing with what has arrived, part ${number} of ${count}…`);
      await this.mayGoOn();
      // What was sent before the page was left is skipped, unless the file has changed since.
      const known = arrived.get(number);
      const same = known && (known.checksum === null || known.checksum === (await hash(number)));
      if (same) this.count(number, slice(number).size);
      else missing.push(number);
    }

    const signed = [];
    let signing = null;
    const signMore = () => {
      signing ??= sign(missing.splice(0, SIGNED_AT_ONCE))
        .then((parts) => signed.push(...parts))
        .finally(() => (signing = null));
      return signing;
    };
    const sendOnes = async () => {
      for (;;) {
        while (!signed.length && (signing || missing.length)) await signMore();
        const part = signed.shift();
        if (!part) return;
        const again = async () => (await sign([part.number]))[0];
        await this.persistently(part.number, { body: slice(part.number), signed: part, sign: again });
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, sendOnes));
    if (!checks) return {};
    for (let number = 1; number <= count; number += 1) await hash(number);
    return { checksum: base64(await digest(new Blob(digests))) };
  }

  /** Parts that the storage has, by number. */
  async arrived() {
    const parts = new Map();
    let link = this.video.links.parts;
    while (link) {
      const { body: page } = await this.patiently(() => ask(link));
      for (const part of page.results) parts.set(part.number, part);
      link = page.next;
    }
    return parts;
  }

  /** The video once it is known what is in it. */
  async watched(video) {
    while (video.status === "probing") {
      await seconds(1);
      video = (await this.patiently(() => ask(this.video.links.self))).body;
    }
    return video;
  }

  /** Sends one body, again and again where that may help; a URL that has expired is signed anew. */
  async persistently(part, { body, signed, sign }) {
    for (let tries = 1; ; tries += 1) {
      await this.mayGoOn();
      const status = await this.put(part, signed, body);
      if (status >= 200 && status < 300) return;
      this.count(part, 0);
      if (this.cancelled || this.paused) {
        tries = 0;
        continue;
      }
      if (tries === TRIES) {
        throw new Problem(
          status
            ? "The video storage refused the file. Please try to upload it again."
            : "The upload broke off. Please check the connection and choose the same file again; it goes on from there.",
        );
      }
      if (!navigator.onLine) {
        this.says("There is no connection; the upload goes on when it is back…");
        await new Promise((resolve) => window.addEventListener("online", resolve, { once: true }));
      } else await seconds(Math.min(2 ** (tries - 1), LONGEST_PAUSE_SECONDS));
      if (status === 403) signed = await sign();
    }
  }

  // fetch() cannot tell how much of a body was sent, so this is XMLHttpRequest. Gives the status, 0 for none.
  put(part, { method, url, headers }, body) {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open(method, url);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", ({ loaded }) => this.count(part, loaded));
      request.addEventListener("loadend", () => {
        this.requests.delete(request);
        if (request.status >= 200 && request.status < 300) this.count(part, body.size);
        resolve(request.status);
      });
      this.requests.add(request);
      request.send(body);
    });
  }

  count(part, bytes) {
    this.sent.set(part, bytes);
    let sum = 0;
    for (const one of this.sent.values()) sum += one;
    this.progressed(sum);
  }

  async mayGoOn() {
    await this.going;
    if (this.cancelled) throw new Cancelled();
  }

  /** Asks the API; where it is away or has been asked too often, again after a while. */
  async patiently(asking) {
    for (let tries = 1; ; tries += 1) {
      await this.mayGoOn();
      try {
        return await asking();
      } catch (problem) {
        const passes = problem instanceof Problem && [0, 429, 503].includes(problem.status);
        if (!passes || tries === TRIES) throw problem;
        await seconds(problem.retryAfter || Math.min(2 ** (tries - 1), LONGEST_PAUSE_SECONDS));
      }
    }
  }
}

async function digest(blob) {
  let bytes;
  try {
    bytes = await blob.arrayBuffer();
  } catch {
    throw new Problem("The file can no longer be read; was it moved or changed? Please choose it again.");
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function base64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function seconds(number) {
  return new Promise((resolve) => setTimeout(resolve, number * 1000));
}
