// How numbers, moments and states are written.

const plain = new Intl.NumberFormat("en");
const precise = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** A whole number; a dash for none. */
export const number = (value) => (value === null || value === undefined ? "–" : plain.format(value));

/** A number with its noun: "1 row", "2 rows". */
export const several = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** Bytes, in the unit that fits. */
export function bytes(value) {
  const units = ["bytes", "kB", "MB", "GB"];
  let [unit, scaled] = [0, value];
  while (scaled >= 1000 && unit < 3) [unit, scaled] = [unit + 1, scaled / 1000];
  return `${precise.format(scaled)} ${units[unit]}`;
}

/** Milliseconds as a span of time. */
export function span(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${precise.format(ms / 1000)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${plain.format(Math.floor(seconds / 3600))} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** The attributes of a `time` element for a moment in RFC 3339. */
export const time = (at) => (at ? { datetime: at, text: moment.format(new Date(at)) } : { text: "–" });

/** A moment, as a text. */
export const when = (at) => (at ? moment.format(new Date(at)) : "–");

/** A status in words, with the attribute that gives it its look. */
export const status = (word) => ({ "data-status": word, text: word.replaceAll("_", " ") });

/** How a file is read. */
export const readAs = ({ format, compression, encoding, delimiter, quoting, sheet }) =>
  [
    format,
    compression,
    encoding,
    delimiter && `delimiter ${delimiter === "\t" ? "tab" : delimiter}`,
    quoting === false && "quotes are data",
    sheet && `sheet ${sheet}`,
  ]
    .filter(Boolean)
    .join(", ");

/** Ranges of rows: "2–5, 9". */
export const ranges = (list) =>
  list.map(({ first, last }) => (first === last ? number(first) : `${number(first)}–${number(last)}`)).join(", ");

/** A value of a record, as a text. */
export function value(of) {
  if (of === null || of === undefined) return "";
  return typeof of === "object" ? JSON.stringify(of) : String(of);
}
