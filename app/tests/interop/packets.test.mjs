// Socket.IO protocol revision 5, byte by byte, over a WebSocket: what is answered, what is tolerated
// and what ends the connection.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { reference, withServer } from "./harness.mjs";
import { Frames, Polling } from "./wire.mjs";

const ID = /^[\w-]{20}$/;
const PLACEHOLDER = '{"_placeholder":true,"num":0}';
const SECOND = '{"_placeholder":true,"num":1}';

withServer("packets", { PING_INTERVAL: "300", PING_TIMEOUT: "5000", CONNECT_TIMEOUT: "1000" }, (server) => {
  /** A connection without its pings, which are answered. */
  async function open() {
    const frames = await Frames.open(server);
    const { next } = frames;
    frames.next = async (...args) => {
      for (;;) {
        const frame = await next.apply(frames, args);
        if (frame !== "2") return frame;
        frames.send("3");
      }
    };
    return frames;
  }

  async function joined() {
    return (await open()).join();
  }

  /** Nothing was broken: the next thing heard is the echo of this. */
  async function echoes(frames) {
    frames.send('42["message","fine"]');
    assert.equal(await frames.next(), '42["message-back","fine"]');
    frames.close();
  }

  for (const [what, sent, namespace, auth] of [
    ["the main namespace", "40", "", "{}"],
    ["with a payload", '40{"token":"123"}', "", '{"token":"123"}'],
    ["another namespace", "40/custom,", "/custom,", "{}"],
    ["another namespace, without its comma", "40/custom", "/custom,", "{}"],
    ["another namespace with a payload", '40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'],
  ]) {
    test(`joins ${what}`, async () => {
      const frames = await open();
      frames.send(sent);
      const answer = await frames.next();
      assert.ok(answer.startsWith(`40${namespace}{`), answer);
      const { sid, ...rest } = JSON.parse(answer.slice(2 + namespace.length));
      assert.match(sid, ID);
      assert.deepEqual(rest, {});
      assert.notEqual(sid, frames.opened.sid, "the engine's id is private");
      assert.equal(await frames.next(), `42${namespace}["auth",${auth}]`);
      frames.close();
    });
  }

  for (const [what, sent, answer] of [
    ["an unknown namespace", "40/random", '44/random,{"message":"Invalid namespace"}'],
    ["an unknown namespace, with a payload", '40/random,{"a":1}', '44/random,{"message":"Invalid namespace"}'],
    ["a query, which is part of the name", "40/custom?token=1,", '44/custom?token=1,{"message":"Invalid namespace"}'],
    ["a guard's refusal, with its data", "40/denied,", '44/denied,{"message":"nope","data":{"code":7}}'],
  ]) {
    test(`is refused: ${what}`, async () => {
      const frames = await open();
      frames.send(sent);
      assert.equal(await frames.next(), answer);
      frames.send(sent);
      assert.equal(await frames.next(), answer, "and may try again");
      await echoes(await frames.join());
    });
  }

  for (const [what, sent, answer] of [
    ["an event", ['42["message",1,"2",{"3":[true]}]'], ['42["message-back",1,"2",{"3":[true]}]']],
    ["an event that wants an answer", ['42456["message-with-ack",1,"2",{"3":[false]}]'], ['43456[1,"2",{"3":[false]}]']],
    ["identifier 0", ['420["message-with-ack"]'], ["430[]"]],
    [
      "bytes",
      [`452-["message",${PLACEHOLDER},{"a":${SECOND}}]`, Buffer.from([1, 2, 3]), Buffer.from([4])],
      [`452-["message-back",${PLACEHOLDER},{"a":${SECOND}}]`, Buffer.from([1, 2, 3]), Buffer.from([4])],
    ],
    [
      "an event with bytes that wants an answer",
      [`452-789["message-with-ack",${PLACEHOLDER},${SECOND}]`, Buffer.from([1]), Buffer.from([])],
      [`462-789[${PLACEHOLDER},${SECOND}]`, Buffer.from([1]), Buffer.from([])],
    ],
  ]) {
    test(`answers ${what}`, async () => {
      const frames = await joined();
      frames.send(...sent);
      for (const frame of answer) assert.deepEqual(await frames.next(), frame);
      await echoes(frames);
    });
  }

  test("placeholders in any order mean the frames they name", async () => {
    const frames = await joined();
    frames.send(`452-["message",${SECOND},${PLACEHOLDER}]`, Buffer.from([1]), Buffer.from([2]));
    const head = await frames.next();
    const order = [...head.matchAll(/"num":(\d)/g)].map(([, num]) => Number(num));
    const attachments = [await frames.next(), await frames.next()];
    assert.deepEqual(order.map((num) => attachments[num][0]), [2, 1]);
    frames.close();
  });

  test("the server asks and is answered, with identifiers from 0", async () => {
    const frames = await joined();
    frames.send('427["ask",{"q":1}]');
    const question = await frames.next();
    const [, id] = /^42(\d+)\["question",\{"q":1\}\]$/.exec(question);
    frames.send(`43${id}["yes",2]`);
    assert.equal(await frames.next(), '437["yes",2]');
    frames.close();
  });

  test("leaves and comes back as another", async () => {
    const frames = await joined();
    const { id } = frames;
    frames.send("40/custom,");
    await frames.next();
    await frames.next();
    frames.send("41", '42/custom,["message",1]');
    assert.equal(await frames.next(), '42/custom,["message-back",1]');
    await frames.join();
    assert.notEqual(frames.id, id);
    await echoes(frames);
  });

  test("is sent away from one namespace, or from all", async () => {
    const frames = await joined();
    frames.send("40/custom,");
    await frames.next();
    await frames.next();
    frames.send('42/custom,["bye",false]');
    assert.equal(await frames.next(), "41/custom,");
    frames.send("40/custom,");
    await frames.next();
    await frames.next();
    frames.send('42["bye",true]');
    assert.deepEqual([await frames.next(), await frames.next()].sort(), ["41", "41/custom,"]);
    assert.equal(await frames.end(), 1005);
  });

  for (const [what, ...sent] of [
    ["an answer nobody waits for", "4399[1]"],
    ["a number for an event's name", "42[5,1]"],
    ["an event nobody listens to", '42["nothing",1]'],
  ]) {
    test(`tolerates ${what}`, async () => {
      const frames = await joined();
      frames.send(...sent);
      await echoes(frames);
    });
  }

  for (const [what, ...sent] of [
    ["joining twice", "40"],
    ["an event for a namespace that was not joined", '42/custom,["message"]'],
    ["an event for a namespace that was left", "41", '42["message"]'],
    ["an event for a namespace that is not", '42/zzz,["message"]'],
    ["an error from a client", '44{"message":"x"}'],
    ["an unknown type", "4abc"],
    ["type 7", '47["message"]'],
    ["no packet", "4"],
    ["bad JSON", '42["message",'],
    ["two values", '42["message"]["message"]'],
    ["a payload of null", "40/custom,null"],
    ["a payload that is a list", "40/custom,[]"],
    ["leaving with a payload", '41["x"]'],
    ["an event that is an object", "42{}"],
    ["an event of nothing", "42[]"],
    ["an event without a payload", "42"],
    ["an event's name that is an object", "42[{}]"],
    ["an event's name that is null", "42[null]"],
    ["an identifier that is no number", '42abc["message"]'],
    ["an answer that is an object", "431{}"],
    ...["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"].map((name) => [
      `the reserved name ${name}`,
      `42["${name}"]`,
    ]),
    ["bytes nobody announced", Buffer.from([1])],
    ["text while bytes are missing", `451-["message",${PLACEHOLDER}]`, '42["message"]'],
    ["a placeholder of no frame", `451-["message",${SECOND}]`, Buffer.from([1])],
    ["eleven attachments", `4511-["message",${PLACEHOLDER}]`, ...Array.from({ length: 11 }, () => Buffer.from([1]))],
    ["a number of attachments that is none", `45x-["message",${PLACEHOLDER}]`],
    ["bytes without their number", `45["message",${PLACEHOLDER}]`],
  ]) {
    test(`ends the connection: ${what}`, async () => {
      const frames = await joined();
      frames.send(...sent);
      assert.equal(await frames.end(), 1005);
    });
  }

  test("ends the connection: an event before joining", async () => {
    const frames = await open();
    frames.send('42["message"]');
    assert.equal(await frames.end(), 1005);
  });

  test("ends the connection: an unknown type before joining", async () => {
    const frames = await open();
    frames.send("4abc");
    assert.equal(await frames.end(), 1005);
  });

  test("ends the connection when nothing is joined", async () => {
    const frames = await open();
    const start = Date.now();
    await assert.rejects(frames.next(), /closed with 1005/);
    assert.ok(Date.now() - start > 900, "not before its time");
  });

  test("does not end it once something was joined", async () => {
    const frames = await joined();
    const echo = frames.next();
    await sleep(1300);
    frames.send('42["message","fine"]');
    assert.equal(await echo, '42["message-back","fine"]');
    frames.close();
  });

  test("violations over polling end the session", async () => {
    const session = await (await Polling.open(server)).join();
    assert.equal((await session.post("42{}")).status, 200);
    await sleep(50);
    // What is left for it may still be fetched.
    const { status, body } = await session.get();
    if (status === 200) assert.match(body, /(^|\x1e)1$/);
    assert.equal((await session.get()).status, 400);
  });

  // The reference ends the connection instead.
  test("what follows a CONNECT at once waits for it", { skip: reference }, async () => {
    const frames = await open();
    frames.send("40/late,", '42/late,["message",1]', `451-/late,["message",${PLACEHOLDER}]`, Buffer.from([9]));
    assert.match(await frames.next(), /^40\/late,\{/);
    assert.equal(await frames.next(), '42/late,["message-back",1]');
    assert.equal(await frames.next(), `451-/late,["message-back",${PLACEHOLDER}]`);
    assert.deepEqual(await frames.next(), Buffer.from([9]));
    await echoes(await frames.join());
  });
});
