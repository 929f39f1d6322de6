// The msgpack parser where it differs from the default one: what its packets look like on the wire, values
// that JSON does not have, and what ends a connection. What both have in common is in `scenarios.test.mjs`.
import assert from "node:assert/strict";
import { test } from "node:test";
import msgpack from "socket.io-msgpack-parser";
import { ask, connect, next, PARSERS, TRANSPORTS, withServer } from "./harness.mjs";
import { Frames, Polling } from "./wire.mjs";

const ID = /^[\w-]{20}$/;
const [ROOT, CUSTOM] = ["/", "/custom"];

function pack(packet) {
  const [bytes] = new msgpack.Encoder().encode(packet);
  return bytes;
}

function unpack(bytes) {
  assert.ok(Buffer.isBuffer(bytes), `a binary message, not ${bytes}`);
  const decoder = new msgpack.Decoder();
  let packet;
  decoder.on("decoded", (decoded) => (packet = decoded));
  decoder.add(bytes);
  return packet;
}

const { env, options } = PARSERS.msgpack;

withServer("msgpack packets", { ...env, CONNECT_TIMEOUT: "5000", MAX_HTTP_BUFFER_SIZE: "100000" }, (server) => {
  async function open() {
    const frames = await Frames.open(server);
    return {
      send: (packet) => frames.send(packet instanceof Uint8Array || typeof packet === "string" ? packet : pack(packet)),
      next: async () => unpack(await frames.next()),
      end: () => frames.end(),
      close: () => frames.close(),
    };
  }

  async function joined(nsp = ROOT) {
    const frames = await open();
    frames.send({ type: 0, nsp });
    const { data } = await frames.next();
    assert.deepEqual(await frames.next(), { type: 2, data: ["auth", {}], nsp });
    return Object.assign(frames, { id: data.sid });
  }

  /** Nothing was broken: the next thing heard is the echo of this. */
  async function echoes(frames, nsp = ROOT) {
    frames.send({ type: 2, nsp, data: ["message", "fine"] });
    assert.deepEqual(await frames.next(), { type: 2, data: ["message-back", "fine"], nsp });
    frames.close();
  }

  for (const [what, packet, auth] of [
    ["the main namespace", { type: 0, nsp: ROOT }, {}],
    ["with a payload", { type: 0, nsp: ROOT, data: { token: "é", deep: [{ n: 1.5 }] } }, { token: "é", deep: [{ n: 1.5 }] }],
    ["another namespace", { type: 0, nsp: CUSTOM, data: undefined }, {}],
  ]) {
    test(`joins ${what}`, async () => {
      const frames = await open();
      frames.send(packet);
      const { type, nsp, data } = await frames.next();
      assert.deepEqual([type, nsp], [0, packet.nsp]);
      assert.match(data.sid, ID);
      assert.equal(data.pid, undefined);
      assert.deepEqual(await frames.next(), { type: 2, data: ["auth", auth], nsp });
      await echoes(frames, nsp);
    });
  }

  for (const [what, nsp, data] of [
    ["an unknown namespace", "/random", { message: "Invalid namespace" }],
    ["a guard's refusal, with its data", "/denied", { message: "nope", data: { code: 7 } }],
  ]) {
    test(`is refused: ${what}`, async () => {
      const frames = await open();
      frames.send({ type: 0, nsp });
      assert.deepEqual(await frames.next(), { type: 4, data, nsp });
      frames.send({ type: 0, nsp });
      assert.deepEqual(await frames.next(), { type: 4, data, nsp }, "and may try again");
      frames.close();
    });
  }

  for (const [what, args] of [
    ["plain values", [1, -1, 0.5, 2 ** 53, "2", { 3: [true, null] }]],
    ["bytes, also inside", [Buffer.from([1, 2]), { list: [Buffer.alloc(0), { x: Buffer.from("é") }] }]],
    ["dates and undefined", [new Date(0), [new Date(1_700_000_000_123)], undefined, { u: undefined }]],
    ["nothing", []],
    ["many arguments", Array.from({ length: 300 }, (_, n) => n)],
    ["what looks like a placeholder", [{ _placeholder: true, num: 0 }]],
  ]) {
    test(`answers ${what}, in one message each`, async () => {
      const frames = await joined();
      frames.send({ type: 2, nsp: ROOT, data: ["message", ...args], options: { compress: true } });
      assert.deepEqual(await frames.next(), { type: 2, data: ["message-back", ...args], nsp: ROOT });
      for (const id of [0, 456]) {
        frames.send({ type: 2, nsp: ROOT, data: ["message-with-ack", ...args], id });
        assert.deepEqual(await frames.next(), { id, type: 3, data: args, nsp: ROOT });
      }
      await echoes(frames);
    });
  }

  test("the server asks and is answered", async () => {
    const frames = await joined();
    frames.send({ type: 2, nsp: ROOT, data: ["ask", { q: 1 }], id: 7 });
    const { type, data, id } = await frames.next();
    assert.deepEqual([type, data], [2, ["question", { q: 1 }]]);
    frames.send({ type: 3, nsp: ROOT, data: ["yes", Buffer.from([2])], id });
    assert.deepEqual(await frames.next(), { id: 7, type: 3, data: ["yes", Buffer.from([2])], nsp: ROOT });
    await echoes(frames);
  });

  test("leaves, and is sent away", async () => {
    const frames = await joined();
    frames.send({ type: 0, nsp: CUSTOM });
    await frames.next();
    await frames.next();
    frames.send({ type: 1, nsp: ROOT });
    frames.send({ type: 2, nsp: CUSTOM, data: ["message", 1] });
    assert.deepEqual(await frames.next(), { type: 2, data: ["message-back", 1], nsp: CUSTOM });
    frames.send({ type: 0, nsp: ROOT });
    const { type, data } = await frames.next();
    assert.equal(type, 0);
    assert.notEqual(data.sid, frames.id);
    await frames.next();
    frames.send({ type: 2, nsp: CUSTOM, data: ["bye", false] });
    assert.deepEqual(await frames.next(), { type: 1, nsp: CUSTOM });
    await echoes(frames);
  });

  test("over polling packets are base64", async () => {
    const session = await Polling.open(server);
    await session.post(`b${pack({ type: 0, nsp: ROOT }).toString("base64")}`);
    const read = (packet) => {
      assert.equal(packet[0], "b");
      return unpack(Buffer.from(packet.slice(1), "base64"));
    };
    const [connected, auth] = (await session.packets(2)).map(read);
    assert.equal(connected.type, 0);
    assert.deepEqual(auth, { type: 2, data: ["auth", {}], nsp: ROOT });
    const data = [Buffer.from([1]), { n: [Buffer.from([2])] }];
    await session.post(`b${pack({ type: 2, nsp: ROOT, data: ["message-with-ack", ...data], id: 3 }).toString("base64")}`);
    assert.deepEqual((await session.packets(1)).map(read), [{ id: 3, type: 3, data, nsp: ROOT }]);
    await session.post("1");
  });

  for (const [what, packet] of [
    ["text", '42["message"]'],
    ["no bytes at all", Buffer.alloc(0)],
    ["no MessagePack", Buffer.from([0xc1])],
    ["MessagePack that ends early", pack({ type: 2, nsp: ROOT, data: ["message"] }).subarray(0, -1)],
    ["no map", Buffer.from([0x90])],
    ["type 5", { type: 5, nsp: ROOT, data: ["message"] }],
    ["no namespace", { type: 2, data: ["message"] }],
    ["an event without data", { type: 2, nsp: ROOT }],
    ["an identifier that is no number", { type: 2, nsp: ROOT, data: ["message"], id: "1" }],
    ["an error from a client", { type: 4, nsp: ROOT, data: "x" }],
    ["joining twice", { type: 0, nsp: ROOT }],
    ["an event for a namespace that was not joined", { type: 2, nsp: CUSTOM, data: ["message"] }],
  ]) {
    test(`ends the connection: ${what}`, async () => {
      const frames = await joined();
      frames.send(packet);
      assert.equal(await frames.end(), 1005);
    });
  }
});

for (const version of PARSERS.msgpack.versions) {
  withServer(`socket.io-client ${version}, msgpack values`, env, (server) => {
    for (const transport of Object.keys(TRANSPORTS)) {
      test(`${transport}: dates, undefined and bytes arrive as what they are`, { timeout: 30_000 }, async (t) => {
        const [a, b] = [1, 2].map(() => connect(t, server, version, transport, options));
        for (const it of [a, b]) await next(it, "connect");
        const values = [new Date(1_700_000_000_123), undefined, { at: [new Date(-1)], bytes: Buffer.from([1, 255]) }];
        assert.deepEqual(await ask(a, "message-with-ack", ...values), values);
        a.emit("say-all", ...values);
        for (const it of [a, b]) assert.deepEqual(await next(it, "said"), values);
        b.on("question", (question, answer) => answer(question, ...values));
        assert.deepEqual(await ask(b, "ask", "who?"), ["who?", ...values]);
      });
    }
  });
}
