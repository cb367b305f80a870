// Signing in: a key that the API takes is kept for this tab.

import { ask, keep } from "./api.js";
import { $ } from "./dom.js";
import { on, query, run } from "./page.js";

/** The page to come back to; one of the console's own, whatever the address says. */
const to = /^[a-z-]+(\?[^#]*)?$/.test(query.to ?? "") && !query.to.startsWith("sign-in") ? query.to : "imports";

on($("sign-in"), "submit", async () => {
  const key = $("key").value.trim();
  if (!/^[!-~]+$/.test(key)) throw new Error("A key has letters, digits and ASCII signs alone. Copy it anew, with nothing around it.");
  try {
    await ask("GET", "imports", { query: { limit: 1 }, as: key });
  } catch (refusal) {
    // A key that may not read imports is a key all the same.
    if (refusal.status !== 403) throw refusal;
  }
  keep(key);
  location.replace(to);
  return new Promise(() => {});
});

run(() => $("key").focus());
