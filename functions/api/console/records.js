// Records: one by its key, or those of a kind; and exports of them.

import { all, exact, get, path, post } from "./api.js";
import { $, copy, fill, head, line, make, options, set, show } from "./dom.js";
import { keyOf } from "./fields.js";
import { deletes, link, on, pages, query, start, toImport } from "./page.js";
import { number, status, time, value } from "./words.js";

/** Fields that a list has columns for; the record has all. */
const COLUMNS = 6;

/** Pages that are read at most until one has records: a page may be empty and have another behind it. */
const MOST_REQUESTS = 10;

const { changed_by, cursor } = query;
let kind = query.kind;

on($("find"), "submit", () => {
  location.assign(link("records", { kind: $("kind").value, key: $("key").value }));
});

start(async () => {
  const kinds = await all("kinds", "kinds");
  kind ??= kinds[0].name;
  options($("kind"), kinds.map(({ name, title }) => [name, `${name}: ${title}`]), kind);
  $("key").value = query.key ?? "";
  await (query.key ? one(query.key) : list());
});

/** A record, with the row that each field comes from. */
async function one(key) {
  const record = await exact(path("records", kind, key), { provenance: "true" });
  const { made, changed, fields } = record.provenance;
  $("one-title").textContent = record.key;
  $("one-about").replaceChildren("Made by ", ...from(made), ", last changed by ", ...from(changed), ".");
  const names = [...new Set([...Object.keys(record.fields), ...Object.keys(fields)])].sort();
  fill(
    "values",
    names.map((name) => line(name, value(record.fields[name]), fields[name] ? from(fields[name]) : "–")),
  );
  $("back").href = link("records", { kind });
  deletes("record", "Only an import can make it anew.", path("records", kind, key), link("records", { kind }));
  show($("one"));
}

/** Where something comes from: a link to the import, and the row. */
function from({ import: id, row, default: isDefault, cleared }) {
  const source = id ? toImport(id) : "an import of an earlier version";
  return [source, `, row ${row}`, isDefault ? ", the kind's default" : "", cleared ? ", which emptied it" : ""];
}

async function list() {
  let page = { records: [], next_cursor: cursor ?? "" };
  for (let asked = 0; page.next_cursor !== null && !page.records.length && asked < MOST_REQUESTS; asked += 1) {
    page = await exact(path("records", kind), { changed_by, limit: 50, cursor: page.next_cursor });
  }
  $("all-title").textContent = `Records of ${kind}`;
  if (changed_by) {
    $("changed").replaceChildren("Those that ", toImport(changed_by), " made or changed last. ", make("a", { href: link("records", { kind }) }, "Show all"));
    show($("changed"));
  }
  // The fields of the kind in its order, then those that it keeps besides. A key of one field is there already.
  const { fields: known, ...schema } = await get(path("kinds", kind));
  const used = new Set(page.records.flatMap(({ fields }) => Object.keys(fields ?? {})));
  const keys = keyOf(schema);
  const ordered = [...new Set([...known.map(({ name }) => name), ...used])].filter((name) => used.has(name));
  const names = ordered.filter((name) => keys.length > 1 || name !== keys[0]).slice(0, COLUMNS);
  const numbers = new Set(known.filter(({ type }) => ["integer", "number"].includes(type)).map(({ name }) => name));
  const look = (name) => (numbers.has(name) ? "number" : null);
  head("list", ["Key", ...names]);
  names.forEach((name, at) => set($("list").tHead.rows[0].cells[at + 1], { class: look(name) }));
  fill(
    "list",
    page.records.map(({ key, fields }) =>
      make(
        "tr",
        {},
        make("th", { scope: "row" }, make("a", { href: link("records", { kind, key }) }, key)),
        ...names.map((name) => make("td", { class: look(name) }, value(fields?.[name]))),
      ),
    ),
  );
  pages("records", query, page.next_cursor, page.records.length);
  const isEmpty = page.records.length === 0 && page.next_cursor === null && !cursor;
  if (isEmpty) $("empty").replaceChildren(copy("t-none", { new: { href: link("new", { kind }) } }));
  show($("empty"), isEmpty);
  show($("all"));
  await exports();
  show($("exports"));
}

const UNFINISHED = ["pending", "processing"];

let timer = 0;

/** Shows the exports, and looks again while one of them goes on. */
async function exports() {
  const { exports: found } = await get("exports", { limit: 20 });
  fill("exports-list", found.map(exported));
  if (found.some(({ status }) => UNFINISHED.includes(status))) later();
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(() => exports().catch(later), 2000);
}

const exported = (its) => {
  const row = copy("t-export", {
    kind: its.kind,
    format: its.format + (its.compression === "none" ? "" : `, ${its.compression}`),
    status: status(its.status),
    records: number(its.records),
    created: time(its.created_at),
    download: { "aria-label": `Download ${its.kind}, ${its.format}` },
  });
  const button = row.querySelector("button");
  if (its.url) on(button, "click", async () => location.assign((await get(path("exports", its.id))).url));
  else button.replaceWith(its.failure?.message ?? "");
  return row;
};

on($("export"), "submit", async () => {
  await post("exports", { kind, format: $("export-format").value, compression: $("export-compression").value });
  await exports();
});
