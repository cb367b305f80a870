// A receiver that verifies by the library of Standard Webhooks. It prints its port.
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  try {
    const event = webhook.verify(body, request.headers);
    response.writeHead(200).end(event.type);
  } catch (error) {
    response.writeHead(401).end(error.message);
  }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
