// A new import: a file is chosen, read as the API would read it, matched to a kind, and sent. With `from` in the address
// it reads what was uploaded to that import, and nothing is sent.

import { all, ask, get, path, post } from "./api.js";
import { $, copy, files, fill, head, make, options, show } from "./dom.js";
import { fit, normalised, required } from "./fields.js";
import { link, on, query, run, prose, start } from "./page.js";
import { filled, preview } from "./sample.js";
import { sending } from "./upload.js";
import { bytes, several, value } from "./words.js";

/** Kinds of the account that are compared with a header. */
const COMPARED = 100;

let kinds = [];
/** The schemas by their kinds, each read once. */
const schemas = new Map();
/** What is imported: a file of this machine, or the import whose upload is read. */
let source = {};
/** The field of each column for which somebody has chosen one; an empty text is no field. */
let chosen = new Map();
/** Kinds that are read at once for that. */
const AT_ONCE = 8;

/** The newest order to read the sample; the answer to an older one is not shown. */
let order = 0;

async function schema(kind) {
  if (!schemas.has(kind)) schemas.set(kind, await get(path("kinds", kind)));
  return schemas.get(kind);
}

/** The options that the page says. */
function said() {
  const found = {};
  for (const input of document.querySelectorAll("[data-option]")) {
    const text = input.value;
    if (text === "") continue;
    const { option, type } = input.dataset;
    found[option] = type === "boolean" ? text === "true" : type === "number" && Number(text) >= 0 ? Number(text) : text;
  }
  if (found.mode === "upsert") delete found.mode;
  if (chosen.size) found.mapping = Object.fromEntries(chosen);
  return found;
}

start(async () => {
  kinds = await all("kinds", "kinds");
  options($("kind"), kinds.map(({ name, title }) => [name, `${name}: ${title}`]), query.kind);
  files($("drop"), $("file"), (file) => run(() => take({ file })));
  if (query.from) await takeAgain(query.from);
});

on($("kind"), "change", () => ((chosen = new Map()), ($("kind-note").textContent = ""), read()));
for (const input of document.querySelectorAll("#reading [data-option], #format")) on(input, "change", read);
on($("mode"), "change", modes);
on($("settings"), "submit", read);
on($("check"), "click", () => begin({ dry_run: true }));
on($("import-now"), "click", () => begin({}));

/** A replace has no check: it shows what it would remove, and waits. */
function modes() {
  const isReplace = $("mode").value === "replace";
  $("check").disabled = isReplace;
  $("import-now").textContent = isReplace ? "Import, and ask before anything is removed" : "Import without a check";
}

/** Takes a file: finds the kind whose fields its header names, and shows how it is read. */
async function take(from) {
  order += 1;
  const mine = order;
  source = from;
  chosen = new Map();
  if (source.file) $("chosen").textContent = bytes(source.file.size);
  show($("settings"), false);
  if (!query.kind && !query.from) await find(mine);
  if (mine !== order) return;
  await read();
  $("kind").focus();
}

/** What was uploaded to an import, with the options that it had. */
async function takeAgain(id) {
  const its = await get(path("imports", id));
  show($("drop"), false);
  $("drop").after(make("p", {}, "The file that was uploaded to ", make("a", { href: link("import", { id }) }, its.filename ?? id), "."));
  for (const input of document.querySelectorAll("[data-option]")) {
    const before = its.options[input.dataset.option];
    if (before === null || before === undefined || before === "keep") continue;
    input.value = String(before);
    // What no select offers was said to the API.
    if (!input.value) input.append(make("option", { selected: true }, String(before)));
  }
  $("format").value = its.format ?? "";
  $("kind").value = its.kind;
  modes();
  await take({ from: id });
  chosen = new Map(Object.entries(its.options.mapping ?? {}));
  if (chosen.size) await read();
}

/** Chooses the kind that the header fits best, if one does as a whole. */
async function find(mine) {
  const { columns } = await preview($("kind").value, source, { format: $("format").value, options: {} });
  const names = columns.map(({ column }) => column);
  const fits = [];
  const compared = kinds.slice(-COMPARED);
  const compare = async ({ name, version }) => fits.push({ name, isOwn: Boolean(version), ...fit(await schema(name), names) });
  while (compared.length) await Promise.all(compared.splice(0, AT_ONCE).map(compare));
  if (mine !== order) return;
  fits.sort((a, b) => b.isWhole - a.isWhole || b.fields - a.fields || b.isOwn - a.isOwn || a.name.localeCompare(b.name));
  const [best] = fits;
  if (best?.fields) $("kind").value = best.name;
  $("kind-note").textContent = best?.isWhole
    ? `The header names ${several(best.fields, "field")} of this kind, and each that is required.`
    : best?.fields
      ? `No kind fits the header as a whole; this one has most of its columns, ${best.fields} of ${names.length}.`
      : "No kind has a field that the header names. Choose one, and say below which column is which field.";
}

/** Reads the sample as the page says, and shows it. */
async function read() {
  order += 1;
  const mine = order;
  const [kind, format] = [$("kind").value, $("format").value];
  const [its, seen] = await Promise.all([schema(kind), preview(kind, source, { format, options: said() })]);
  if (mine !== order) return;
  const names = seen.columns.map(({ column }) => column);
  const gone = [...chosen.keys()].filter((name) => !names.includes(name));
  if (gone.length) {
    // Read otherwise, the file has other columns.
    gone.forEach((name) => chosen.delete(name));
    return read();
  }
  show($("settings"));
  detected(seen.detected);
  mapping(its, seen);
  missing(its, seen);
  rows(seen);
}

function detected({ format, compression, encoding, delimiter, quoting, sheet, notes }) {
  const parts = [format, compression, encoding];
  if (delimiter) parts.push(`delimiter ${delimiter === "\t" ? "tab" : delimiter}`);
  if (quoting === false) parts.push("quotes are data");
  if (sheet) parts.push(`sheet ${sheet}`);
  $("detected").textContent = parts.filter(Boolean).join(", ");
  $("notes").replaceChildren(...notes.map((note) => make("li", {}, ...prose(note))));
}

/** What the mapping table was drawn for: while that stays, its rows do, so that a select keeps the focus. */
let drawn = "";

function mapping(its, seen) {
  const fields = its.fields.map(({ name, title }) => [name, title && title !== name ? `${name} (${title})` : name]);
  const wanted = JSON.stringify([fields, seen.columns.map(({ column }) => column)]);
  if (drawn !== wanted) fill("mapping", seen.columns.map(({ column }) => row(column, fields)));
  drawn = wanted;
  const lines = $("mapping").tBodies[0].rows;
  seen.columns.forEach((column, at) => {
    const [, share, field, samples] = lines[at].cells;
    share.textContent = filled(column, seen);
    samples.replaceChildren(...column.samples.map((sample) => make("q", {}, sample)));
    const select = field.firstElementChild;
    const chose = chosen.get(column.column) ?? column.field ?? "";
    if (select.value !== chose) select.value = chose;
  });
  const left = seen.columns.filter(({ field }) => !field).length;
  const isWhole = left === 0 && !seen.failure;
  $("columns-sum").textContent =
    left === 0
      ? `Each of ${several(seen.columns.length, "column")} is a field.`
      : `${several(left, "column")} of ${seen.columns.length} ${left === 1 ? "is" : "are"} not imported.`;
  if (!isWhole) $("columns").open = true;
  else if (chosen.size === 0) $("columns").open = false;
}

function row(column, fields) {
  const select = make("select", { "aria-label": `Field for ${column}` });
  options(select, [["", "do not import"], ...fields]);
  on(select, "change", () => {
    chosen.set(column, select.value);
    return read();
  });
  return copy("t-column", { column, field: [select] });
}

/** Says above the table what the file lacks, in the words of the API. */
function missing(its, seen) {
  const there = new Set(seen.columns.map(({ field }) => field && normalised(field)));
  const lacking = required(its).filter((name) => !there.has(normalised(name)));
  const said = [];
  if (seen.failure) said.push(make("p", {}, ...prose(seen.failure.message), " ", make("code", {}, seen.failure.code)));
  if (lacking.length && seen.failure?.code !== "missing_column") {
    const names = lacking.flatMap((name, at) => [at ? ", " : "", make("code", {}, name)]);
    said.push(make("p", {}, "Required and without a column: ", ...names, ". Choose a column for each below."));
  }
  $("missing").replaceChildren(...said);
  $("missing").className = said.length ? "loud" : "";
}

function rows(seen) {
  show($("rows").closest("section"), seen.rows.length > 0);
  const fields = [...new Set(seen.columns.map(({ field }) => field).filter(Boolean))];
  head("rows", ["Row", ...fields, "Errors"]);
  fill(
    "rows",
    seen.rows.map((row) => {
      const cell = (field) => {
        const error = row.errors.find((error) => error.field === field);
        return make("td", {}, error ? make("mark", { class: error.value ? null : "none" }, error.value || "empty") : value(row.fields[field]));
      };
      const errors = row.errors.map(({ message }) => make("div", {}, ...prose(message)));
      return make("tr", {}, make("th", { scope: "row" }, String(row.row)), ...fields.map(cell), make("td", {}, ...errors));
    }),
  );
}

/** Makes the import, and sends its file; or reads again what is there. */
async function begin(how) {
  const options = { ...said(), ...how };
  if (options.mode === "replace") options.most_removed_percent = 0;
  const { file, from } = source;
  const [kind, preset] = [$("kind").value, $("preset").value || undefined];
  if (preset) await ask("PUT", path("presets", preset), { json: { kind, options: said() } });
  const its = await post("imports", {
    kind,
    preset,
    format: $("format").value || undefined,
    from,
    filename: file?.name.slice(-255),
    size: file?.size,
    options,
  });
  if (from) {
    location.assign(link("import", { id: its.id }));
    return new Promise(() => {});
  }
  // From here on a reload shows the import, to which the upload goes on.
  history.replaceState(null, "", link("import", { id: its.id }));
  show($("settings"), false);
  show($("drop"), false);
  return sending(its.id, file);
}
