// Sends a file to the bucket, in parts. What has arrived is noted in the browser, so that the upload of the same file
// goes on after a reload. No more of the file is held than the browser needs to send a part from disk. And how it goes,
// as the page shows it.

import { Refusal, path, post } from "./api.js";
import { $, show } from "./dom.js";
import { confirmed, link, progress, run } from "./page.js";
import { bytes, span } from "./words.js";

/** Bytes of a part; all are so long but the last one. Ten thousand of them are more than the largest file. */
const PART_BYTES = 8 * 1024 * 1024;

/** Parts that are on their way at once. */
const AT_ONCE = 4;

/** URLs that are asked for at once. */
const URLS = 20;

/** How often something is tried while the line is up; between two tries it waits up to half a minute. */
const TRIES = 8;

/** How much of the past the rate is of. */
const WINDOW_MS = 5000;

const noted = (id) => `penstock.upload.${id}`;

/** What is noted of the upload to an import: the file's name, size and day, and the parts that have arrived. */
export function interrupted(id) {
  try {
    return JSON.parse(localStorage.getItem(noted(id)));
  } catch {
    return null;
  }
}

/** Forgets what is noted of the upload to an import. */
export const drop = (id) => localStorage.removeItem(noted(id));

/** Whether the file of an import is being sent, by whichever tab, as far as the browser tells. */
export const isSent = async (id) => (await navigator.locks?.query())?.held.some(({ name }) => name === noted(id)) ?? false;

/** Whether a file is the one of which parts have arrived, as far as its name, size and day tell. */
export const isSame = (before, file) =>
  before.name === file.name && before.size === file.size && before.modified === file.lastModified;

/**
 * Sends the file of an import and gives the import. `told` is called with the bytes that have arrived, and with what
 * fails for the time being. `stop` stops it; then what has arrived stays noted. Tabs send one after the other.
 */
async function send(id, file, told, stop) {
  // What fails in one part ends the others.
  const ended = new AbortController();
  const signal = AbortSignal.any([stop, ended.signal]);
  const work = () => sendParts(id, file, told, signal);
  try {
    // The browser has locks where the page comes by HTTPS or from this machine.
    return await (navigator.locks ? navigator.locks.request(noted(id), { signal }, work) : work());
  } catch (failure) {
    ended.abort(failure);
    throw failure;
  }
}

/** Does something that may be repeated, again where it fails for the time being. */
async function persist(work, failed, signal) {
  for (let tried = 1; ; tried += 1) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (failure) {
      if (signal.aborted || !failure.passes || tried === TRIES) throw failure;
      failed(failure);
      if (await rest(Math.min(30, 2 ** (tried - 1)), signal)) tried = 0;
    }
  }
}

async function sendParts(id, file, told, signal) {
  const before = interrupted(id);
  const course =
    before && isSame(before, file) ? before : { name: file.name, size: file.size, modified: file.lastModified, etags: {} };
  const count = Math.max(1, Math.ceil(file.size / PART_BYTES));
  const waiting = [];
  for (let number = 1; number <= count; number += 1) if (!course.etags[number]) waiting.push(number);
  const length = (number) => Math.min(PART_BYTES, file.size - (number - 1) * PART_BYTES);
  const onTheirWay = new Map();
  let arrived = Object.keys(course.etags).reduce((sum, number) => sum + length(Number(number)), 0);
  const tell = (failure) => told(arrived + [...onTheirWay.values()].reduce((sum, sent) => sum + sent, 0), failure);
  const keep = () => {
    try {
      localStorage.setItem(noted(id), JSON.stringify(course));
    } catch {
      // There is no room left to note it: after a reload it begins anew.
    }
  };
  const signed = signer(id, waiting);
  keep();
  tell();

  const worker = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const start = (number - 1) * PART_BYTES;
      const slice = file.slice(start, start + length(number));
      const sending = async () =>
        put(await signed.of(number), slice, signal, (sent) => {
          onTheirWay.set(number, sent);
          tell();
        });
      const failed = (failure) => {
        onTheirWay.delete(number);
        if ([400, 403].includes(failure.status)) signed.forget();
        tell(failure);
      };
      course.etags[number] = await persist(sending, failed, signal);
      onTheirWay.delete(number);
      arrived += length(number);
      keep();
      tell();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const parts = Array.from({ length: count }, (_, at) => ({ number: at + 1, etag: course.etags[at + 1] }));
  const its = await persist(() => post(`${path("imports", id)}/complete`, { parts }), tell, signal);
  drop(id);
  return its;
}

/** The URLs of parts, which are asked for some at a time. The storage says when they are old, not this clock. */
function signer(id, waiting) {
  const urls = new Map();
  let asking = null;
  return {
    forget: () => urls.clear(),
    async of(number) {
      while (!urls.has(number)) {
        asking ??= (async () => {
          const numbers = [number, ...waiting.slice(0, URLS - 1)];
          const { parts } = await post(`${path("imports", id)}/parts`, { numbers });
          for (const part of parts) urls.set(part.number, part);
        })().finally(() => (asking = null));
        await asking;
      }
      return urls.get(number);
    },
  };
}

/** Sends one part, and gives its ETag. */
function put({ method, url, headers }, slice, signal, told) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    signal.addEventListener("abort", stop);
    request.upload.onprogress = ({ loaded }) => told(loaded);
    request.onloadend = () => {
      signal.removeEventListener("abort", stop);
      const etag = request.status === 200 ? request.getResponseHeader("ETag") : null;
      if (etag) return void done(etag);
      const { status } = request;
      const failure = new Refusal(status, {
        detail: status
          ? `The storage answered ${status} to a part of the file.`
          : "The storage did not answer. See whether the line is up; the upload goes on where it was.",
      });
      // At 404 the parts are gone, or the import takes none any more.
      failure.passes = status !== 404;
      failed(failure);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(slice);
  });
}

/** Waits for so many seconds, or, where the line is down, until it is up again; gives whether it is. */
function rest(seconds, signal) {
  return new Promise((done, failed) => {
    if (navigator.onLine) setTimeout(done, seconds * 1000);
    window.addEventListener("online", done, { once: true, signal });
    signal.addEventListener("abort", () => failed(signal.reason), { once: true });
  });
}

/**
 * Sends the file of an import, shows how it goes, and then goes to the import. Cancelling cancels the import too. What
 * has failed for good can be begun anew where it was.
 */
export async function sending(id, file) {
  const stop = new AbortController();
  const seen = [];
  let drawn = 0;
  const told = (sent, failure) => {
    const now = performance.now();
    seen.push([now, sent]);
    while (now - seen[0][0] > WINDOW_MS) seen.shift();
    if (now - drawn < 200 && sent < file.size && !failure) return;
    drawn = now;
    const [[since, before]] = seen;
    const rate = now - since > 500 ? ((sent - before) * 1000) / (now - since) : 0;
    $("sent").value = file.size ? sent / file.size : 1;
    const how = rate > 0 ? `, ${bytes(rate)}/s, ${span(((file.size - sent) * 1000) / rate)} left` : "";
    $("sent-text").textContent = `${bytes(sent)} of ${bytes(file.size)}${failure ? `. ${failure.message}` : how}`;
    progress(`${bytes(sent)} of ${bytes(file.size)} sent`);
  };
  const leave = () => {
    location.replace(link("import", { id }));
    return new Promise(() => {});
  };
  const cancel = async () => {
    await post(`${path("imports", id)}/cancel`);
    drop(id);
    return leave();
  };
  $("stop-sending").onclick = async () => {
    if (!(await confirmed("Cancel the upload?", "What was sent is dropped, and the import is cancelled.", "Cancel the upload"))) return;
    if ($("go-on").hidden) stop.abort(new Error("The upload was cancelled."));
    else run(cancel);
  };
  $("go-on").onclick = () => run(() => sending(id, file));
  // How much has arrived is told once no other tab sends it.
  $("sent").removeAttribute("value");
  show($("go-on"), false);
  show($("sending"));
  $("sending-title").focus();
  try {
    await send(id, file, told, stop.signal);
  } catch (failure) {
    if (failure.code !== "already_uploaded") {
      show($("go-on"));
      if (!stop.signal.aborted) throw failure;
      await cancel();
    }
  }
  return leave();
}
