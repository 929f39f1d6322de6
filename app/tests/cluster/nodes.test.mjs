// Several nodes behind a balancer that knows nothing: each TCP connection goes to any of them.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as dial, createServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { io } from "socket.io-client";
import { Cluster, client, eventually, freePort, within } from "./cluster.mjs";

const SECRET = "a secret that all nodes share";
const TRANSPORTS = [["polling"], ["polling", "websocket"], ["websocket"]];

/** Passes every connection on to any of the nodes that are there. */
async function sprayer(ports) {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const port = ports[Math.floor(Math.random() * ports.length)];
    const far = dial({ port, host: "127.0.0.1", allowHalfOpen: true });
    near.pipe(far).pipe(near);
    for (const [one, other] of [[near, far], [far, near]]) one.on("error", () => other.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** The number of the node in an id: two bytes behind twelve random ones. */
const slotOf = (id) => Buffer.from(id, "base64url").readUInt16BE(12);

describe("nodes behind a balancer that knows nothing", { timeout: 300_000, skip: !process.env.INTEROP_SERVER }, () => {
  const cluster = new Cluster({ YAMABIKO_CLUSTER_LISTENER: "127.0.0.1:0", YAMABIKO_CLUSTER_SECRET: SECRET });
  const nodes = [];
  const ports = [];
  let url;
  let balancer;
  let front;
  // Those that a failed test leaves behind.
  const open = new Set();

  const assigned = async (node, query = "") => {
    const response = await fetch(`${node.url}/yamabiko/assign${query}`);
    return { status: response.status, ...(await response.json()) };
  };
  const start = async () => {
    const port = await freePort();
    const place = `http://127.0.0.1:${port}`;
    return cluster.serve("yamabiko", url, { PORT: String(port), YAMABIKO_PUBLIC_URL: place });
  };

  before(async () => {
    url = await cluster.redis();
    nodes.push(...(await Promise.all([start(), start(), start()])));
    ports.push(...nodes.map((node) => Number(new URL(node.url).port)));
    balancer = await sprayer(ports);
    front = { url: `http://127.0.0.1:${balancer.address().port}` };
  });

  after(() => {
    balancer?.close();
    for (const socket of open) socket.disconnect();
    cluster.end();
  });

  test("they know of each other, and ids say whose they are", async () => {
    for (const node of nodes) {
      await eventually(async () => {
        const { url: best, alternatives } = await assigned(node);
        assert.deepEqual([best, ...alternatives].sort(), nodes.map((it) => it.url).sort());
      }, "nodes to know of each other");
    }
    const slots = new Set();
    for (const node of nodes) {
      const one = await client(node);
      slots.add(slotOf(one.socket.id));
      assert.equal(slotOf(one.socket.id), slotOf(one.socket.io.engine.id));
      one.socket.disconnect();
    }
    assert.equal(slots.size, nodes.length);
    assert.ok(!slots.has(0));
  });

  test("300 clients, polling, upgrading and not: nothing is lost, nothing comes twice, nobody is cut off", async () => {
    const COUNT = 300;
    const ROUNDS = 12;
    const clients = [];
    const breaks = [];
    for (let at = 0; at < COUNT; at += 1) {
      const socket = io(front.url, { forceNew: true, transports: TRANSPORTS[at % 3], reconnection: false });
      socket.on("disconnect", (reason) => breaks.push(`client ${at}: ${reason}`));
      socket.on("connect_error", (error) => breaks.push(`client ${at}: ${error.message}`));
      socket.io.engine?.on("upgradeError", (error) => breaks.push(`client ${at}: ${error.message}`));
      const heard = [];
      socket.on("said", (what) => heard.push(what));
      clients.push({ socket, heard });
      if (at % 25 === 24) await within(Promise.all(clients.slice(-25).map((it) => it.socket.connected || once(it.socket, "connect"))), "clients to connect", 30_000);
    }
    assert.deepEqual(breaks, []);
    const on = new Set(clients.map(({ socket }) => slotOf(socket.id)));
    assert.equal(on.size, nodes.length, "clients are on all nodes");
    const ask = (socket, ...args) => within(new Promise((done) => socket.emit(...args, (...got) => done(got))), args[0], 30_000);
    await Promise.all(clients.map(({ socket }, at) => ask(socket, "join", `room ${at % 10}`)));
    await sleep(300);
    for (let round = 0; round < ROUNDS; round += 1) {
      const answers = clients.map(({ socket }, at) => ask(socket, "message-with-ack", at, round, Buffer.from([round])));
      // One of each room speaks to it.
      for (let room = 0; room < 10; room += 1) clients[room + 10 * (round % 30)].socket.emit("say", `room ${room}`, { room, round });
      for (const [at, answer] of (await Promise.all(answers)).entries()) assert.deepEqual(answer, [at, round, Buffer.from([round])]);
    }
    await eventually(() => {
      for (const [at, { heard }] of clients.entries()) {
        const expected = [];
        for (let round = 0; round < ROUNDS; round += 1) {
          if (at !== (at % 10) + 10 * (round % 30)) expected.push({ room: at % 10, round });
        }
        assert.deepEqual(heard.length, expected.length);
      }
    }, "everybody to hear everything");
    for (const [at, { heard }] of clients.entries()) {
      const rounds = heard.map(({ round }) => round);
      assert.deepEqual(new Set(rounds).size, rounds.length, `client ${at} heard something twice`);
      assert.ok(heard.every(({ room }) => room === at % 10));
    }
    assert.deepEqual(breaks, []);
    for (const { socket } of clients.filter((_, at) => at % 3 === 1)) assert.equal(socket.io.engine.transport.name, "websocket");
    for (const { socket } of clients) {
      socket.removeAllListeners("disconnect");
      socket.disconnect();
    }
  });

  test("a key leads to the same node from anywhere", async () => {
    for (const key of ["a", "b", "customer 7"]) {
      const places = new Set();
      for (const node of nodes) for (let again = 0; again < 3; again += 1) places.add((await assigned(node, `?key=${encodeURIComponent(key)}`)).url);
      assert.equal(places.size, 1);
    }
  });

  test("what pretends to be a node is not believed", async () => {
    const voice = createClient({ url });
    await voice.connect();
    const forged = { occasion: "here", uid: "impostor", slot: 7, age_ms: 1e15, address: "127.0.0.1:1", url: "http://impostor", weight: 1000 };
    for (const words of [JSON.stringify(forged), `${JSON.stringify(forged)}\n${"0".repeat(64)}`, "{", "", Buffer.alloc(10_000, 0x5b)]) {
      await voice.publish("yamabiko#socket.io#nodes", words);
    }
    await sleep(100);
    for (const node of nodes) {
      const { url: best, alternatives } = await assigned(node);
      assert.ok(![best, ...alternatives].includes("http://impostor"));
    }
    await voice.quit();
  });

  test("a node that dies is forgotten in seconds, and its clients come back to others", async () => {
    const watched = await client(front, "/", { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200, transports: ["polling", "websocket"] });
    open.add(watched.socket);
    const bystanders = [];
    for (let at = 0; at < 9; at += 1) bystanders.push(await client(front, "/", { transports: TRANSPORTS[at % 3] }));
    const slots = await Promise.all(nodes.map(async (node) => {
      const { socket } = await client(node);
      const slot = slotOf(socket.id);
      socket.disconnect();
      return slot;
    }));
    const dying = slots.indexOf(slotOf(watched.socket.id));
    const spared = bystanders.filter(({ socket }) => slotOf(socket.id) !== slots[dying] && socket.io.engine.transport.name === "polling");
    const back = once(watched.socket, "connect");
    const [victim] = nodes.splice(dying, 1);
    ports.splice(dying, 1);
    victim.child.kill("SIGKILL");
    const begun = Date.now();
    await within(back, "the client to come back");
    assert.notEqual(slotOf(watched.socket.id), slots[dying]);
    for (const node of nodes) {
      await eventually(async () => {
        const { url: best, alternatives } = await assigned(node);
        assert.ok(![best, ...alternatives].includes(victim.url));
      }, "the dead node to be forgotten");
    }
    assert.ok(Date.now() - begun < 10_000);
    for (const { socket, ask } of spared.filter(({ socket }) => socket.connected)) {
      assert.deepEqual(await ask("message-with-ack", socket.id), [socket.id]);
    }
    for (const { socket } of [watched, ...bystanders]) socket.disconnect();
  });

  test("a node that ends says so, and one that comes is known at once", async () => {
    const newcomer = await start();
    for (const node of nodes) {
      const { url: best, alternatives } = await assigned(node);
      assert.ok([best, ...alternatives].includes(newcomer.url), "it has introduced itself before it serves");
    }
    const ended = once(newcomer.child, "exit");
    newcomer.child.kill("SIGTERM");
    assert.deepEqual(await within(ended, "it to end"), [0, null]);
    await sleep(50);
    for (const node of nodes) {
      const { url: best, alternatives } = await assigned(node);
      assert.ok(![best, ...alternatives].includes(newcomer.url));
    }
  });
});
