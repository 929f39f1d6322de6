// A server that shuts down closes transports and says no farewell, so that clients come back.
import assert from "node:assert/strict";
import { test } from "node:test";

import { CLIENTS, TRANSPORTS, ask, connect, next, serve } from "./harness.mjs";

test("clients of every kind come back after a restart", async () => {
  let server = await serve({ ALLOW_EIO3: "1" });
  const patience = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };
  const clients = await Promise.all(
    Object.keys(CLIENTS).flatMap((version) =>
      Object.keys(TRANSPORTS).map((transport) =>
        connect(server, { version: Number(version), transport, ...patience }),
      ),
    ),
  );
  const reasons = Promise.all(clients.map((client) => next(client, "disconnect", 15_000)));
  await server.stop();
  for (const [reason] of await reasons) assert.match(reason, /^transport (close|error)$/);
  const back = Promise.all(clients.map((client) => next(client, "connect", 15_000)));
  server = await serve({ ALLOW_EIO3: "1", PORT: String(server.port) });
  await back;
  await Promise.all(clients.map(async (client) => assert.deepEqual(await ask(client, "message-with-ack", 1), [1])));
  for (const client of clients) client.disconnect();
  await server.stop();
});
