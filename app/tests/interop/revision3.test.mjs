// Engine.IO revision 3, which 2.x clients speak, without a client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, withServer } from "./harness.mjs";
import { address, Frames, Polling, request, textPayload } from "./wire.mjs";

const TEXT = "é€😀";
const ANNOUNCED = '451-["message",{"_placeholder":true,"num":0}]';
const RETURNED = ANNOUNCED.replace("message", "message-back");
const REVISION = { EIO: "3" };

const payload = (...packets) => packets.map((it) => `${it.length}:${it}`).join("");

/** A payload in its binary form; strings are text packets. */
function binaryPayload(...packets) {
  return Buffer.concat(
    packets.flatMap((it) => {
      const bytes = Buffer.from(it);
      const digits = [...String(bytes.length)].map(Number);
      return [Buffer.of(typeof it === "string" ? 0 : 1, ...digits, 0xff), bytes];
    }),
  );
}

/** A session that has read its greeting: it is in `/` without having asked. */
async function open(server, params = {}) {
  const session = await Polling.open(server, { ...REVISION, ...params });
  const greeting = [...session.rest, ...(session.rest.length < 2 ? await session.packets(2 - session.rest.length) : [])];
  assert.deepEqual(greeting, ["40", '42["auth",{}]']);
  return session;
}

async function openFrames(server, params = {}) {
  const frames = await Frames.open(server, { ...REVISION, ...params });
  assert.deepEqual([await frames.next(), await frames.next()], ["40", '42["auth",{}]']);
  return frames;
}

withServer("revision 3", { ALLOW_EIO3: "1" }, (server) => {
  test("handshake", async () => {
    const { status, headers, body } = await request(address(server, REVISION));
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), "text/plain; charset=UTF-8");
    const [packet] = textPayload(body);
    const opened = JSON.parse(packet.slice(1));
    assert.deepEqual(Object.keys(opened), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert.deepEqual(opened.upgrades, ["websocket"]);
    assert.deepEqual((await openFrames(server)).opened.upgrades, []);
  });

  test("it is what a request without a revision means", async () => {
    for (const EIO of [undefined, "abc"]) {
      const { body } = await request(address(server, { EIO }));
      assert.match(body, /^\d+:0\{/);
    }
  });

  test("revision 4 is served too", async () => {
    const { body } = await request(address(server));
    assert.match(body, /^0\{/);
  });

  for (const [what, params, code] of [["transport", { transport: "abc" }, 0], ["session", { sid: "abc" }, 1]]) {
    test(`error ${code}: unknown ${what}`, async () => {
      const { status, body } = await request(address(server, { ...REVISION, ...params }));
      assert.deepEqual([status, JSON.parse(body).code], [400, code]);
    });
  }

  test("lengths of text are UTF-16 units", async () => {
    const session = await open(server);
    const { body } = await session.post(payload(`42["message","${TEXT}"]`, '42["message",2]'));
    assert.equal(body, "ok");
    assert.equal((await session.get()).body, payload(`42["message-back","${TEXT}"]`, '42["message-back",2]'));
  });

  test("bytes as base64, where that is asked for", async () => {
    const session = await open(server, { b64: "1" });
    await session.post(payload(ANNOUNCED, "b4AQIDBA=="));
    assert.equal((await session.get()).body, payload(RETURNED, "b4AQIDBA=="));
  });

  test("bytes as bytes", async () => {
    const session = await open(server);
    const sent = binaryPayload(ANNOUNCED, Buffer.of(4, 1, 2, 3), `42["message","${TEXT}"]`);
    const { body } = await session.post(sent, { headers: { "Content-Type": "application/octet-stream" } });
    assert.equal(body, "ok");
    const { headers, bytes } = await session.get();
    assert.equal(headers.get("content-type"), "application/octet-stream");
    assert.deepEqual(bytes, binaryPayload(RETURNED, Buffer.of(4, 1, 2, 3), `42["message-back","${TEXT}"]`));
  });

  test("the client pings, over polling", async () => {
    const session = await open(server);
    await session.post("1:2");
    assert.equal((await session.get()).body, "1:3");
  });

  test("the client pings, over WebSocket, and its data is not returned", async () => {
    const frames = await openFrames(server);
    frames.send("2", "2probe");
    assert.deepEqual([await frames.next(), await frames.next()], ["3", "3"]);
    frames.close();
  });

  test("a client's pong ends it", async () => {
    const frames = await openFrames(server);
    frames.send("3");
    assert.equal(await frames.end(), 1005);
  });

  test("frames", async () => {
    const frames = await openFrames(server);
    frames.send(ANNOUNCED, Buffer.of(4, 1, 2, 3), `42["message","${TEXT}"]`);
    assert.equal(await frames.next(), RETURNED);
    assert.deepEqual(await frames.next(), Buffer.of(4, 1, 2, 3));
    assert.equal(await frames.next(), `42["message-back","${TEXT}"]`);
    frames.close();
    const base64 = await openFrames(server, { b64: "1" });
    base64.send(ANNOUNCED, "b4AQID");
    assert.deepEqual([await base64.next(), await base64.next()], [RETURNED, "b4AQID"]);
    base64.close();
  });

  for (const bad of ["abc", "", "9:4a", "-1:4", "1:", "1x:4", "99999999999999999999:4"]) {
    test(`a payload of "${bad}" ends the session`, async () => {
      const session = await open(server);
      const poll = session.get();
      await sleep(50);
      assert.equal((await session.post(bad)).body, "ok");
      assert.equal((await poll).body, "1:1");
      await eventually(async () => !(await session.lives()), "the session to end");
    });
  }

  test("an empty batch means nothing", async () => {
    const session = await open(server);
    assert.equal((await session.post("0:")).body, "ok");
    await session.post("1:2");
    assert.equal((await session.get()).body, "1:3");
  });

  test("a second poll ends the session and both", async () => {
    const session = await open(server);
    const first = session.get();
    await sleep(50);
    assert.equal((await session.get()).status, 400);
    assert.equal((await first).body, "1:1");
    assert.equal((await session.get()).status, 400);
  });

  test("the client closes", async () => {
    const session = await open(server);
    const poll = session.get();
    await sleep(50);
    await session.post("1:1");
    assert.equal((await poll).body, "1:6");
    assert.equal((await session.get()).status, 400);
  });

  test("upgrade", async () => {
    const session = await open(server);
    const poll = session.get();
    const frames = session.frames();
    await frames.isOpen;
    frames.send("2probe");
    assert.equal(await frames.next(), "3probe");
    assert.equal((await poll).body, "1:6");
    frames.send("5", '42["message",1]');
    assert.equal(await frames.next(), '42["message-back",1]');
    assert.equal((await session.get()).status, 400);
    assert.equal(await session.frames().end(), 1005);
    frames.send('42["message",2]');
    assert.equal(await frames.next(), '42["message-back",2]');
    frames.close();
  });

  test("namespaces and their query", async () => {
    const frames = await openFrames(server);
    frames.send("40/custom?token=abc&x=%20,");
    assert.equal(await frames.next(), "40/custom,");
    assert.equal(await frames.next(), '42/custom,["auth",{"token":"abc","x":" "}]');
    frames.send("40/denied,");
    assert.equal(await frames.next(), '44/denied,{"code":7}');
    frames.send("40/zzz,");
    assert.equal(await frames.next(), '44/zzz,{"message":"Invalid namespace"}');
    frames.send('4212["whoami"]', '42/custom,13["whoami"]');
    const ids = [await frames.next(), await frames.next()].map((it) => JSON.parse(it.slice(it.indexOf("[")))[0].id);
    assert.deepEqual(ids.sort(), [frames.opened.sid, `/custom#${frames.opened.sid}`].sort());
    frames.close();
  });
});

withServer("heartbeat of revision 3", { ALLOW_EIO3: "1", PING_INTERVAL: "300", PING_TIMEOUT: "200" }, (server) => {
  test("ends what does not ping, after both times", async () => {
    const start = Date.now();
    const frames = await openFrames(server);
    const session = await open(server);
    assert.equal(await frames.end(), 1005);
    const lasted = Date.now() - start;
    assert.ok(lasted > 450 && lasted < 3000, `${lasted} ms`);
    await eventually(async () => !(await session.lives()), "the polling session to end");
  });

  test("keeps what pings", async () => {
    const frames = await openFrames(server);
    for (let n = 0; n < 5; n += 1) {
      await sleep(200);
      frames.send("2");
      assert.equal(await frames.next(), "3");
    }
    frames.close();
  });
});
