// Kinds: which there are, and a new one from a sample file.

import { ask, get, path } from "./api.js";
import { $, copy, files, fill, make, show } from "./dom.js";
import { guess, preview } from "./fields.js";
import { leave, link, on, pages, query, run, start } from "./page.js";

/** The kind as which a sample is read; it matters for nothing but its columns. */
let any = "";

start(async () => {
  const page = await get("kinds", { limit: 100, cursor: query.cursor });
  [{ name: any }] = page.kinds;
  fill(
    "list",
    page.kinds.map(({ name, title, version }) =>
      copy("t-kind", { name: { href: link("kind", { name }), text: name }, title, version: version ?? "bundled" }),
    ),
  );
  pages("kinds", query, page.next_cursor);
  files($("drop"), $("sample"), (file) => run(() => sample(file)));
});

async function sample(file) {
  const { columns } = await preview(any, { file }, { options: {} });
  const stem = file.name.replace(/\..*$/, "");
  $("title").value = stem;
  $("name").value = stem.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 64);
  fill(
    "fields",
    columns.map(({ column, samples }, at) => {
      const name = { "aria-label": `Type of ${column}` };
      const row = copy("t-field", {
        column,
        samples: samples.map((text) => make("q", {}, text)),
        type: name,
        required: { "aria-label": `${column} must hold a value`, checked: at === 0 },
        key: { "aria-label": `${column} is part of the key`, checked: at === 0 },
      });
      row.querySelector("select").value = guess(samples);
      return row;
    }),
  );
  show($("make"));
  $("name").focus();
}

on($("make"), "submit", async () => {
  const rows = [...$("fields").tBodies[0].rows];
  const part = (row, name) => row.querySelector(`[data-is="${name}"]`);
  const name = (row) => part(row, "column").textContent;
  const schema = {
    name: $("name").value,
    title: $("title").value,
    primaryKey: rows.filter((row) => part(row, "key").checked).map(name),
    fields: rows.map((row) => ({
      name: name(row),
      type: part(row, "type").value,
      ...(part(row, "required").checked ? { constraints: { required: true } } : {}),
    })),
  };
  await ask("PUT", path("kinds", schema.name), { json: schema });
  return leave(link("kind", { name: schema.name }));
});
