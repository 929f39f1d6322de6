// The examples `ask` and `messages`, with the official client. They stand beside the server under test.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { PATIENCE, reference, within } from "./harness.mjs";

const { io } = createRequire(import.meta.url)("socket.io-client-4");

/** Tries until nothing is thrown. */
async function eventually(holds, what) {
  for (const until = Date.now() + PATIENCE; ; await sleep(20)) {
    try {
      return await holds();
    } catch (error) {
      if (Date.now() > until) throw new Error(`${what}: ${error.message}`, { cause: error });
    }
  }
}

/** Starts an example; the address of its server. */
async function start(name, context) {
  const child = spawn(join(dirname(process.env.INTEROP_SERVER), name), [], {
    env: { ...process.env, YAMABIKO_PORT: "0", YAMABIKO_SHARDS: process.env.SHARDS ?? "2", YAMABIKO_ANNOUNCE: "true", YAMABIKO_LOG: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  context.child = child;
  const ready = new Promise((resolve) => {
    createInterface(child.stdout).on("line", (line) => {
      const found = /^ready (\d+)$/.exec(line);
      if (found) resolve(Number(found[1]));
    });
  });
  return `http://127.0.0.1:${await within(ready, `${name} to be ready`)}`;
}

/** A client that notes what it hears. */
async function client(url, options = {}) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 50, ...options });
  const heard = [];
  socket.onAny((...args) => heard.push(args));
  await within(once(socket, "connect"), "a client to connect");
  return {
    socket,
    heard,
    /** The arguments of all events of that name; with recovery the last one is the event's offset. */
    of: (name) => heard.filter(([event]) => event === name).map(([, ...args]) => (/^[0-9a-f]{18}$/.test(args.at(-1)) ? args.slice(0, -1) : args)),
    ask: (...args) => within(new Promise((done) => socket.emit(...args, done)), `an answer to ${args[0]}`),
  };
}

describe("the example ask", { skip: reference, timeout: 60_000 }, () => {
  const context = {};
  const everyone = [];
  let url;
  before(async () => {
    url = await start("ask", context);
    for (let at = 0; at < 6; at += 1) everyone.push(await client(url));
  });
  after(() => {
    for (const { socket } of everyone) socket.disconnect();
    context.child?.kill("SIGKILL");
  });

  test("the server answers, or says what is wrong", async () => {
    const [one] = everyone;
    assert.deepEqual(await one.ask("sum", { numbers: [1, 2, 3.5, 1.5] }), { sum: 8, mean: 2 });
    assert.deepEqual(await one.ask("sum", { numbers: [] }), { error: "there is nothing to add up" });
    const { error } = await one.ask("sum", { numbers: "1" });
    assert.match(error, /invalid type/);
  });

  test("one client asks another, wherever it is", async () => {
    for (const other of everyone.slice(1)) {
      other.socket.once("question", (what, answer) => answer(`you asked: ${what}`));
      assert.equal(await everyone[0].ask("ask", other.socket.id, "how are you?"), "you asked: how are you?");
    }
    assert.deepEqual(await everyone[0].ask("ask", everyone[1].socket.id, "and now?"), { error: "no answer" });
    assert.deepEqual(await everyone[0].ask("ask", "nobody", "?"), { error: "nobody of that name is here" });
    everyone[2].socket.once("question", (_, answer) => answer({ not: "text" }));
    assert.match((await everyone[0].ask("ask", everyone[2].socket.id, "?")).error, /invalid type/);
  });

  test("a room is asked, and who does not answer is named", async () => {
    const votes = ["yes", "no", "yes", "yes"];
    for (const [at, vote] of votes.entries()) everyone[at].socket.once("vote", (_, answer) => answer(vote));
    everyone[4].socket.once("vote", (_, answer) => answer("perhaps"));
    const { yes, no, missing } = await everyone[5].ask("poll", "tea?");
    assert.deepEqual([yes, no], [3, 1]);
    assert.deepEqual(missing.sort(), [everyone[4].socket.id, everyone[5].socket.id].sort());
  });
});

describe("the example messages", { skip: reference, timeout: 60_000 }, () => {
  const context = {};
  const open = [];
  let url;
  const enter = async (auth, options) => {
    const it = await client(url, { auth, ...options });
    open.push(it.socket);
    await eventually(() => assert.equal(it.of("history").length, 1), "the history");
    [[it.me, it.secret]] = it.of("session");
    // As the page does: who comes back is known by it.
    it.socket.auth.secret = it.secret;
    return it;
  };
  before(async () => {
    url = await start("messages", context);
  });
  after(() => {
    for (const socket of open) socket.disconnect();
    context.child?.kill("SIGKILL");
  });

  test("people have names, and their tabs are one person", async () => {
    const ada = await enter({ name: "Ada" });
    assert.equal(ada.me.name, "Ada");
    for (const [auth, complaint] of [[{ name: "Ada" }, "somebody has that name"], [{}, "please tell us your name"], [{ name: "x".repeat(41) }, "please tell us your name"]]) {
      const refused = io(url, { forceNew: true, auth, reconnection: false });
      open.push(refused);
      const [error] = await within(once(refused, "connect_error"), "a refusal");
      assert.equal(error.message, complaint);
    }
    const tab = await enter({ secret: ada.secret });
    const bob = await enter({ name: "Bob" });
    assert.equal(await bob.ask("say", "Ada", "hello"), undefined);
    for (const each of [ada, tab]) {
      await eventually(() => assert.deepEqual(each.of("said"), [[{ from: "Bob", to: "Ada", text: "hello" }]]), "a message");
    }
    assert.equal(await ada.ask("say", "Bob", "hi"), undefined);
    // The other tab sees what this one has said.
    await eventually(() => assert.equal(tab.of("said").length, 2), "one's own message");
    assert.equal(ada.of("said").length, 1);
    for (const [to, text, complaint] of [["Nobody", "x", "there is nobody of that name"], ["Bob", "", "a message has 1 to 2000 bytes"]]) {
      assert.deepEqual(await ada.ask("say", to, text), { error: complaint });
    }
    // Gone with the last tab.
    ada.socket.disconnect();
    await sleep(100);
    assert.deepEqual(bob.of("went"), []);
    assert.equal(await bob.ask("who", "Ada"), true);
    tab.socket.disconnect();
    await eventually(() => assert.deepEqual(bob.of("went"), [[{ name: "Ada" }]]), "Ada to be gone");
    assert.equal(await bob.ask("who", "Ada"), false);
    bob.socket.disconnect();
  });

  test("who is cut off for a moment misses nothing and hears nothing twice", async () => {
    const eve = await enter({ name: "Eve" });
    const dan = await enter({ name: "Dan" });
    await dan.ask("say", "Eve", "before");
    await eventually(() => assert.equal(eve.of("said").length, 1), "a first message");
    const { id } = eve.socket;
    const back = once(eve.socket, "connect");
    eve.socket.io.engine.close();
    for (let number = 0; number < 5; number += 1) await dan.ask("say", "Eve", `meanwhile ${number}`);
    await within(back, "Eve to come back");
    assert.ok(eve.socket.recovered);
    assert.equal(eve.socket.id, id);
    await dan.ask("say", "Eve", "after");
    await eventually(() => assert.equal(eve.of("said").length, 7), "all messages");
    const texts = eve.of("said").map(([{ text }]) => text);
    assert.deepEqual(texts, ["before", ...[0, 1, 2, 3, 4].map((it) => `meanwhile ${it}`), "after"]);
    assert.equal(eve.of("history").length, 1, "the history did not come again");
    eve.socket.disconnect();
    dan.socket.disconnect();
  });

  test("who comes back too late gets the history", async () => {
    const fay = await enter({ name: "Fay" });
    const gil = await enter({ name: "Gil" });
    fay.socket.disconnect();
    await eventually(async () => assert.equal(await gil.ask("who", "Fay"), false), "Fay to be gone");
    await gil.ask("say", "Fay", "are you there?");
    const again = await enter({ secret: fay.secret });
    assert.deepEqual(again.of("history"), [[[{ from: "Gil", to: "Fay", text: "are you there?" }]]]);
    assert.equal(again.me.name, "Fay");
  });
});
