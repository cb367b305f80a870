// API keys: which an account has, new ones, and revoking them.

import { get, path, post, remove } from "./api.js";
import { $, copy, fill } from "./dom.js";
import { confirmed, link, on, once, query, say, start } from "./page.js";
import { time } from "./words.js";

const { account } = query;

on($("account"), "submit", () => location.assign(link("keys", { account: $("account-name").value.trim() })));

start(() => {
  $("account-name").value = account ?? "";
  return list();
});

async function list() {
  const { keys } = await get("keys", { account });
  keys.sort((a, b) => a.revoked - b.revoked || b.created_at.localeCompare(a.created_at));
  fill("list", keys.map(row));
}

function row(key) {
  const line = copy("t-key", {
    id: key.id,
    label: key.label ?? "–",
    scopes: key.scopes.join(", "),
    created: time(key.created_at),
    used: key.last_used_at ? time(key.last_used_at) : "never",
    state: key.revoked ? "revoked" : "valid",
    revoke: { "aria-label": `Revoke ${key.label ?? key.id}` },
  });
  const button = line.querySelector("button");
  if (key.revoked) button.remove();
  else
    on(button, "click", async () => {
      const text = `${key.label ?? key.id} is refused from then on, also where it is in use.`;
      if (!(await confirmed("Revoke the key?", text, "Revoke"))) return;
      await remove(path("keys", key.id));
      await list();
      $("list").parentElement.focus();
      say("The key is revoked.");
    });
  return line;
}

on($("make"), "submit", async () => {
  const scopes = [...document.querySelectorAll("[name=scope]:checked")].map(({ value }) => value);
  const made = await post("keys", { account, scopes, label: $("label").value || undefined });
  $("make").reset();
  await once(made.token);
  await list();
});
