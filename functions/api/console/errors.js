// The errors of an import: grouped by code and field, and the rows of one group.

import { get, path } from "./api.js";
import { $, copy, fill, make, show } from "./dom.js";
import { on, run, prose } from "./page.js";
import { number, ranges, several } from "./words.js";

/** Rows of a group that are added at once, and requests that are made for them at most: the list has all errors. */
const SHOWN = 25;
const MOST_REQUESTS = 20;

/** A field without the places of items, as groups name it. */
const plain = (field) => field?.replace(/\[\d+\]/g, "[]") ?? null;

let open = null;
/** What had the focus before a group was opened. */
let opener = null;

/** Shows what is wrong with the rows of an import. */
export async function errors(id) {
  const { errors, rows, other, groups } = await get(`${path("imports", id)}/errors/summary`);
  show($("wrong"), errors > 0);
  if (errors === 0) return;
  $("wrong-text").textContent =
    `${several(errors, "error")} in ${several(rows, "row")}` + (other ? `; ${number(other)} of them are in no group below.` : ".");
  fill("groups", groups.map((group) => line(id, group)));
}

function line(id, group) {
  return copy("t-group", {
    code: group.code,
    field: group.field ?? "the row",
    example: group.examples.slice(0, 1).map(mark),
    errors: number(group.errors),
    rows: number(group.rows),
    ranges: ranges(group.ranges),
    todo: prose(group.what_to_do),
    open: {
      "aria-label": `Show rows: ${group.code}${group.field ? ` in ${group.field}` : ""}`,
      click: () => run(() => openGroup(id, group)),
    },
  });
}

async function openGroup(id, group) {
  opener = document.activeElement;
  const mine = { id, group, cursor: "", shown: group.examples.length };
  open = mine;
  $("cells-title").textContent = `${group.code}${group.field ? `, ${group.field}` : ""}`;
  fill("cells-list", group.examples.map(cell));
  show($("cells"));
  $("cells-title").focus();
  await more();
}

/** Adds the next rows of the open group. */
async function more() {
  const mine = open;
  const { id, group } = mine;
  const place = ({ row, field }) => `${row} ${field}`;
  const there = new Set(group.examples.map(place));
  const isOther = (error) => error.code === group.code && plain(error.field) === group.field && !there.has(place(error));
  const until = Math.min(mine.shown + SHOWN, group.errors);
  for (let asked = 0; mine.cursor !== null && mine.shown < until && asked < MOST_REQUESTS; asked += 1) {
    const page = await get(`${path("imports", id)}/errors`, { limit: 100, cursor: mine.cursor });
    // Another group has been opened.
    if (open !== mine) return;
    mine.cursor = page.next_cursor;
    const its = page.errors.filter(isOther);
    mine.shown += its.length;
    $("cells-list").tBodies[0].append(...its.map(cell));
    show($("cells-list").parentElement);
  }
  show($("more-cells"), mine.cursor !== null && mine.shown < group.errors);
}

/** What stands in a cell. */
const mark = ({ value }) => make("mark", { class: value ? null : "none" }, value === null ? "nothing" : value || "empty");

function cell(error) {
  const field = error.field ? [make("span", { class: "field" }, error.field), " "] : [];
  return copy("t-cell", {
    row: number(error.row) + (error.source_row ? `, first ${number(error.source_row)}` : ""),
    line: number(error.line),
    key: error.key ?? "–",
    cell: [...field, mark(error)],
    message: prose(error.message),
  });
}

on($("more-cells"), "click", more);
$("close-cells").addEventListener("click", () => {
  show($("cells"), false);
  opener?.focus();
});
