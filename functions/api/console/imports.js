// The imports of the account, by whichever dialect. Kind and status are the API's filters; the dialect and the days are
// looked for in what it lists.

import { all, get } from "./api.js";
import { $, copy, fill, options, show } from "./dom.js";
import { link, on, pages, query, start } from "./page.js";
import { number, status, time } from "./words.js";

const SHOWN = 20;

/** Requests that one page makes at most while it looks for imports that fit. */
const MOST_REQUESTS = 10;

on($("filter"), "submit", () => {
  location.assign(link("imports", Object.fromEntries(new FormData($("filter")))));
});

start(async () => {
  const kinds = await all("kinds", "kinds");
  const kind = $("kind");
  options(kind, [["", "all"], ...kinds.map(({ name }) => name)], query.kind ?? "");
  for (const [id, name] of [["status-is", "status"], ["api", "api"], ["since", "since"], ["until", "until"]]) {
    $(id).value = query[name] ?? "";
  }
  const { cursor, ...filter } = query;
  const isFiltered = Object.values(filter).some(Boolean);
  show($("all"), isFiltered);
  const { found, next } = await look(filter, cursor);
  fill("list", found.map(row));
  pages("imports", query, next, found.length);
  const isEmpty = found.length === 0 && next === null && !cursor;
  if (isEmpty) $("empty").replaceChildren(copy(isFiltered ? "t-none-fits" : "t-none"));
  show($("empty"), isEmpty);
});

/** The next imports that fit, and where to go on. */
async function look({ kind, status, api, since, until }, cursor = "") {
  const from = since ? new Date(`${since}T00:00`) : null;
  const to = until ? new Date(`${until}T24:00`) : null;
  const isWide = !api && !from && !to;
  const found = [];
  let next = cursor;
  for (let asked = 0; next !== null && asked < MOST_REQUESTS; asked += 1) {
    const page = await get("imports", { kind, status, cursor: next, limit: isWide ? SHOWN : 100 });
    next = page.next_cursor;
    for (const its of page.imports) {
      const at = new Date(its.created_at);
      // They come newest first: nothing behind it is newer.
      if (from && at < from) return { found, next: null };
      const fits = (!api || its.created_by?.api === api) && (!to || at < to);
      if (fits) found.push(its);
      if (!isWide && found.length === SHOWN) return { found, next: its === page.imports.at(-1) ? next : its.id };
    }
    if (isWide) break;
  }
  return { found, next };
}

function row(its) {
  const by = its.created_by;
  return copy("t-import", {
    file: { href: link("import", { id: its.id }), text: its.filename ?? its.id },
    kind: its.kind + (its.options.dry_run ? ", check" : its.options.review ? ", review" : ""),
    status: status(its.status),
    rows: number(its.rows.total ?? its.rows.processed),
    failed: number(its.rows.failed),
    by: by ? `${by.label ?? by.key}${by.api === "native" ? "" : `, ${by.api}`}` : "–",
    created: time(its.created_at),
  });
}
