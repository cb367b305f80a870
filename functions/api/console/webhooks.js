// Endpoints that are told of events, and what became of each delivery.

import { ask, get, path, post } from "./api.js";
import { $, copy, detail, fill, make, show } from "./dom.js";
import { confirmed, deletes, link, on, once, pages, query, say, start, toImport } from "./page.js";
import { number, time, when } from "./words.js";

const { id } = query;
const its = path("webhooks", id ?? "");
let shown = null;

const events = (webhook) => (webhook.events === null ? "all" : webhook.events.join(", ") || "of imports that name it");
const state = ({ disabled }) =>
  disabled ? { asked: "disabled", gone: "disabled: it answered that it is gone", failing: "disabled: it did nothing but fail" }[disabled] : "enabled";

start(async () => {
  await list();
  if (id) await one();
});

async function list() {
  const { webhooks } = await get("webhooks");
  fill(
    "list",
    webhooks.map((webhook) =>
      copy("t-webhook", {
        url: { href: link("webhooks", { id: webhook.id }), text: webhook.url, "aria-current": webhook.id === id && "true" },
        events: events(webhook),
        state: state(webhook),
        created: time(webhook.created_at),
        description: webhook.description ?? "",
      }),
    ),
  );
}

/** The endpoint that the address names, and its deliveries. */
async function one() {
  shown = await get(its);
  $("one-title").textContent = shown.url;
  const details = $("details");
  details.replaceChildren();
  detail(details, "Id", make("code", {}, shown.id));
  detail(details, "Description", shown.description);
  detail(details, "Events", events(shown));
  detail(details, "Kinds", shown.kinds === null ? "all" : shown.kinds.join(", "));
  detail(details, "State", state(shown), shown.disabled_at && ` since ${when(shown.disabled_at)}`);
  detail(details, "Nothing but failures since", shown.failing_since && when(shown.failing_since));
  detail(details, "Signed by", shown.signature);
  detail(details, "Public key", shown.public_key && make("code", {}, shown.public_key));
  detail(details, "Secrets that sign", number(shown.secrets.length));
  $("toggle").textContent = shown.disabled ? "Enable" : "Disable";
  show($("rotate"), shown.public_key === null);
  show($("one"));
  await deliveries();
}

async function deliveries() {
  const page = await get(`${its}/deliveries`, { limit: 50, cursor: query.cursor });
  fill("deliveries", page.deliveries.map(row));
  pages("webhooks", query, page.next_cursor);
}

function row(delivery) {
  const { event } = delivery;
  const about = event.data.import ?? event.data.export;
  const last = delivery.attempts.at(-1);
  const told = last && (last.status ?? last.error ?? "under way");
  const line = copy("t-delivery", {
    event: [event.type, " ", event.data.import ? toImport(about.id) : (about?.id ?? "")],
    when: time(event.timestamp),
    state: delivery.state + (delivery.next_at ? `, next attempt ${when(delivery.next_at)}` : ""),
    last: last ? [`${told}${last.ms === null ? "" : `, ${number(last.ms)} ms`}`, delivery.answer ? make("pre", {}, delivery.answer) : ""] : "–",
    attempts: number(delivery.attempts.length),
    resend: { "aria-label": `Send again: ${event.type} of ${when(event.timestamp)}` },
  });
  on(line.querySelector("button"), "click", async () => {
    await post(`${its}/deliveries/${path(delivery.id)}/resend`);
    say("The delivery is ordered again.");
    await deliveries();
    $("one-title").focus();
  });
  return line;
}

on($("test"), "click", async () => {
  await post(`${its}/test`);
  say("A test event is on its way.");
  await deliveries();
});

on($("toggle"), "click", async () => {
  await ask("PATCH", its, { json: { disabled: !shown.disabled } });
  await Promise.all([list(), one()]);
});

on($("rotate"), "click", async () => {
  const text = "The secret before it signs as well for 24 hours.";
  if (!(await confirmed("Make a new secret?", text, "Make a new secret"))) return;
  const { secret } = await post(`${its}/rotate`);
  await once(secret);
  await one();
});

deletes("endpoint", "Nothing is sent to it any more, and its deliveries are forgotten.", its, "webhooks");

on($("make"), "submit", async () => {
  const chosen = [...document.querySelectorAll("[name=event]:checked")].map(({ value }) => value);
  const made = await post("webhooks", {
    url: $("url").value,
    description: $("description").value || undefined,
    events: chosen.length ? chosen : undefined,
  });
  $("make").reset();
  if (made.secret) await once(made.secret);
  await list();
});
