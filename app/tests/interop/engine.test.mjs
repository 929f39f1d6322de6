// The official Engine.IO clients, with Socket.IO packets written by hand: heartbeats and upgrade.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, TRANSPORTS, within, withServer } from "./harness.mjs";

const require = createRequire(import.meta.url);
const ENGINES = {
  6: { open: (url, options) => new (require("engine.io-client").Socket)(url, options), env: {}, hello: ["0"] },
  3.5: { open: require("engine.io-client-3"), env: { ALLOW_EIO3: "1" }, hello: [] },
};
const MANY = 300;

for (const [version, { open, env, hello }] of Object.entries(ENGINES)) {
  const times = { PING_INTERVAL: "200", PING_TIMEOUT: "2000", EIO_PATH: "/engine.io" };
  withServer(`engine.io-client ${version}`, { ...env, ...times }, (server) => {
    for (const [name, transports] of Object.entries(TRANSPORTS)) {
      test(`${name}: lives through many heartbeats`, { timeout: 30_000 }, async (t) => {
        const socket = open(server.url, { transports, path: "/engine.io" });
        t.after(() => socket.close());
        const heard = [];
        let ended;
        let heartbeats = 0;
        socket.on("message", (data) => heard.push(data));
        socket.on("close", (reason) => (ended = reason));
        socket.on("packet", ({ type }) => (heartbeats += type === "ping" || type === "pong"));
        await within(new Promise((resolve) => socket.on("open", resolve)), "open");
        for (const packet of hello) socket.send(packet);
        await eventually(() => heard.length >= 2, "the greeting");
        heard.length = 0;
        // Text and bytes, while an upgrade may be under way.
        const expected = [];
        for (let n = 0; n < MANY; n += 1) {
          socket.send(`2["message",${n}]`);
          socket.send('51-["message",{"_placeholder":true,"num":0}]');
          socket.send(Buffer.of(n % 256));
          expected.push(`2["message-back",${n}]`, '51-["message-back",{"_placeholder":true,"num":0}]', Buffer.of(n % 256));
          if (n % 50 === 0) await sleep(10);
        }
        await eventually(() => heard.length >= expected.length, "all echoes");
        assert.deepEqual(heard.map((it) => (typeof it === "string" ? it : Buffer.from(it))), expected);
        await eventually(() => ended || heartbeats >= 6, "heartbeats");
        assert.equal(ended, undefined);
        assert.equal(socket.transport.name, transports.at(-1));
        socket.send('2["message","end"]');
        await eventually(() => heard.at(-1) === '2["message-back","end"]', "the last echo");
        socket.close();
        await eventually(() => ended, "the end");
        assert.equal(ended, "forced close");
      });
    }
  });
}
