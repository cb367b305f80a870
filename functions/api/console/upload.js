// Sends a file to the bucket, in parts. What has arrived is noted in the browser, so that the upload of the same file
// goes on after a reload. No more of the file is held than the browser needs to send a part from disk.

import { Refusal, path, post } from "./api.js";

/** Bytes of a part; all are so long but the last one. Ten thousand of them are more than the largest file. */
const PART_BYTES = 8 * 1024 * 1024;

/** Parts that are on their way at once. */
const AT_ONCE = 4;

/** URLs that are asked for at once. */
const URLS = 20;

/** How often a part is tried; between two tries it waits up to half a minute. */
const TRIES = 8;

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

/** Whether a file is the one of which parts have arrived, as far as its name, size and day tell. */
export const isSame = (before, file) =>
  before.name === file.name && before.size === file.size && before.modified === file.lastModified;

/**
 * Sends the file of an import and gives the import. `told` is called with the bytes that have arrived. `signal` stops
 * it; then what has arrived stays noted.
 */
export async function send(id, file, told, signal) {
  // What fails in one part ends the others.
  const ended = new AbortController();
  signal.addEventListener("abort", () => ended.abort(signal.reason), { once: true });
  try {
    return await sendParts(id, file, told, ended.signal);
  } catch (failure) {
    ended.abort(failure);
    throw failure;
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
  const tell = () => told(arrived + [...onTheirWay.values()].reduce((sum, sent) => sum + sent, 0));
  const keep = () => localStorage.setItem(noted(id), JSON.stringify(course));
  const signed = signer(id, waiting);
  keep();
  tell();

  const worker = async () => {
    for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) {
      const start = (number - 1) * PART_BYTES;
      const slice = file.slice(start, start + length(number));
      for (let tried = 1; !course.etags[number]; tried += 1) {
        signal.throwIfAborted();
        try {
          const part = await signed.of(number);
          course.etags[number] = await put(part, slice, signal, (sent) => {
            onTheirWay.set(number, sent);
            tell();
          });
        } catch (failure) {
          if (signal.aborted || failure.isFinal || failure instanceof Refusal || tried === TRIES) throw failure;
          signed.forget(number);
          await rest(Math.min(30, 2 ** (tried - 1)), signal);
        } finally {
          onTheirWay.delete(number);
        }
      }
      arrived += length(number);
      keep();
      tell();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const parts = Array.from({ length: count }, (_, at) => ({ number: at + 1, etag: course.etags[at + 1] }));
  const its = await post(`${path("imports", id)}/complete`, { parts });
  drop(id);
  return its;
}

/** The URLs of parts, which are asked for some at a time, and anew once they are old. */
function signer(id, waiting) {
  const urls = new Map();
  let asking = null;
  const isGood = (number) => (urls.get(number)?.until ?? 0) > Date.now();
  return {
    forget: (number) => urls.delete(number),
    async of(number) {
      while (!isGood(number)) {
        asking ??= (async () => {
          const numbers = [number, ...waiting.slice(0, URLS - 1)];
          const { parts, urls_expire_at } = await post(`${path("imports", id)}/parts`, { numbers });
          const until = new Date(urls_expire_at).getTime() - 60_000;
          for (const part of parts) urls.set(part.number, { ...part, until });
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
      const failure = new Error(
        request.status === 0
          ? "The storage did not answer. See whether the line is up; the upload goes on where it was."
          : `The storage answered ${request.status} to a part of the file.`,
      );
      // The parts are gone, or the import takes none any more.
      failure.isFinal = request.status === 404;
      failed(failure);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.send(slice);
  });
}

/** Waits for so many seconds, or until the line is there again. */
function rest(seconds, signal) {
  return new Promise((done, failed) => {
    const timer = setTimeout(done, seconds * 1000);
    window.addEventListener("online", done, { once: true });
    signal.addEventListener("abort", () => (clearTimeout(timer), failed(signal.reason)), { once: true });
  });
}
