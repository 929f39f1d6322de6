// One cluster of Node and Yamabiko servers on one Redis, by the classic adapter.
//   INTEROP_SERVER   the example `interop`; without it all servers are Node's
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { Cluster, client } from "./cluster.mjs";

describe("a cluster of Node and Yamabiko, classic", { timeout: 120_000 }, () => {
  const cluster = new Cluster();
  let servers;
  let emitter;
  let talker;
  const everyone = [];

  before(async () => {
    const url = await cluster.redis();
    servers = await Promise.all([cluster.serve("node", url), cluster.serve("yamabiko", url), cluster.serve("yamabiko", url)]);
    talker = createClient({ url });
    await talker.connect();
    emitter = new Emitter(talker);
    for (const server of servers) for (let each = 0; each < 3; each += 1) everyone.push(await client(server));
    // Subscriptions are made a moment after a server is there.
    await sleep(300);
  });

  after(async () => {
    for (const { socket } of everyone) socket.disconnect();
    await talker?.quit();
    cluster.end();
  });

  const VALUES = [
    ["text", ["é😀\u0000"]],
    ["numbers", [1, -1.5, 0, 2 ** 53]],
    ["nested", [{ a: [null, true, { "": [] }] }, "b"]],
    ["binary", [Buffer.from([0, 255]), { deep: [Buffer.from("x"), Buffer.alloc(0)] }, 7]],
    ["nothing", []],
  ];

  for (const [name, args] of VALUES) {
    test(`everybody hears everybody: ${name}`, async () => {
      for (const speaker of everyone) {
        speaker.socket.emit("say-all", ...args);
        for (const listener of everyone) assert.deepEqual(await listener.next(), args);
      }
    });
  }

  test("everybody but the speaker", async () => {
    for (const speaker of everyone) {
      speaker.socket.emit("shout", speaker.socket.id);
      for (const listener of everyone) {
        if (listener !== speaker) assert.deepEqual(await listener.next(), [speaker.socket.id]);
      }
      await speaker.ask("message-with-ack");
      assert.equal(speaker.unheard(), 0);
    }
  });

  test("a room, wherever its members are, and a client by its id", async () => {
    const members = [everyone[0], everyone[4], everyone[8]];
    for (const member of members) await member.ask("join", "room");
    for (const speaker of everyone) {
      speaker.socket.emit("say", "room", "to the room");
      for (const member of members) {
        if (member !== speaker) assert.deepEqual(await member.next(), ["to the room"]);
      }
    }
    for (const speaker of everyone) {
      for (const listener of everyone) {
        if (listener === speaker) continue;
        speaker.socket.emit("say", listener.socket.id, speaker.socket.id);
        assert.deepEqual(await listener.next(), [speaker.socket.id]);
      }
    }
    for (const { unheard } of everyone) assert.equal(unheard(), 0);
  });

  test("in order, and each once", async () => {
    const COUNT = 500;
    for (const speaker of [everyone[0], everyone[3], everyone[6]]) {
      for (let number = 0; number < COUNT; number += 1) speaker.socket.emit("say-all", number);
      for (const listener of everyone) {
        for (let number = 0; number < COUNT; number += 1) assert.deepEqual(await listener.next(), [number]);
      }
    }
    await sleep(100);
    for (const { unheard } of everyone) assert.equal(unheard(), 0);
  });

  test("namespaces are apart", async () => {
    const apart = [];
    for (const server of servers) apart.push(await client(server, "/custom"));
    await sleep(300);
    apart[1].socket.emit("say-all", "in /custom");
    for (const each of apart) assert.deepEqual(await each.next(), ["in /custom"]);
    for (const { unheard } of everyone) assert.equal(unheard(), 0);
    for (const { socket } of apart) socket.disconnect();
  });

  test("emitters reach everybody", async () => {
    emitter.emit("said", "from outside", Buffer.from([1]));
    for (const each of everyone) assert.deepEqual(await each.next(), ["from outside", Buffer.from([1])]);
    emitter.to("room").except(everyone[4].socket.id).emit("said", "to some");
    for (const each of [everyone[0], everyone[8]]) assert.deepEqual(await each.next(), ["to some"]);
    await sleep(100);
    for (const { unheard } of everyone) assert.equal(unheard(), 0);
  });

  // A Node server ends at it, so this is said where only ours listen.
  if (process.env.INTEROP_SERVER) {
    test("nonsense on the channels harms nobody of ours", async () => {
      const url = await cluster.redis();
      const ours = await cluster.serve("yamabiko", url);
      const listener = await client(ours);
      const voice = createClient({ url });
      await voice.connect();
      await sleep(300);
      for (const nonsense of [Buffer.alloc(0), Buffer.from([0xc1]), Buffer.from("{}"), Buffer.from([0x93, 0xa1, 0x61, 0x80, 0x80]), Buffer.alloc(100_000, 0x91)]) {
        await voice.publish("socket.io#/#", nonsense);
        await voice.publish("socket.io#/#room#", nonsense);
        await voice.publish("socket.io-request#/#", nonsense);
      }
      new Emitter(voice).emit("said", "still here");
      assert.deepEqual(await listener.next(), ["still here"]);
      listener.socket.disconnect();
      await voice.quit();
    });
  }
});
