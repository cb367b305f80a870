// A receiver that verifies a signature of ed25519 by Node.js itself. It prints its port.
import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";

// The fixed begin of an ed25519 key's SubjectPublicKeyInfo (RFC 8410 §10.1).
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const key = Buffer.from(process.env.WEBHOOK_SECRET.slice("whpk_".length), "base64");
const publicKey = createPublicKey({ key: Buffer.concat([SPKI, key]), format: "der", type: "spki" });

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures } = request.headers;
  const signed = Buffer.from(`${id}.${at}.${body}`);
  const made = signatures.split(" ").filter((one) => one.startsWith("v1a,"));
  if (made.some((one) => verify(null, signed, publicKey, Buffer.from(one.slice("v1a,".length), "base64")))) {
    response.writeHead(200).end(JSON.parse(body).type);
  } else {
    response.writeHead(401).end("No matching signature found");
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
