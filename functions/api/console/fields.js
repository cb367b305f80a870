// Fields of kinds: how the begin of a file is read, which field a column may be, what may stand in one, and what it
// would be by its samples.

import { ask, digits, path } from "./api.js";
import { value } from "./words.js";

/** Bytes of a file that are looked at; enough for the thousand rows on which the API looks. */
const SAMPLE_BYTES = 256 * 1024;

/** Bytes that the API takes at most. A workbook is looked at as a whole, since its list of parts stands at its end. */
const WHOLE_BYTES = 4 * 1024 * 1024;

/** Mappings that are longer are left out: the address of a request has a bound. */
const OPTIONS_CHARS = 6000;

/**
 * How a file is read as one of this kind: `file` from this machine, or what was uploaded to the import `from`. Options
 * are those of an import.
 */
export async function preview(kind, { file, from }, { format, options }) {
  let said = JSON.stringify(options);
  if (said.length > OPTIONS_CHARS) said = JSON.stringify({ ...options, mapping: undefined });
  const query = { from, filename: file?.name, format, options: said === "{}" ? "" : said };
  let raw;
  if (file) {
    const isArchive = (await file.slice(0, 2).text()) === "PK";
    const bytes = isArchive && file.size <= WHOLE_BYTES ? WHOLE_BYTES : SAMPLE_BYTES;
    query.whole = file.size <= bytes ? "true" : "";
    raw = file.slice(0, bytes);
  }
  return digits(await ask("POST", `${path("kinds", kind)}/preview`, { query, raw }));
}

/** How many of the rows that were looked at have a value in a column, in percent. */
export const filled = (column, { sampled }) => (sampled ? `${Math.round((column.filled * 100) / sampled)} %` : "–");

/** A name without its case, accents, spaces, `_`, `-` and `.`, as the API matches columns. */
export const normalised = (name) =>
  name
    .normalize("NFKD")
    .replace(/[\p{M}\p{Z}\p{C}_.-]/gu, "")
    .toLowerCase();

/** The key fields of a schema. */
export const keyOf = (schema) => [schema.primaryKey ?? []].flat();

/** The fields without which no record can be made: those of the key, and those that must hold a value. */
export function required(schema) {
  const keys = keyOf(schema);
  return schema.fields
    .filter(({ name, constraints, ...field }) => !("default" in field) && (keys.includes(name) || constraints?.required))
    .map(({ name }) => name);
}

/** How well a header fits a schema: how many columns are fields, and whether each field that is required has one. */
export function fit(schema, columns) {
  const names = new Set(columns.map(normalised));
  const has = ({ name }) => names.has(normalised(name));
  const missing = required(schema).filter((name) => !has({ name }));
  return { fields: schema.fields.filter(has).length, isWhole: missing.length === 0 };
}

/** What may stand in a field, in words. */
export function rules(field, schema) {
  const { required: must, unique, minimum, maximum, minLength, maxLength, pattern, enum: words } = field.constraints ?? {};
  const said = [];
  if (keyOf(schema).includes(field.name)) said.push("part of the key");
  if (must) said.push("must hold a value");
  if (unique) said.push("each value once");
  if (minimum !== undefined) said.push(`at least ${value(minimum)}`);
  if (maximum !== undefined) said.push(`at most ${value(maximum)}`);
  if (minLength !== undefined) said.push(`at least ${value(minLength)} characters`);
  if (maxLength !== undefined) said.push(`at most ${value(maxLength)} characters`);
  if (field.maxScale !== undefined) said.push(`at most ${value(field.maxScale)} digits after the point`);
  if (words) said.push(`one of ${words.map(value).join(", ")}`);
  if (pattern) said.push(`as the pattern ${pattern} says`);
  if (field.format && field.format !== "default") said.push(`in the format ${field.format}`);
  if (field.default !== undefined) said.push(`if it is not there: ${JSON.stringify(field.default)}`);
  return said.join("; ");
}

const GUESSES = [
  ["boolean", /^(true|false)$/i],
  ["integer", /^-?(0|[1-9]\d{0,14})$/],
  ["number", /^-?(0|[1-9]\d*)(\.\d+)?$/],
  ["date", /^\d{4}-\d\d-\d\d$/],
  ["datetime", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/],
];

/** The type that all samples have; texts if there is none. */
export const guess = (samples) =>
  GUESSES.find(([, looks]) => samples.length > 0 && samples.every((sample) => looks.test(sample)))?.[0] ?? "string";

/** What differs between two versions of a schema: for each field that does, what it was and what it is. */
export function differences(before, after) {
  const lines = (schema) => new Map(schema.fields.map((field) => [field.name, field]));
  const [was, is] = [lines(before), lines(after)];
  const told = (field, schema) => (field ? [field.type, rules(field, schema)].filter(Boolean).join("; ") : "");
  const rest = (field) => field && JSON.stringify({ ...field, name: undefined });
  return [...new Set([...was.keys(), ...is.keys()])]
    .filter((name) => rest(was.get(name)) !== rest(is.get(name)))
    .map((name) => ({
      name,
      before: was.has(name) ? told(was.get(name), before) : "not there",
      after: is.has(name) ? told(is.get(name), after) : "gone",
    }));
}
