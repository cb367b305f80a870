// One import: its course as it goes on, what went wrong, and what can be done.

import { ask, get, path, post, remove } from "./api.js";
import { draw, note } from "./chart.js";
import { $, copy, detail, files, fill, line, make, put, set, show } from "./dom.js";
import { errors } from "./errors.js";
import { complain, confirmed, deletes, leave, link, on, progress, query, run, say, prose, start, toImport } from "./page.js";
import { drop, interrupted, isSame, isSent, sending } from "./upload.js";
import { bytes, number, readAs, several, span, status, time, when } from "./words.js";

/** Seconds that a request waits for a change, and milliseconds between two requests at least. */
const WAIT = 20;
const PAUSE_MS = 1000;
const MOST_PAUSE_MS = 30_000;

/** How much of the past the rate is of, and how often errors are summed up while rows go on. */
const RATE_MS = 10_000;
const ERRORS_MS = 5000;

const FINAL = ["completed", "completed_with_errors", "failed", "cancelled", "expired"];
const { id } = query;
const its = path("imports", id ?? "");

/** The import as it is shown. */
let shown = null;
let summedAt = 0;
let summed = 0;
/** Whether another tab sends its file. */
let isElsewhere = false;
/** Whether a review was refused since the catalogue has moved. */
let hasMoved = false;
/** Whether no other import corrects this one. */
let isLast = true;
/** The import whose rejected rows are the newest that are open, where this one has none of its own. */
let openOf = null;

start(async () => {
  files($("waiting-drop"), $("waiting-file"), (file) => run(() => resume(file)));
  files($("mend-drop"), $("mended"), (file) => run(() => correct(file)));
  const isOver = await look();
  if (!isOver) follow();
});

/** Reads the import and shows it. Gives whether it stays so. */
async function look(how) {
  const answer = await ask("GET", its, { query: how });
  const found = await answer.json();
  const isHeld = found.status === "awaiting_upload" && (await isSent(id));
  isElsewhere = isHeld && $("sending").hidden;
  await showImport(found);
  return FINAL.includes(found.status) && !answer.headers.has("retry-after");
}

let following = false;

/** Goes on showing the import until it stays as it is. */
async function follow() {
  if (following) return;
  following = true;
  let pause = PAUSE_MS;
  for (let isOver = false; !isOver; ) {
    await new Promise((done) => setTimeout(done, document.hidden ? 5 * pause : pause));
    try {
      isOver = await look({ wait: isElsewhere ? 0 : WAIT });
      pause = PAUSE_MS;
    } catch (refusal) {
      if (!refusal.passes) {
        complain(refusal);
        break;
      }
      pause = Math.min(2 * pause, MOST_PAUSE_MS);
      progress("The API does not answer. Trying again.");
    }
  }
  following = false;
}

async function showImport(found) {
  const before = shown;
  shown = found;
  const { status: word } = found;
  const isFinal = FINAL.includes(word);
  if (isFinal) drop(id);
  document.documentElement.dataset.import = word;
  const name = found.filename ?? found.id;
  document.title = `${name} – Penstock`;
  $("name").textContent = name;
  set($("state"), status(word));
  about(found);
  outcome(found);
  waiting(found);
  course(found);
  decision(found);
  actions(found);
  facts(found);
  if (before && before.status !== word) say(`The import is ${word.replaceAll("_", " ")}.`);
  const isTime = isFinal || word === "awaiting_confirmation" || Date.now() - summedAt > ERRORS_MS;
  if (found.rows.failed !== summed && isTime) {
    [summedAt, summed] = [Date.now(), found.rows.failed];
    await errors(id);
  }
  mend(found);
  if (!before || before.status !== word || Boolean(before.rejected) !== Boolean(found.rejected)) await chain();
}

function about({ kind, kind_version, options, from, corrects }) {
  const what = options.dry_run ? "A check" : options.review ? "A review" : "An import";
  const parts = [what, " of ", make("a", { href: link("kind", { name: kind }) }, kind)];
  if (kind_version) parts.push(`, version ${kind_version}`);
  if (from) parts.push(", from ", toImport(from, "what was uploaded before"));
  if (corrects) parts.push(", which corrects ", toImport(corrects, "an import"));
  if (options.dry_run || options.review) parts.push(". It writes nothing");
  put($("about"), ...parts, ".");
}

/** Says loudly what is not as it was wanted. */
function outcome({ kind, status: word, rows, failure, options, waiting_for, ending }) {
  const said = [];
  const tell = (...parts) => said.push(make("p", {}, ...parts));
  const dry = options.dry_run || options.review;
  if (word === "completed_with_errors") {
    const good = rows.created + rows.updated + rows.unchanged;
    const done = dry ? "would be imported" : good === 1 ? "was imported" : "were imported";
    tell(make("strong", {}, `${several(rows.failed, "row")} of ${number(rows.total)} ${dry ? "would be" : rows.failed === 1 ? "was" : "were"} rejected. `), `${several(good, "row")} ${done}${rows.skipped ? `, ${number(rows.skipped)} skipped` : ""}.`);
  }
  if (word === "completed" && dry) tell(`${several(rows.total, "row")} ${rows.total === 1 ? "is" : "are"} good. Nothing was written.`);
  if (failure) tell(make("strong", {}, "The import failed. "), ...prose(failure.message), " ", make("code", {}, failure.code));
  const anew = () => make("a", { href: link("new", { kind }) }, "Make a new import");
  if (word === "expired") tell("Nothing was uploaded in time. ", anew(), ".");
  if (word === "cancelled") tell(`It was cancelled. ${several(rows.created + rows.updated, "row")} had been applied before. `, anew(), ".");
  if (isElsewhere) tell("Its file is being sent by another tab of this browser.");
  if (ending) tell(`It is ending, ${ending}: what had begun is finished first.`);
  if (waiting_for) tell("It waits for ", toImport(waiting_for, "another import of its kind"), ".");
  $("outcome").className = failure || ["completed_with_errors", "expired"].includes(word) ? "loud" : "calm";
  put(show($("outcome"), said.length > 0), ...said);
}

/** Whether the file has yet to come, and nobody sends it. */
const isAwaited = (word) => word === "awaiting_upload" && !isElsewhere && $("sending").hidden;

function waiting({ status: word, expires_at, from }) {
  const isWaiting = isAwaited(word) && !from;
  show($("waiting"), isWaiting);
  if (!isWaiting) return;
  const before = interrupted(id);
  const until = `The upload can be completed until ${when(expires_at)}.`;
  if (before) {
    const parts = Object.keys(before.etags).length;
    $("waiting-title").textContent = "The upload was interrupted";
    put($("waiting-text"), "Choose ", make("bdi", {}, before.name), ` (${bytes(before.size)}) once more: ${several(parts, "part")} of it ${parts === 1 ? "is" : "are"} here, and the upload goes on behind them. ${until}`);
    $("waiting-label").textContent = "Choose the same file, or drop it here";
  } else {
    $("waiting-text").textContent = `Nothing was uploaded yet. ${until}`;
  }
}

/** Goes on with the upload of the file that was chosen again. */
async function resume(file) {
  const before = interrupted(id);
  if (before && !isSame(before, file)) {
    const isMeant = await confirmed(
      "This is another file",
      ["The upload began with ", make("bdi", {}, before.name), `, ${bytes(before.size)}. This is `, make("bdi", {}, file.name), `, ${bytes(file.size)}. What was sent is dropped, and this file is sent from its start.`],
      "Send this file",
    );
    if (!isMeant) return;
    await remove(`${its}/parts`);
  }
  show($("waiting"), false);
  show($("cancel"), false);
  await sending(id, file);
}

function course(found) {
  const { status: word, rows, removed, options } = found;
  show($("course"), word !== "awaiting_upload" && word !== "expired");
  for (const [name, count] of Object.entries(rows)) {
    const at = $(`rows-${name}`);
    if (at) at.textContent = number(count);
  }
  show($("removed-box"), removed > 0 || options.mode === "replace");
  $("removed").textContent = number(removed);
  show($("running"), word === "processing");
  if (word !== "processing") {
    if (FINAL.includes(word)) sketch(found, note(id, rows.processed));
    return;
  }
  const seen = note(id, rows.processed);
  const [now, then] = [seen.at(-1), seen.find(([at]) => Date.now() - at < RATE_MS) ?? seen.at(-1)];
  const rate = now[0] > then[0] ? ((now[1] - then[1]) * 1000) / (Date.now() - then[0]) : 0;
  const parts = [`${number(rows.processed)} of ${rows.total === null ? "rows not counted yet" : several(rows.total, "row")}`];
  if (rate > 0) parts.push(`${number(Math.round(rate))} rows/s`);
  if (rate > 0 && rows.total !== null) parts.push(`${span(((rows.total - rows.processed) * 1000) / rate)} left`);
  $("rate").textContent = parts.join(", ");
  progress(`${number(rows.processed)} rows looked at`);
  if (rows.total === null) $("done").removeAttribute("value");
  else $("done").value = rows.total ? rows.processed / rows.total : 1;
  sketch(found, seen);
}

function sketch({ rows }, seen) {
  show($("chart-box"), seen.length > 2);
  if (seen.length > 2) draw($("chart"), seen, rows.total, `${number(rows.processed)} rows in ${span(seen.at(-1)[0] - seen[0][0])}`);
}

function decision(found) {
  const { status: word, options, to_remove, confirm_until, rows } = found;
  const isHeld = word === "awaiting_confirmation";
  show($("decision"), isHeld);
  if (!isHeld) return;
  const until = `It waits until ${when(confirm_until)}, and then ends without it.`;
  show($("removals-box"), !options.review);
  if (options.review) {
    $("decision-text").textContent =
      `Applied, it would make ${several(rows.created, "record")} and change or keep ${number(rows.updated + rows.unchanged)}; ${several(rows.failed, "row")} would be rejected. ${until}`;
    $("confirm-it").textContent = hasMoved ? "Apply it all the same" : "Apply it";
    $("leave-it").textContent = "Drop the review";
  } else {
    $("decision-text").textContent = `The rows are applied. ${several(to_remove, "record")} of the kind ${to_remove === 1 ? "is" : "are"} not in the file, and would be removed. ${until}`;
    $("confirm-it").textContent = `Remove ${several(to_remove, "record")}`;
    $("leave-it").textContent = "Keep them";
  }
}

on($("confirm-it"), "click", async () => {
  const { options, to_remove } = shown;
  if (!options.review) {
    const text = "They cannot be had back, but by an import that has them.";
    if (!(await confirmed(`Remove ${several(to_remove, "record")}?`, text, "Remove"))) return;
  }
  try {
    const made = await post(`${its}/confirm`, hasMoved ? { even_if_moved: true } : {});
    if (made.id !== id) return leave(link("import", { id: made.id }));
  } catch (refusal) {
    if (refusal.code === "moved") {
      hasMoved = true;
      decision(shown);
    }
    throw refusal;
  }
  if (!(await look())) follow();
});

on($("leave-it"), "click", cancel);
on($("cancel"), "click", async () => {
  const text = "Rows that were applied stay applied.";
  if (await confirmed("Cancel the import?", text, "Cancel the import")) await cancel();
});

async function cancel() {
  await post(`${its}/cancel`);
  drop(id);
  if (!(await look())) follow();
}

let removalsCursor = "";
$("removals-box").addEventListener("toggle", () => {
  if ($("removals-box").open && removalsCursor === "") run(removals);
});
on($("more-removals"), "click", removals);

async function removals() {
  const page = await get(`${its}/removals`, { limit: 100, cursor: removalsCursor });
  removalsCursor = page.next_cursor;
  $("removals").append(...page.removals.map(({ key }) => make("li", {}, key)));
  show($("more-removals"), removalsCursor !== null);
}

function actions({ status: word, options, rows, ending }) {
  const isFinal = FINAL.includes(word);
  const hasFile = Boolean(shown.detected);
  show($("cancel"), (word === "processing" || isAwaited(word)) && !ending);
  show($("apply"), options.dry_run && word.startsWith("completed") && rows.total > rows.failed);
  show($("again"), hasFile && word !== "awaiting_confirmation");
  $("again").href = link("new", { from: id });
  show($("delete"), isFinal);
}

/** What can be asked for again of an import's options. */
function again({ options, kind, format }, changed) {
  const given = Object.entries({ ...options, ...changed }).filter(([, value]) => value !== null && value !== false);
  return { kind, format: format ?? undefined, options: Object.fromEntries(given) };
}

on($("apply"), "click", async () => {
  const made = await post("imports", { ...again(shown, { dry_run: false }), from: id });
  return leave(link("import", { id: made.id }));
});

deletes("import", "It goes with its errors and its files. Records stay.", its, "imports");

/** What can be done with the rows that were rejected. */
function mend({ rejected, options, status: word }) {
  const isDry = options.dry_run || options.review;
  show($("mend"), isLast && Boolean(rejected || openOf));
  $("mend-note").textContent = rejected || !openOf ? "" : "Rows of an attempt before are open: send those that were not sent again.";
  for (const item of $("mend").querySelectorAll("li:not(:first-child)")) show(item, !isDry && FINAL.includes(word));
}

on($("download"), "click", async () => {
  const { url } = await get(`${path("imports", shown.rejected ? id : openOf)}/rejected`, { link: "true" });
  // It comes as an attachment, and the page stays.
  location.assign(url);
});

/** Sends the mended rows, as an import that corrects this one. */
async function correct(file) {
  show($("mend"), false);
  const body = { ...again(shown, {}), corrects: id, filename: file.name.slice(-255), size: file.size };
  const made = await post("imports", body).catch((refusal) => {
    mend(shown);
    throw refusal;
  });
  history.replaceState(null, "", link("import", { id: made.id }));
  await sending(made.id, file);
}

/** The imports that correct one another, as one. */
async function chain() {
  const { rounds, sum } = await get(`${its}/history`);
  show($("chain"), rounds.length > 1);
  if (rounds.length < 2) return;
  const good = sum.created + sum.updated + sum.unchanged;
  const open = sum.failed + sum.unprocessed;
  $("chain-sum").textContent =
    `Of ${several(sum.total, "row")} of the first file${sum.added ? ` and ${number(sum.added)} that came later` : ""}, ${number(good)} ${good === 1 ? "is" : "are"} imported${sum.skipped ? `, ${number(sum.skipped)} skipped` : ""} and ${number(open)} ${open === 1 ? "is" : "are"} open.`;
  fill(
    "rounds",
    rounds.map((round, at) =>
      copy("t-round", {
        link: {
          href: round.import && link("import", { id: round.id }),
          text: `${at + 1}: ${round.import?.filename ?? round.id}`,
          "aria-current": round.id === id && "true",
        },
        status: status(round.status),
        created: number(round.rows.created),
        updated: number(round.rows.updated),
        unchanged: number(round.rows.unchanged),
        skipped: number(round.rows.skipped),
        failed: number(round.rows.failed),
        when: time(round.created_at),
      }),
    ),
  );
  // What was corrected is corrected in its last round.
  isLast = rounds.at(-1).id === id;
  openOf = open > 0 ? (rounds.findLast((round) => round.import?.rejected)?.id ?? null) : null;
  mend(shown);
}

const STAGES = [
  ["created", (found) => found.created_at],
  ["uploaded", ({ times }) => times.uploaded_at],
  ["accepted", ({ times }) => times.accepted_at],
  ["splitting began", ({ times }) => times.split_began_at],
  ["first rows done", ({ times }) => times.rows_began_at],
  ["splitting ended", ({ times }) => times.split_ended_at],
  ["last rows done", ({ times }) => times.rows_ended_at],
  ["confirmed", ({ times }) => times.confirmed_at],
  ["halted", ({ times }) => times.halted_at],
  ["ended", (found) => found.completed_at],
];

function facts(found) {
  const list = make("dl");
  const who = (by) => by && `${by.label ? `${by.label} (${by.key})` : by.key}, ${by.api}${by.client ? `, ${by.client}` : ""}`;
  detail(list, "Id", make("code", {}, found.id));
  detail(list, "Created by", who(found.created_by));
  detail(list, "Confirmed by", who(found.confirmed_by));
  detail(list, "Cancelled by", who(found.cancelled_by));
  const { detected } = found;
  detail(list, "Read as", detected && readAs(detected));
  if (found.ignored_columns.length) detail(list, "Columns that are not imported", found.ignored_columns.join(", "));
  detail(list, "Preset", found.preset);
  const options = Object.entries(found.options).filter(([, value]) => value !== null && value !== false && !isEmpty(value));
  detail(list, "Options", options.map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("; "));
  const metadata = Object.entries(found.metadata).map(([name, value]) => `${name}: ${value}`);
  detail(list, "Metadata", metadata.join("; "));
  detail(list, "Applied by", found.confirmed_as && toImport(found.confirmed_as));
  if (found.cost) detail(list, "Cost", `${found.cost.dollars.toFixed(6)} dollars, estimated at the prices of ${found.cost.region} on ${found.cost.prices}`);
  if (found.status.startsWith("completed") && !found.options.dry_run) {
    detail(list, "Records", make("a", { href: link("records", { kind: found.kind, changed_by: id }) }, "those that it made or changed last"));
  }
  detail(list, "The file is kept until", found.source_expires_at && when(found.source_expires_at));
  detail(list, "The import is kept until", found.retained_until && when(found.retained_until));
  put($("details"), ...list.childNodes);
  let last = null;
  const stages = STAGES.map(([name, of]) => [name, of(found)]).filter(([, at]) => at);
  stages.sort(([, a], [, b]) => new Date(a) - new Date(b));
  fill(
    "times",
    stages.map(([name, at]) => {
      // The API tells whole seconds.
      const after = last === null ? "" : new Date(at) - last < 1000 ? "under 1 s" : span(new Date(at) - last);
      last = new Date(at);
      const row = line(name, make("time", time(at)), after);
      set(row.lastChild, { class: "number" });
      return row;
    }),
  );
  const notes = [...(detected?.notes ?? []), ...(found.notes ?? [])];
  put($("notes"), ...notes.map((note) => make("li", {}, ...prose(note))));
  show($("facts"));
}

const isEmpty = (value) => (typeof value === "object" ? Object.keys(value).length === 0 : value === "upsert" || value === "keep");
