// A server that is told to end while clients are connected, and another that takes its place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, CLIENTS, connect, next, serve, TRANSPORTS } from "./harness.mjs";

for (const [version, { env }] of Object.entries(CLIENTS)) {
  test(`socket.io-client ${version} comes back by itself`, { timeout: 60_000 }, async (t) => {
    const first = await serve(env);
    const clients = Object.entries(TRANSPORTS).flatMap(([transport]) =>
      Array.from({ length: 3 }, () =>
        connect(t, first, version, transport, {
          reconnection: true,
          reconnectionDelay: 50,
          reconnectionDelayMax: 200,
        }),
      ),
    );
    for (const client of clients) await next(client, "connect");
    for (const client of clients) assert.deepEqual(await ask(client, "message-with-ack", 1), [1]);
    const ids = clients.map(({ id }) => id);
    await first.stop();
    for (const client of clients) assert.match((await next(client, "disconnect"))[0], /^transport (close|error)$/);
    const second = await serve(env, first.port);
    for (const client of clients) await next(client, "connect", 20_000);
    for (const client of clients) assert.deepEqual(await ask(client, "message-with-ack", 2), [2]);
    assert.equal(new Set([...ids, ...clients.map(({ id }) => id)]).size, 2 * clients.length, "all ids are new");
    for (const client of clients) client.io.reconnection(false);
    await second.stop();
  });
}
