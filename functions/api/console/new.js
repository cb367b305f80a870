// A new import: a file is chosen, read as the API would read it, matched to a kind, and sent. With `from` in the address
// it reads what was uploaded to that import, and nothing is sent.

import { all, ask, get, path, post } from "./api.js";
import { $, copy, files, fill, head, line, make, options, show } from "./dom.js";
import { filled, fit, normalised, preview, required } from "./fields.js";
import { confirmed, leave, link, on, query, run, prose, say, start, toImport } from "./page.js";
import { sending } from "./upload.js";
import { bytes, readAs, several, value } from "./words.js";

/** Kinds of the account that are compared with a header. */
const COMPARED = 100;

let kinds = [];
/** The names of the presets. */
let presets = [];
/** The options of the preset that is chosen. */
let preset = {};
/** Options of an import or a preset that the page has no input for. */
let others = {};
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

const inputs = document.querySelectorAll("[data-option]");

/** The options that the page says. A replace asks before it removes anything. */
function said() {
  const found = { ...others };
  for (const input of inputs) {
    const text = input.value;
    if (text === "") continue;
    const { option, type } = input.dataset;
    found[option] = type === "boolean" ? text === "true" : type === "number" && Number(text) >= 0 ? Number(text) : text;
  }
  if (found.mode === "upsert") delete found.mode;
  if (found.mode === "replace") found.most_removed_percent = 0;
  if (chosen.size) found.mapping = Object.fromEntries(chosen);
  return found;
}

/** Fills the inputs with the options of an import or a preset. */
function take({ mapping, dry_run, most_removed_percent, ...given }) {
  for (const input of inputs) {
    const { option } = input.dataset;
    const before = given[option] === "keep" ? "" : String(given[option] ?? (option === "mode" ? "upsert" : ""));
    delete given[option];
    input.value = before;
    // What no select offers was said to the API.
    if (input.value !== before) input.append(make("option", { selected: true }, before));
  }
  others = given;
  chosen = new Map(Object.entries(mapping ?? {}));
  modes();
}

start(async () => {
  [kinds, presets] = await Promise.all(["kinds", "presets"].map((name) => all(name, name)));
  presets = presets.map(({ name }) => name);
  options($("preset"), [["", "none"], ...presets]);
  options($("kind"), kinds.map(({ name, title }) => [name, `${name}: ${title}`]), query.kind);
  files($("drop"), $("file"), (file) => run(() => open({ file })));
  if (query.from) await again(query.from);
});

on($("kind"), "change", () => ((chosen = new Map()), ($("kind-note").textContent = ""), read()));
for (const input of document.querySelectorAll("#reading [data-option], #format")) on(input, "change", read);
on($("preset"), "change", async () => {
  await choose();
  await read();
});
on($("mode"), "change", modes);
on($("settings"), "submit", read);
on($("check"), "click", () => begin({ dry_run: true, review: undefined }));
on($("import-now"), "click", () => begin({}));

/** A replace has no check: it shows what it would remove, and waits. */
function modes() {
  const isReplace = $("mode").value === "replace";
  $("check").disabled = isReplace;
  $("import-now").textContent = isReplace ? "Import, and ask before anything is removed" : "Import without a check";
}

/** Fills the inputs with what the chosen preset says. */
async function choose() {
  const name = $("preset").value;
  const its = name ? await get(path("presets", name)) : { options: {} };
  preset = its.options;
  take(preset);
  $("kind").value = its.kind ?? $("kind").value;
  $("kind-note").textContent = "";
}

/** Opens a file: finds the kind whose fields its header names, unless a preset says it, and shows how it is read. */
async function open(from) {
  order += 1;
  const mine = order;
  source = from;
  show($("settings"), false);
  if (source.file) {
    $("chosen").textContent = bytes(source.file.size);
    chosen = new Map();
    if ($("preset").value) await choose();
    else if (!query.kind && !query.from) await find(mine);
  }
  if (mine !== order) return;
  await read();
  $("kind").focus();
}

/** What was uploaded to an import, with the options that it had. */
async function again(id) {
  const its = await get(path("imports", id));
  show($("drop"), false);
  $("drop").after(make("p", {}, "The file that was uploaded to ", toImport(id, its.filename ?? id), "."));
  take({ ...its.options, review: undefined });
  $("format").value = its.format ?? "";
  $("kind").value = its.kind;
  await open({ from: id });
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

function detected(its) {
  $("detected").textContent = readAs(its);
  $("notes").replaceChildren(...its.notes.map((note) => make("li", {}, ...prose(note))));
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
        return error ? make("mark", { class: error.value ? null : "none" }, error.value || "empty") : value(row.fields[field]);
      };
      const errors = row.errors.map(({ message }) => make("div", {}, ...prose(message)));
      return line(String(row.row), ...fields.map(cell), errors);
    }),
  );
}

/** Remembers what the page says under the name that is given, if one is. Gives whether to go on. */
async function remember(name, kind) {
  if (!$("remember").reportValidity()) return false;
  if (!name) return true;
  const text = "Imports that it has made keep their options.";
  if (presets.includes(name) && !(await confirmed(`Replace the preset ${name}?`, text, "Replace it"))) return false;
  await ask("PUT", path("presets", name), { json: { kind, options: said() } });
  say(`The preset ${name} is remembered.`);
  return true;
}

/** Makes the import, and sends its file; or reads again what is there. */
async function begin(how) {
  const [kind, name] = [$("kind").value, $("remember").value.trim()];
  if (!(await remember(name, kind))) return undefined;
  // What the preset says and the page does not is none of the import's.
  const none = Object.fromEntries(Object.keys(preset).map((option) => [option, null]));
  const options = { ...none, ...said(), ...how };
  const { file, from } = source;
  const its = await post("imports", {
    kind,
    preset: name || $("preset").value || undefined,
    format: $("format").value || undefined,
    from,
    filename: file?.name.slice(-255),
    size: file?.size,
    options,
  });
  if (from) return leave(link("import", { id: its.id }));
  // From here on a reload shows the import, to which the upload goes on.
  history.replaceState(null, "", link("import", { id: its.id }));
  show($("settings"), false);
  show($("drop"), false);
  return sending(its.id, file);
}
