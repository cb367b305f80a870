// How the begin of a file is read, as the API tells it.

import { ask, digits, path } from "./api.js";

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
