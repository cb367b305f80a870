// The public API, with the key of whoever signed in. The key is kept for this tab.

const KEY = "penstock.key";

/** The base of the API: the folder in which the console is. */
const base = new URL("../v1/", document.baseURI);

/** The key of whoever signed in; null if nobody has. */
export const key = () => sessionStorage.getItem(KEY);

/** Keeps a key for this tab. */
export const keep = (text) => sessionStorage.setItem(KEY, text);

/** Forgets the key, and what was noted of uploads and imports. */
export function forget() {
  for (const storage of [sessionStorage, localStorage]) {
    Object.keys(storage).filter((name) => name.startsWith("penstock.")).forEach((name) => storage.removeItem(name));
  }
}

/** What the API or the storage refuses: its own sentence and its code, and whether it may be otherwise later. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.message ?? `the API answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "";
    this.passes = status === 0 || status === 429 || status >= 500;
  }
}

/** A path of names, each encoded. */
export const path = (...names) => names.map((name) => encodeURIComponent(name)).join("/");

/** Where to sign in, and to come back from there to this page. */
export function signIn() {
  const here = location.pathname.split("/").pop() + location.search;
  location.replace(`sign-in?to=${encodeURIComponent(here)}`);
  return new Promise(() => {});
}

/**
 * Asks the API. `query` has parameters, those without a value are left out; `json` is a body in JSON, `raw` one of
 * bytes. Gives the answer. A key that is not taken leads to signing in.
 */
export async function ask(method, to, { query = {}, json, raw, as = key() } = {}) {
  const url = new URL(to, base);
  for (const [name, value] of Object.entries(query)) if (value || value === 0) url.searchParams.set(name, value);
  const headers = { authorization: `Bearer ${as}` };
  if (json !== undefined) headers["content-type"] = "application/json";
  if (raw !== undefined) headers["content-type"] = "application/octet-stream";
  const body = json === undefined ? raw : JSON.stringify(json);
  let answer;
  try {
    answer = await fetch(url, { method, headers, body, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refusal(0, { code: "no_answer", detail: "The API did not answer. See whether the line is up, and try again." });
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && as === key()) {
    sessionStorage.removeItem(KEY);
    return signIn();
  }
  throw new Refusal(answer.status, await answer.json().catch(() => ({})));
}

const body = async (answer) => (answer.status === 204 ? null : answer.json());

/** Reads something. */
export const get = async (to, query) => body(await ask("GET", to, { query }));

/** Orders something, with a body in JSON if there is any. */
export const post = async (to, json) => body(await ask("POST", to, { json }));

/** Removes something. */
export const remove = async (to) => body(await ask("DELETE", to));

/** An answer whose numbers keep every digit that the API wrote, where the browser can: see `value`. */
export async function digits(answer) {
  const isKept = (value, context) => typeof value === "number" && JSON.rawJSON && String(value) !== context.source;
  const kept = (_, value, context) => (isKept(value, context) ? JSON.rawJSON(context.source) : value);
  return JSON.parse(await answer.text(), kept);
}

/** Reads something with every digit. */
export const exact = async (to, query) => digits(await ask("GET", to, { query }));

/** Every page of a list, up to so many items. */
export async function all(to, name, most = 500) {
  const found = [];
  for (let cursor = ""; cursor !== null && found.length < most; ) {
    const page = await get(to, { limit: 100, cursor });
    found.push(...page[name]);
    cursor = page.next_cursor;
  }
  return found;
}
