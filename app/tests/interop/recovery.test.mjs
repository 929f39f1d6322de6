// Connection state recovery, as the official client sees it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask, connect, next, PARSERS, TRANSPORTS, unread, withServer } from "./harness.mjs";

const RETURNING = { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 100 };

for (const [parser, { env, options: parsing }] of Object.entries(PARSERS)) {
  withServer(`connection state recovery, parser ${parser}`, { ...env, RECOVERY: "1" }, (server) => {
    for (const transport of Object.keys(TRANSPORTS)) {
      const on = async (t, options) => {
        const socket = connect(t, server, "4", transport, { ...parsing, ...options });
        await next(socket, "connect");
        await next(socket, "auth");
        return socket;
      };
      const limit = { timeout: 30_000 };

      test(`${transport}: who comes back has missed nothing`, limit, async (t) => {
        const [ada, bo] = await Promise.all([on(t, RETURNING), on(t)]);
        const { id } = ada;
        await ask(ada, "join", "recovered");
        bo.emit("say", "recovered", "seen");
        bo.emit("say", "recovered", "seen as well");
        assert.equal((await next(ada, "said"))[0], "seen");
        assert.equal((await next(ada, "said"))[0], "seen as well");
        for (let round = 0; round < 5; round += 1) {
          ada.io.engine.close();
          await next(ada, "disconnect");
          bo.emit("say", "recovered", round);
          bo.emit("shout", { bytes: Buffer.from([round, 1]) });
          bo.emit("say", "elsewhere", "for nobody here");
          bo.emit("say", id, ["for", "her"]);
          await ask(bo, "message-with-ack");
          await next(ada, "connect");
          assert.equal(ada.recovered, true);
          assert.equal(ada.id, id);
          const said = [];
          for (let each = 0; each < 3; each += 1) said.push((await next(ada, "said"))[0]);
          assert.deepEqual(said, [round, { bytes: Buffer.from([round, 1]) }, ["for", "her"]]);
          await next(ada, "auth");
          assert.deepEqual((await ask(ada, "rooms"))[0].sort(), [id, "recovered"].sort());
        }
        bo.emit("say", "recovered", "at the end");
        assert.equal((await next(ada, "said"))[0], "at the end");
        assert.equal(unread(ada, "said"), 0);
      });

      test(`${transport}: what is volatile, and what wants an answer, is not kept`, limit, async (t) => {
        const [ada, bo] = await Promise.all([on(t, RETURNING), on(t)]);
        ada.io.engine.close();
        await next(ada, "disconnect");
        bo.emit("say-volatile", { volatile: true });
        await ask(bo, "message-with-ack");
        await next(ada, "connect");
        assert.equal(ada.recovered, true);
        await ask(ada, "message-with-ack");
        assert.equal(unread(ada, "said"), 0);
      });

      test(`${transport}: who has left begins anew`, limit, async (t) => {
        const ada = await on(t);
        const { id } = ada;
        ada.disconnect();
        ada.connect();
        await next(ada, "connect");
        assert.notEqual(ada.id, id);
        assert.equal(ada.recovered, false);
      });
    }
  });
}

withServer("without connection state recovery", {}, (server) => {
  test("who comes back begins anew", { timeout: 30_000 }, async (t) => {
    const ada = connect(t, server, "4", "websocket", RETURNING);
    await next(ada, "connect");
    const { id } = ada;
    assert.deepEqual((await next(ada, "auth")).length, 1, "there is no offset");
    ada.io.engine.close();
    await next(ada, "disconnect");
    await next(ada, "connect");
    assert.notEqual(ada.id, id);
    assert.ok(!ada.recovered);
  });
});
