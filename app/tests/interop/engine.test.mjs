// The official Engine.IO clients, and heartbeats over several intervals.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";

import { CLIENTS, TRANSPORTS, ask, connect, next, serve, sleep } from "./harness.mjs";

const require = createRequire(import.meta.url);
const ENGINES = { 4: require("engine.io-client").Socket, 3: require("engine.io-client-3") };

let server;
before(async () => {
  server = await serve({ ALLOW_EIO3: "1", PING_INTERVAL: "200", PING_TIMEOUT: "300" });
});
after(() => server.stop());

for (const [revision, Engine] of Object.entries(ENGINES)) {
  for (const [transport, options] of Object.entries(TRANSPORTS)) {
    test(`engine.io-client of revision ${revision} over ${transport}`, async () => {
      const engine = new Engine(server.url, { path: "/socket.io/", ...options });
      const messages = [];
      engine.on("message", (data) => messages.push(data));
      await next(engine, "open");
      if (transport === "upgrade") await next(engine, "upgrade");
      if (revision === "4") engine.send("0");
      await sleep(150);
      assert.match(messages[0], revision === "4" ? /^0\{"sid":"[\w-]{20}"\}$/ : /^0$/);
      engine.send('21["message-with-ack","x"]');
      await sleep(150);
      assert.equal(messages.at(-1), '31["x"]');
      engine.close();
    });
  }
}

for (const version of Object.keys(CLIENTS).map(Number)) {
  for (const transport of Object.keys(TRANSPORTS)) {
    test(`client ${version} over ${transport} lives on for many heartbeats`, async () => {
      const client = await connect(server, { version, transport });
      let lost = null;
      client.on("disconnect", (reason) => (lost = reason));
      await sleep(1_500);
      assert.equal(lost, null);
      assert.deepEqual(await ask(client, "message-with-ack", "alive"), ["alive"]);
      client.disconnect();
    });
  }
}
