// The whole job by openapi-fetch with the types that openapi-typescript makes of the document: `job.ts URL TOKEN`.

import createClient from "openapi-fetch";
import type { paths } from "./api";

declare const process: { argv: string[] };
const [url, token] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } });

const is = (found: unknown, wanted: unknown) => {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(wanted)}`);
  }
};

const create = async () => {
  const { data } = await api.POST("/v1/imports", {
    params: { header: { "Idempotency-Key": `ts-${Math.random()}` } },
    body: { kind: "products", filename: "a.csv" },
  });
  if (!data?.upload) throw new Error("no import");
  return { id: data.id, upload: data.upload };
};

const { id, upload } = await create();
const rows = ["T-0,Name,Brand", "T-1,Name,Brand", ",Name,Brand", ",Name,Brand", ",Name,Brand"];
const body = ["sku,name,brand", ...rows, ""].join("\n");
is((await fetch(upload.url, { method: upload.method, headers: upload.headers, body })).status, 200);

for (;;) {
  const { data, response } = await api.GET("/v1/imports/{id}", { params: { path: { id }, query: { wait: 20 } } });
  if (!data?.completed_at || response.headers.get("retry-after")) continue;
  is([data.status, data.rows.total, data.rows.failed, data.rejected?.rows], ["completed_with_errors", 5, 3, 3]);
  break;
}

const errors: number[] = [];
let cursor: string | undefined;
do {
  const { data } = await api.GET("/v1/imports/{id}/errors", { params: { path: { id }, query: { limit: 2, cursor } } });
  errors.push(...(data?.errors ?? []).map((error) => error.row));
  cursor = data?.next_cursor ?? undefined;
} while (cursor);
is(errors, [3, 4, 5]);

const rejected = await api.GET("/v1/imports/{id}/rejected", { params: { path: { id } }, redirect: "manual" });
is(rejected.response.status, 303);
const file = await (await fetch(rejected.response.headers.get("location") ?? "")).text();
is(file.split("required").length - 1, 3);

const records = await api.GET("/v1/records/{kind}", { params: { path: { kind: "products" }, query: { changed_by: id, limit: 100 } } });
is((records.data?.records ?? []).map((record) => record.key).sort(), ["T-0", "T-1"]);

const other = await create();
const cancelled = await api.POST("/v1/imports/{id}/cancel", { params: { path: { id: other.id } } });
is(cancelled.data?.status, "cancelled");

const { error } = await api.GET("/v1/imports/{id}", { params: { path: { id: "none" } } });
is(error && "code" in error ? error.code : null, "not_found");
console.log("openapi-typescript with openapi-fetch: the whole job");
