// What clients see when a part of the cluster fails while they talk.
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, client, eventually, within } from "./cluster.mjs";

const EVERYBODY = { rooms: [], except: [] };

describe("faults of a cluster", { timeout: 240_000, skip: !process.env.INTEROP_SERVER }, () => {
  const cluster = new Cluster();
  // Two clients on each of two nodes.
  const clients = [];
  const breaks = [];
  let url;
  let nodes;

  const say = (from, what) => from.socket.emit("say-all", what);
  /** What is said on one node is heard on the other, from some moment on. */
  const whole = () =>
    eventually(async () => {
      for (const each of clients) while (each.unheard() > 0) await each.next();
      const token = Math.random();
      say(clients[0], token);
      await eventuallyHeard(clients[3], token);
      say(clients[3], -token);
      await eventuallyHeard(clients[0], -token);
    }, "the cluster to be whole again");
  async function eventuallyHeard(listener, token) {
    for (const until = Date.now() + 300; Date.now() < until; await sleep(5)) {
      while (listener.unheard() > 0) if ((await listener.next())[0] === token) return;
    }
    throw new Error("it was not heard");
  }

  before(async () => {
    url = await cluster.redis();
    nodes = await Promise.all([cluster.serve("yamabiko", url), cluster.serve("yamabiko", url)]);
    for (const node of nodes) for (let at = 0; at < 2; at += 1) clients.push(await client(node));
    for (const [at, { socket }] of clients.entries()) socket.on("disconnect", (reason) => breaks.push(`client ${at}: ${reason}`));
    await whole();
  });

  after(() => {
    for (const { socket } of clients) {
      socket.removeAllListeners("disconnect");
      socket.disconnect();
    }
    cluster.end();
  });

  test("Redis is killed and comes back: a node goes on alone, and then all together", async () => {
    cluster.redisServer.kill("SIGKILL");
    await once(cluster.redisServer, "exit");
    await sleep(100);
    const [one, neighbour] = clients;
    while (neighbour.unheard() > 0) await neighbour.next();
    for (let number = 0; number < 100; number += 1) say(one, number);
    for (let number = 0; number < 100; number += 1) assert.deepEqual(await neighbour.next(), [number], "its own clients miss nothing");
    // Who asks the cluster is told at once that it is not there, and gets what the node has.
    const asker = await client(nodes[0], "/operations");
    const begun = Date.now();
    const [found, missing] = await asker.ask("fetch", EVERYBODY);
    assert.deepEqual([found.length, missing], [1, ["the cluster"]]);
    assert.ok(Date.now() - begun < 1_000);
    asker.socket.disconnect();
    const back = Date.now();
    await cluster.redis(Number(new URL(url).port));
    await whole();
    console.log(`whole again ${Date.now() - back} ms after Redis came back`);
    assert.deepEqual(breaks, []);
  });

  test("Redis is paused for three seconds: a node's own clients do not notice", async () => {
    cluster.redisServer.kill("SIGSTOP");
    const [one, neighbour] = clients;
    while (neighbour.unheard() > 0) await neighbour.next();
    const until = Date.now() + 3_000;
    let worst = 0;
    for (let number = 0; Date.now() < until; number += 1) {
      const said = Date.now();
      say(one, number);
      assert.deepEqual(await neighbour.next(), [number]);
      worst = Math.max(worst, Date.now() - said);
      await sleep(5);
    }
    console.log(`the slowest of the messages meanwhile took ${worst} ms`);
    cluster.redisServer.kill("SIGCONT");
    const back = Date.now();
    await whole();
    console.log(`whole again ${Date.now() - back} ms after it went on`);
    assert.deepEqual(breaks, []);
  });

  test("a node is killed in the middle of a question: the others' answers are there, and it is missing", async () => {
    const third = await cluster.serve("yamabiko", url);
    const [asker, other, lost] = [await client(nodes[0], "/operations"), await client(nodes[1], "/operations"), await client(third, "/operations")];
    await eventually(async () => assert.equal((await asker.ask("fetch", EVERYBODY))[0].length, 3), "three sockets");
    other.socket.on("question", (_, answer) => answer("here"));
    asker.socket.on("question", (_, answer) => answer("here, too"));
    const asked = asker.ask("poll", EVERYBODY, 1_500, "?");
    await within(once(lost.socket, "question"), "the question");
    third.child.kill("SIGKILL");
    const [answers, missing] = await asked;
    assert.deepEqual([answers.sort(), missing], [["here", "here, too"], 1]);
    await eventually(async () => {
      const [found, missing] = await asker.ask("fetch", EVERYBODY);
      assert.deepEqual([found.length, missing], [2, []]);
    }, "the dead node to be counted no more");
    for (const { socket } of [asker, other, lost]) socket.disconnect();
    assert.deepEqual(breaks, []);
  });

  test("a node is stopped for a while, as by a debugger: others do not wait for it", async () => {
    const third = await cluster.serve("yamabiko", url);
    const [asker, frozen] = [await client(nodes[0], "/operations"), await client(third, "/operations")];
    await eventually(async () => assert.equal((await asker.ask("fetch", EVERYBODY))[0].length, 2), "two sockets");
    third.child.kill("SIGSTOP");
    await whole();
    const [found, missing] = await asker.ask("fetch", EVERYBODY);
    assert.deepEqual([found.length, missing], [1, ["1 of 2 other nodes"]]);
    third.child.kill("SIGCONT");
    await eventually(async () => assert.equal((await asker.ask("fetch", EVERYBODY))[0].length, 2), "it to be back");
    for (const { socket } of [asker, frozen]) socket.disconnect();
    assert.deepEqual(breaks, []);
  });
});
