// The course of an upload, as the page shows it.

import { path, post } from "./api.js";
import { $, show } from "./dom.js";
import { confirmed, link, progress } from "./page.js";
import { drop, send } from "./upload.js";
import { bytes, span } from "./words.js";

/** How much of the past the rate is of. */
const WINDOW_MS = 5000;

/** Sends the file of an import, shows how it goes, and then goes to the import. Cancelling cancels the import too. */
export async function sending(id, file) {
  const stop = new AbortController();
  const seen = [];
  let drawn = 0;
  const told = (sent) => {
    const now = performance.now();
    seen.push([now, sent]);
    while (now - seen[0][0] > WINDOW_MS) seen.shift();
    if (now - drawn < 200 && sent < file.size) return;
    drawn = now;
    const [[since, before]] = seen;
    const rate = now - since > 500 ? ((sent - before) * 1000) / (now - since) : 0;
    $("sent").value = file.size ? sent / file.size : 1;
    const how = rate > 0 ? `, ${bytes(rate)}/s, ${span(((file.size - sent) * 1000) / rate)} left` : "";
    $("sent-text").textContent = `${bytes(sent)} of ${bytes(file.size)}${how}`;
    progress(`${bytes(sent)} of ${bytes(file.size)} sent`);
  };
  $("stop-sending").onclick = async () => {
    if (await confirmed("Cancel the upload?", "What was sent is dropped, and the import is cancelled.", "Cancel the upload")) {
      stop.abort(new Error("The upload was cancelled."));
    }
  };
  show($("sending"));
  $("sending").scrollIntoView({ block: "nearest" });
  try {
    await send(id, file, told, stop.signal);
  } catch (failure) {
    if (stop.signal.aborted) {
      drop(id);
      await post(`${path("imports", id)}/cancel`);
    } else if (failure.code !== "already_uploaded") {
      throw failure;
    }
  }
  location.replace(link("import", { id }));
  return new Promise(() => {});
}
