// What an application sees through each official client, over each transport.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { CLIENTS, TRANSPORTS, ask, connect, eventually, next, open, serve, sleep } from "./harness.mjs";

const MAX = 100_000;
let server;
before(async () => {
  server = await serve({ ALLOW_EIO3: "1", MAX_HTTP_BUFFER_SIZE: String(MAX) });
});
after(() => server.stop());

const binary = (...bytes) => Buffer.from(bytes);
const plain = (value) => JSON.parse(JSON.stringify(value));

for (const version of Object.keys(CLIENTS).map(Number)) {
  for (const transport of Object.keys(TRANSPORTS)) {
    describe(`client ${version} over ${transport}`, { concurrency: true }, () => {
      const options = { version, transport };

      test("connects, with its auth payload where it has one", async () => {
        const client = await connect(server, { ...options, auth: { token: "t", n: 1 } });
        assert.deepEqual(client.firstAuth, [version > 2 ? { token: "t", n: 1 } : {}]);
        assert.equal(client.connected, true);
        const [me] = await ask(client, "whoami");
        assert.equal(me.id, client.id);
        assert.match(client.id, /^[\w-]{20}$/);
        if (version === 2) assert.equal(client.id, client.io.engine.id);
        client.disconnect();
      });

      test("gets back what it sends: text, unicode, numbers, nesting", async () => {
        const client = await connect(server, options);
        for (const args of [
          [1, "2", { 3: [false, null, 4.5, -1e21] }],
          ["héllo €😀 \u2028 \u001e"],
          [[], {}, [[[]]], ""],
          ["x".repeat(20_000)],
          [],
        ]) {
          const back = next(client, "message-back");
          client.emit("message", ...args);
          assert.deepEqual(await back, plain(args));
          assert.deepEqual(await ask(client, "message-with-ack", ...args), plain(args));
        }
        client.disconnect();
      });

      test("gets back binary data in any nesting", async () => {
        const client = await connect(server, options);
        const args = [binary(1, 2, 3), { a: [binary(), { b: binary(255, 0, 4) }] }, "text", binary(...Array(3_000).fill(7))];
        const same = (got) => {
          assert.deepEqual(Buffer.from(got[0]), args[0]);
          assert.deepEqual(Buffer.from(got[1].a[0]), args[1].a[0]);
          assert.deepEqual(Buffer.from(got[1].a[1].b), args[1].a[1].b);
          assert.equal(got[2], "text");
          assert.deepEqual(Buffer.from(got[3]), args[3]);
        };
        const back = next(client, "message-back");
        client.emit("message", ...args);
        same(await back);
        same(await ask(client, "message-with-ack", ...args));
        client.disconnect();
      });

      test("answers when the server asks", async () => {
        const client = await connect(server, options);
        client.on("question", (x, answer) => answer(x.n + 1, binary(9)));
        const [answer, bytes] = await ask(client, "ask", { n: 41 });
        assert.equal(answer, 42);
        assert.deepEqual(Buffer.from(bytes), binary(9));
        client.disconnect();
      });

      test("a thousand acknowledgements outstanding are all answered, in order", async () => {
        const client = await connect(server, options);
        const order = [];
        const all = Array.from({ length: 1_000 }, (_, i) => ask(client, "message-with-ack", i).then(([n]) => order.push(n)));
        await Promise.all(all);
        assert.deepEqual(order, [...Array(1_000).keys()]);
        client.disconnect();
      });

      test("a slow handler delays nobody", async () => {
        const client = await connect(server, options);
        const slow = ask(client, "slow", 300, "slow");
        assert.deepEqual(await ask(client, "message-with-ack", "fast"), ["fast"]);
        let done = false;
        slow.then(() => (done = true));
        assert.equal(done, false);
        assert.deepEqual(await slow, ["slow"]);
        client.disconnect();
      });

      test("rooms reach their members and nobody else", async () => {
        const [a, b, c] = await Promise.all([1, 2, 3].map(() => connect(server, options)));
        const room = `room-${version}-${transport}`;
        await Promise.all([ask(a, "join", room), ask(b, "join", room)]);
        const heard = { a: [], b: [], c: [] };
        for (const [name, client] of Object.entries({ a, b, c })) client.on("said", (said) => said.startsWith?.("to ") && heard[name].push(said));
        a.emit("say", room, "to b");
        c.emit("say", room, "to a and b");
        await eventually(() => heard.a.length === 1 && heard.b.length === 2, "both members to hear");
        await ask(b, "leave", room);
        a.emit("say", room, "to nobody");
        // An own id is a room of its own.
        a.emit("say", c.id, "to c");
        await eventually(() => heard.c.length === 1, "the third to hear");
        assert.deepEqual(heard.a, ["to a and b"]);
        assert.deepEqual(heard.b.sort(), ["to a and b", "to b"]);
        assert.deepEqual(heard.c, ["to c"]);
        const [rooms] = await ask(a, "rooms");
        assert.deepEqual(rooms.sort(), [a.id, room].sort());
        for (const client of [a, b, c]) client.disconnect();
      });

      test("namespaces share a connection and are apart", async () => {
        const main = await connect(server, options);
        const custom = main.io.socket("/custom", {});
        await next(custom, "auth");
        assert.notEqual(custom.id, main.id);
        const back = next(custom, "message-back");
        custom.emit("message", "custom");
        assert.deepEqual(await back, ["custom"]);
        custom.disconnect();
        assert.deepEqual(await ask(main, "message-with-ack", "main"), ["main"]);
        main.disconnect();
      });

      test("what is sent while the server decides is not lost", async () => {
        const client = open(server, { ...options, namespace: "/late" });
        const back = next(client, "message-back");
        client.emit("message", "early", binary(1));
        assert.equal((await back)[0], "early");
        client.disconnect();
      });

      test("a refused namespace says why", async () => {
        const client = open(server, { ...options, namespace: "/denied" });
        const [error] = await next(client, version === 2 ? "error" : "connect_error");
        if (version === 2) assert.deepEqual(error, { code: 7 });
        else {
          assert.equal(error.message, "nope");
          assert.deepEqual(error.data, { code: 7 });
        }
        client.close();
      });

      test("an unknown namespace is an error, and the connection stays", async () => {
        const main = await connect(server, options);
        const unknown = main.io.socket("/unknown", {});
        const [error] = await next(unknown, version === 2 ? "error" : "connect_error");
        assert.equal(error.message, "Invalid namespace");
        assert.deepEqual(await ask(main, "message-with-ack", 1), [1]);
        main.disconnect();
      });

      test("disconnects for the right reasons", async () => {
        const client = await connect(server, options);
        const own = next(client, "disconnect");
        client.disconnect();
        assert.equal((await own)[0], "io client disconnect");
        for (const close of [false, true]) {
          const other = await connect(server, options);
          const reason = next(other, "disconnect");
          other.emit("bye", close);
          assert.equal((await reason)[0], "io server disconnect");
          other.close();
        }
      });

      test("a handler that panics ends its own socket only", async () => {
        const other = await connect(server, options);
        for (const event of ["boom", "boom-later"]) {
          const client = await connect(server, options);
          const reason = next(client, "disconnect");
          client.emit(event);
          assert.equal((await reason)[0], "io server disconnect");
          client.close();
        }
        assert.deepEqual(await ask(other, "message-with-ack", "alive"), ["alive"]);
        other.disconnect();
      });

      test("wrong arguments are told in the acknowledgement", async () => {
        const client = await connect(server, options);
        const [answer] = await ask(client, "slow", "not a number");
        assert.match(answer.error, /argument 0/);
        client.disconnect();
      });

      test("a message near the limit passes, one above it closes the connection", async () => {
        const client = await connect(server, options);
        const [near] = await ask(client, "message-with-ack", "x".repeat(MAX - 100));
        assert.equal(near.length, MAX - 100);
        const reason = next(client, "disconnect");
        client.emit("message-with-ack", "x".repeat(MAX + 100), () => {});
        // Over polling the server answers 413 and the client gives up.
        assert.match((await reason)[0], /transport (close|error)/);
        const other = await connect(server, options);
        assert.deepEqual(await ask(other, "message-with-ack", 1), [1]);
        other.disconnect();
      });

      test("a volatile event reaches who is ready", async () => {
        const client = await connect(server, options);
        await sleep(50);
        const said = next(client, "said");
        client.emit("say-volatile", "now");
        await said;
        client.disconnect();
      });
    });
  }
}
