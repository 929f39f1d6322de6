// The demo's packets against the protocol's page.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Decoder, Type, encode } from "../../demo/packet.js";

describe("packets", () => {
  const decode = (...messages) => {
    const decoder = new Decoder();
    return messages.map((message) => decoder.add(message)).at(-1);
  };

  test("read as the protocol's page says", () => {
    assert.deepEqual(decode('0{"sid":"a"}'), { type: 0, nsp: "/", id: undefined, data: { sid: "a" } });
    assert.deepEqual(decode('2/chat,12["x"]'), { type: 2, nsp: "/chat", id: 12, data: ["x"] });
    assert.deepEqual(decode("1/chat,"), { type: 1, nsp: "/chat", id: undefined, data: undefined });
    assert.deepEqual(decode("1/chat"), { type: 1, nsp: "/chat", id: undefined, data: undefined });
    assert.deepEqual(decode("30[]"), { type: 3, nsp: "/", id: 0, data: [] });
  });

  test("attachments are put where their numbers say", () => {
    const [one, two] = [new ArrayBuffer(1), new ArrayBuffer(2)];
    const text = '52-["a",{"_placeholder":true,"num":1},{"b":{"_placeholder":true,"num":0}}]';
    assert.deepEqual(decode(text, one, two), { type: 2, nsp: "/", id: undefined, data: ["a", two, { b: one }] });
  });

  test("written as the protocol's page says", () => {
    assert.deepEqual(encode({ type: Type.CONNECT, nsp: "/" }), ["0"]);
    assert.deepEqual(encode({ type: Type.EVENT, nsp: "/a", id: 0, data: ["x", undefined, NaN] }), ['2/a,0["x",null,null]']);
    const buffer = Buffer.from([1]);
    assert.deepEqual(encode({ type: Type.ACK, nsp: "/", id: 3, data: [{ b: [buffer] }] }), [
      '61-3[{"b":[{"_placeholder":true,"num":0}]}]',
      buffer,
    ]);
  });

  test("what the protocol does not allow is refused", () => {
    const placeholder = (num) => `51-["a",{"_placeholder":true,"num":${num}}]`;
    for (const messages of [
      [""], ["7"], ["x"], ["2"], ["2{}"], ["2[]"], ["2[null]"], ['2[{"toString":1}]'], ['2["connect"]'],
      ['2["disconnect"]'], ["2[broken"], ["0[]"], ["0null"], ["1{}"], ["3[1]"], ["4"], ["4[1]"], ["5"],
      ['50-["a"]'], ['5["a"]'], ['21-["a"]'], ['51-["a"]', '2["text while an attachment is missing"]'],
      [new ArrayBuffer(1)], [placeholder(1), new ArrayBuffer(1)], [placeholder(-1), new ArrayBuffer(1)],
      [placeholder(0.5), new ArrayBuffer(1)], [placeholder('"length"'), new ArrayBuffer(1)],
    ]) {
      assert.throws(() => decode(...messages), undefined, JSON.stringify(messages));
    }
  });
});
