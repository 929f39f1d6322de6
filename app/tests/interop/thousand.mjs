// A thousand official clients, half of them polling, hear what one sender says to their room and to
// everyone: each message once, in order.
//   node thousand.mjs     CLIENTS, MESSAGES, PROCESSES scale it; the server is the one of the tests
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { Agent } from "node:http";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { serve, within } from "./harness.mjs";

const { io } = createRequire(import.meta.url)("socket.io-client-4");
const clients = Number(process.env.CLIENTS ?? 1000);
const messages = Number(process.env.MESSAGES ?? 2000);
const processes = Number(process.env.PROCESSES ?? 2);
/** How many messages are said at once, and how many such bursts may be on their way to the slowest. */
const BURST = 50;
const WINDOW = 2;
const CONNECT_MS = 60_000;
const RUN_MS = 90_000;
const ROOM = "hall";

/** Clients `from` to `to`; tells its parent how far all of them have come. */
async function listen(url, from, to) {
  const agent = new Agent({ keepAlive: true });
  const come = new Array(to - from).fill(0);
  let reported = 0;
  const fail = (why) => process.send({ failed: why });
  const heard = (index, n) => {
    if (n !== come[index]) return fail(`client ${from + index} heard ${n} instead of ${come[index]}`);
    come[index] += 1;
    if (come[index] % BURST !== 0 && come[index] !== messages) return;
    const slowest = Math.min(...come);
    if (slowest > reported) process.send({ come: (reported = slowest) });
  };
  const open = (index) =>
    new Promise((resolve) => {
      const socket = io(url, {
        forceNew: true,
        reconnection: false,
        agent,
        transports: [(from + index) % 2 === 0 ? "polling" : "websocket"],
      });
      socket.on("connect_error", (error) => fail(`client ${from + index}: ${error.message}`));
      socket.on("disconnect", (reason) => fail(`client ${from + index} lost its connection: ${reason}`));
      socket.on("said", (n) => heard(index, n));
      socket.on("connect", () => socket.emit("join", ROOM, resolve));
    });
  for (let index = 0; index < come.length; index += 50) {
    await Promise.all(come.slice(index, index + 50).map((_, at) => open(index + at)));
  }
  process.send({ joined: true });
  process.on("message", () => {
    process.send({ final: come });
    process.disconnect();
    process.exit(0);
  });
}

/** A child with its share of the clients. */
function share(url, from, to) {
  const child = fork(fileURLToPath(import.meta.url), [url, String(from), String(to)]);
  const waiting = {};
  const state = { child, come: 0, wake: () => {} };
  state.failed = new Promise((_, reject) => {
    child.on("message", (message) => {
      if (message.failed) reject(new Error(message.failed));
      if (message.come) state.come = message.come;
      for (const name of ["joined", "final"]) if (message[name]) waiting[name](message[name]);
      state.wake();
    });
    child.on("exit", (code) => code !== 0 && reject(new Error(`a process of clients ended with ${code}`)));
  });
  state.failed.catch(() => {});
  for (const name of ["joined", "final"]) state[name] = new Promise((resolve) => (waiting[name] = resolve));
  return state;
}

async function say(sender, shares) {
  for (let said = 0; said < messages; ) {
    const burst = Math.min(BURST, messages - said);
    // The sender itself is in no room and hears half of it.
    for (let n = said; n < said + burst; n += 1) {
      if (n % 2 === 0) sender.emit("say", ROOM, n);
      else sender.emit("say-all", n);
    }
    said += burst;
    const behind = said === messages ? said : said - (WINDOW - 1) * BURST;
    while (shares.some((it) => it.come < behind)) {
      await new Promise((resolve) => shares.forEach((it) => (it.wake = resolve)));
    }
  }
}

async function main() {
  const start = Date.now();
  // A busy machine is not a dead client.
  const server = await serve({ PING_TIMEOUT: "80000" });
  const per = Math.ceil(clients / processes);
  const shares = Array.from({ length: processes }, (_, n) =>
    share(server.url, n * per, Math.min(clients, (n + 1) * per)),
  );
  const unfailing = (promise, what, ms) => within(Promise.race([promise, ...shares.map((it) => it.failed)]), what, ms);
  try {
    await unfailing(Promise.all(shares.map((it) => it.joined)), "all clients to join", CONNECT_MS);
    const joined = Date.now();
    const sender = io(server.url, { forceNew: true, reconnection: false, transports: ["websocket"] });
    const own = [];
    sender.on("said", (n) => own.push(n));
    await unfailing(new Promise((resolve) => sender.on("connect", resolve)), "the sender");
    await unfailing(say(sender, shares), "all to have heard all", RUN_MS);
    // What comes twice may come late.
    await new Promise((resolve) => setTimeout(resolve, 300));
    shares.forEach((it) => it.child.send("end"));
    const come = (await unfailing(Promise.all(shares.map((it) => it.final)), "the counts")).flat();
    assert.deepEqual(come, new Array(clients).fill(messages));
    assert.deepEqual(own, Array.from({ length: Math.floor(messages / 2) }, (_, n) => 2 * n + 1));
    sender.disconnect();
    const seconds = (ms) => (ms / 1000).toFixed(1);
    const [to, of] = [seconds(joined - start), seconds(Date.now() - joined)];
    console.log(`${clients} clients joined in ${to} s and each heard ${messages} messages, once, in order, in ${of} s`);
    await server.stop();
  } finally {
    shares.forEach((it) => it.child.kill());
  }
}

if (process.send) await listen(process.argv[2], Number(process.argv[3]), Number(process.argv[4]));
else await main().then(() => process.exit(0), (error) => (console.error(error), process.exit(1)));
