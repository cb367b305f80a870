// One kind: its fields in words, its versions and what changed between them.

import { all, ask, digits, exact, path } from "./api.js";
import { $, fill, line, make, options, show } from "./dom.js";
import { differences, rules } from "./fields.js";
import { deletes, link, on, query, start } from "./page.js";
import { several } from "./words.js";

const { name } = query;
const its = path("kinds", name ?? "");

start(async () => {
  const answer = await ask("GET", its);
  const version = Number(answer.headers.get("penstock-kind-version") ?? 0);
  const schema = await digits(answer);
  document.title = `${name} – Penstock`;
  $("name").textContent = schema.title ?? name;
  const parts = [make("code", {}, name), version ? `, version ${version}` : ", a bundled kind"];
  if (schema.description) parts.push(`. ${schema.description}`);
  $("about").replaceChildren(...parts);
  $("import").href = link("new", { kind: name });
  $("records").href = link("records", { kind: name });
  fill(
    "fields",
    schema.fields.map((field) => {
      const about = [make("code", {}, field.name), field.title ? ` ${field.title}` : ""];
      return line(about, field.type ?? "string", rules(field, schema), field.description ?? "");
    }),
  );
  fill(
    "rules-list",
    (schema.rules ?? []).map(({ rule, message, fields }) =>
      line(make("code", {}, rule), message, fields?.length ? fields.join(", ") : "those of the rule"),
    ),
  );
  show($("rules"), Boolean(schema.rules?.length));
  show($("delete"), version > 0);
  if (version > 0) await versions();
});

async function versions() {
  const found = await all(`${its}/versions`, "versions", 1000);
  const list = found.map(({ version, title }) => [String(version), `${version}: ${title}`]);
  const [newest, before] = list;
  options($("before"), list, query.before ?? (before ?? newest)[0]);
  options($("after"), list, query.after ?? newest[0]);
  show($("versions"));
  if (before || query.before) await compare();
}

async function compare() {
  const [before, after] = [$("before").value, $("after").value];
  const [was, is] = await Promise.all([before, after].map((version) => exact(`${its}/versions/${path(version)}`)));
  const changed = differences(was, is);
  const others = ["title", "description", "primaryKey", "additionalFields", "reading", "columnNames", "missingValues", "rules"].filter(
    (member) => JSON.stringify(was[member]) !== JSON.stringify(is[member]),
  );
  const said = [`From version ${before} to ${after}: ${changed.length ? `${several(changed.length, "field")} changed` : "no field changed"}`];
  if (others.length) said.push(`also ${others.join(", ")}`);
  $("changes-text").textContent = `${said.join("; ")}.`;
  fill("changes-list", changed.map(({ name, before, after }) => line(name, before, after)));
  show($("changes"));
}

on($("compare"), "submit", async () => {
  history.replaceState(null, "", link("kind", { name, before: $("before").value, after: $("after").value }));
  await compare();
});

on($("template"), "click", async () => {
  const file = await (await ask("GET", `${its}/template.csv`)).blob();
  const href = URL.createObjectURL(file);
  make("a", { href, download: `${name}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
});

deletes("kind", "It goes with all its versions. A kind that has records, or is in use, stays.", its, "kinds");
