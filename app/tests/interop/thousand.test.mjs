// A thousand official clients, half of them polling, in one namespace over all shards: each of many
// broadcasts arrives exactly once, in order, at each.
//
//   THOUSAND_CLIENTS, THOUSAND_BROADCASTS   how many (defaults 1000 and 2000)
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { after, before, test } from "node:test";

import { connect, serve, within } from "./harness.mjs";

const CLIENTS = Number(process.env.THOUSAND_CLIENTS ?? 1_000);
const BROADCASTS = Number(process.env.THOUSAND_BROADCASTS ?? 2_000);

let server;
before(async () => {
  server = await serve({ PING_INTERVAL: "60000", PING_TIMEOUT: "60000" });
});
after(() => server.stop());

/** A process with its share of the clients; it tells what it saw at the end. */
function crowd(count) {
  const child = fork(new URL("crowd.mjs", import.meta.url), [server.url, String(count), String(BROADCASTS)]);
  const messages = [];
  const waiting = [];
  child.on("message", (message) => (waiting.length ? waiting.shift()(message) : messages.push(message)));
  const receive = () => (messages.length ? Promise.resolve(messages.shift()) : new Promise((resolve) => waiting.push(resolve)));
  return { receive, end: () => child.kill() };
}

test(`${CLIENTS} clients hear ${BROADCASTS} broadcasts, each once and in order`, { timeout: 170_000 }, async () => {
  const crowds = [crowd(CLIENTS / 2), crowd(CLIENTS / 2)];
  for (const { receive } of crowds) assert.equal(await within(receive(), 60_000, "the crowd"), "connected");
  const speaker = await connect(server, { transport: "websocket" });
  let heard = 0;
  speaker.on("said", () => heard++);
  for (let i = 0; i < BROADCASTS; i++) {
    speaker.emit("say-all", i);
    // As fast as the speaker hears itself, with some ahead, so that the clients' process is the limit.
    while (i - heard > 20) await new Promise((resolve) => setImmediate(resolve));
  }
  const transports = { polling: 0, websocket: 0 };
  for (const { receive } of crowds) {
    const { wrong, seen } = await within(receive(), 120_000, "the crowd to hear everything");
    assert.deepEqual(wrong, []);
    for (const name of Object.keys(transports)) transports[name] += seen[name];
  }
  assert.deepEqual(transports, { polling: CLIENTS / 2, websocket: CLIENTS / 2 });
  for (const { end } of crowds) end();
  speaker.disconnect();
});
