// What every page does: it says how it stands, shows refusals, and lets its visitor sign out.

import { forget, key, remove, signIn } from "./api.js";
import { $, make, show } from "./dom.js";

const root = document.documentElement;

/** What the address of the page says. */
export const query = Object.fromEntries(new URLSearchParams(location.search));

/** A link to a page of the console; what has no value is left out. */
export function link(page, about = {}) {
  const there = Object.entries(about).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return there.length ? `${page}?${new URLSearchParams(there)}` : page;
}

/** A link to an import: a text, or its id. */
export const toImport = (id, text = id) => make("a", { href: link("import", { id }) }, text);

/** Goes to another page: nothing more is done on this one. */
export function leave(to) {
  location.assign(to);
  return new Promise(() => {});
}

let working = 0;
let failed = false;

/**
 * Does something, and says how it stands in `data-state`: `busy` (`loading` before the first is done), then `ready`, or
 * `failed` with the refusal in the alert.
 */
export async function run(work) {
  if (working === 0) {
    failed = false;
    $("alert").replaceChildren();
    if (root.dataset.state !== "loading") root.dataset.state = "busy";
  }
  working += 1;
  try {
    return await work();
  } catch (refusal) {
    failed = true;
    complain(refusal);
    return undefined;
  } finally {
    working -= 1;
    if (working === 0) root.dataset.state = failed ? "failed" : "ready";
  }
}

/** The same on a click, or when a form is sent, not while something is under way; and on every change. */
export function on(node, event, work) {
  node.addEventListener(event, (happened) => {
    if (event === "submit") happened.preventDefault();
    if (working === 0 || event === "change") run(() => work(happened));
  });
}

/** Shows what the API refused, in its own words. */
export function complain(refusal) {
  // A fault of the page is for its makers, who look for it there.
  if (refusal instanceof TypeError || refusal instanceof ReferenceError) console.error(refusal);
  const code = refusal.code ? make("code", {}, refusal.code) : null;
  $("alert").replaceChildren(make("p", {}, ...prose(refusal.message), code && " ", code));
  $("alert").scrollIntoView({ block: "nearest" });
}

/** A message of the API as nodes: it begins as a sentence does, and what stands between backticks is code. */
export const prose = (text) =>
  (text.charAt(0).toUpperCase() + text.slice(1))
    .split("`")
    .map((part, at) => (at % 2 ? make("code", {}, part) : part));

/** For how long something stays said. */
const SAID_MS = 10_000;

let saidAt = 0;
let silence = 0;

/** Says something that is done, also to who does not see the page. */
export function say(text) {
  clearTimeout(silence);
  saidAt = Date.now();
  $("status").textContent = text;
  silence = setTimeout(() => ($("status").textContent = ""), SAID_MS);
}

/** Says how something goes, where nothing was said for ten seconds. */
export function progress(text) {
  if (Date.now() - saidAt >= SAID_MS) say(text);
}

/** Asks before something that cannot be undone; `text` is one or a list of texts and nodes. */
export function confirmed(title, text, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").replaceChildren(...[text].flat());
  $("confirm-yes").textContent = yes;
  $("confirm-yes").onclick = () => dialog.close("yes");
  $("confirm-no").onclick = () => dialog.close("no");
  dialog.returnValue = "no";
  dialog.showModal();
  $("confirm-no").focus();
  return new Promise((told) => dialog.addEventListener("close", () => told(dialog.returnValue === "yes"), { once: true }));
}

/** Deletes on a click what the page shows, once that is confirmed, and leaves the page. */
export function deletes(what, text, its, to) {
  on($("delete"), "click", async () => {
    if (!(await confirmed(`Delete the ${what}?`, text, `Delete the ${what}`))) return;
    await remove(its);
    await leave(to);
  });
}

/** Shows a secret once, with a way to copy it; is over when the dialog is closed. */
export function once(secret) {
  const [dialog, input] = [$("once"), $("secret")];
  input.value = secret;
  $("copied").textContent = "";
  $("copy").onclick = async () => {
    input.select();
    try {
      await navigator.clipboard.writeText(secret);
      $("copied").textContent = "Copied.";
    } catch {
      $("copied").textContent = "The browser does not allow it: the text is selected, copy it with the keyboard.";
    }
  };
  $("close-once").onclick = () => dialog.close();
  dialog.showModal();
  input.select();
  return new Promise((told) => dialog.addEventListener("close", () => told((input.value = "")), { once: true }));
}

/** The links to the first page of a list and to its next one, behind the `count` that is shown. */
export function pages(page, about, cursor, count) {
  const [first, next] = [$("first-page"), $("next-page")];
  first.href = link(page, { ...about, cursor: "" });
  show(first, Boolean(about.cursor));
  next.href = link(page, { ...about, cursor: cursor ?? "" });
  show(next, Boolean(cursor));
  if (count === 0) next.textContent = "None among those that were looked through. Look further";
}

// A page that the browser kept while it was left would go on with what was under way then.
window.addEventListener("pageshow", ({ persisted }) => persisted && location.reload());

/** Begins a page: with a key, and what it loads. */
export function start(load) {
  const text = key();
  if (!text) return void signIn();
  $("who").textContent = text.split(/[.:]/)[0];
  $("sign-out").addEventListener("click", () => {
    forget();
    location.assign("sign-in");
  });
  run(load);
}
