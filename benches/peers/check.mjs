// Does a peer do what all must do? `node check.mjs http://127.0.0.1:3000`
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const { io } = createRequire(new URL("node/package.json", import.meta.url))("socket.io-client");
const url = process.argv[2] ?? "http://127.0.0.1:3000";
const patience = 3000;

for (const transport of ["websocket", "polling"]) {
  const clients = [0, 1, 2].map(() => io(url, { transports: [transport], forceNew: true }));
  const [first, second, outsider] = clients;
  await Promise.all(clients.map((client) => new Promise((connected, failed) => {
    client.once("connect", connected);
    client.once("connect_error", failed);
  })));
  assert.equal(await first.timeout(patience).emitWithAck("echo", "text ü"), "text ü");
  const bytes = Buffer.from([0, 1, 2, 253, 254, 255]);
  assert.deepEqual(Buffer.from(await first.timeout(patience).emitWithAck("echo", bytes)), bytes);
  const heard = [first, second].map((client) => new Promise((done) => client.once("said", done)));
  outsider.on("said", () => assert.fail("it is not in the room"));
  for (const client of [first, second]) {
    assert.equal(await client.timeout(patience).emitWithAck("join", "room") ?? null, null);
  }
  first.emit("say", "room", "hello");
  assert.deepEqual(await Promise.all(heard), ["hello", "hello"]);
  await outsider.timeout(patience).emitWithAck("echo", "still here");
  for (const client of clients) client.close();
  console.log(`${transport}: as it should be`);
}
process.exit(0);
