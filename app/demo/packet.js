/**
 * Socket.IO packets, protocol revision 5, default parser.
 * https://socket.io/docs/v4/socket-io-protocol/#packet-encoding
 *
 *   <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]
 *
 *   2["hello",1]            event, main namespace
 *   2/chat,7["hello",1]     event in /chat, to be acknowledged with id 7
 *   3/chat,7["ok"]          that acknowledgement
 *   51-["file",{"_placeholder":true,"num":0}]     one binary message follows and fills the gap
 *
 * Knows nothing of connections: text and bytes in, packets out, and the other way round.
 */
export const Type = {
  CONNECT: 0,
  DISCONNECT: 1,
  EVENT: 2,
  ACK: 3,
  CONNECT_ERROR: 4,
  BINARY_EVENT: 5,
  BINARY_ACK: 6,
};

/** Names the client itself dispatches; neither side may send them as events. */
export const RESERVED = new Set([
  "connect",
  "connect_error",
  "disconnect",
  "disconnecting",
  "newListener",
  "removeListener",
]);

const isBinary = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

/** Turns `{ type, nsp, id?, data? }` into what goes on the wire: text first, then its attachments. */
export function encode({ type, nsp, id, data }) {
  const attachments = [];
  const json = JSON.stringify(data, function (key, value) {
    // `this[key]` is the value before toJSON, which Node's Buffer would have turned into numbers.
    const original = this[key];
    if (typeof Blob === "function" && original instanceof Blob) {
      throw new TypeError("a Blob must be read first: await blob.arrayBuffer()");
    }
    if (!isBinary(original)) return value;
    attachments.push(original);
    return { _placeholder: true, num: attachments.length - 1 };
  });

  let text = String(type);
  if (attachments.length > 0) {
    text = `${type === Type.EVENT ? Type.BINARY_EVENT : Type.BINARY_ACK}${attachments.length}-`;
  }
  if (nsp !== "/") text += `${nsp},`;
  if (id !== undefined) text += id;
  if (json !== undefined) text += json;
  return [text, ...attachments];
}

const HEAD = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*)(?:,|$))?(\d+)?/;

/** Puts the messages of one connection together again. `add` returns a whole packet or undefined
 *  while attachments are missing, and throws on anything the protocol does not allow. */
export class Decoder {
  #pending = null;

  add(message) {
    return typeof message === "string" ? this.#text(message) : this.#attachment(message);
  }

  #text(message) {
    if (this.#pending) throw new Error("text while attachments are missing");
    const head = HEAD.exec(message);
    if (!head) throw new Error("unknown packet type");
    const [whole, type, count, nsp = "/", id] = head;
    const packet = { type: Number(type), nsp, id: id && Number(id) };
    const json = message.slice(whole.length);

    const binary = packet.type >= Type.BINARY_EVENT;
    if (binary !== count > 0) throw new Error("illegal number of attachments");
    if (!binary) {
      packet.data = json === "" ? undefined : JSON.parse(json);
      return checked(packet);
    }
    packet.type = packet.type === Type.BINARY_EVENT ? Type.EVENT : Type.ACK;
    this.#pending = { packet, json, missing: Number(count), attachments: [] };
  }

  #attachment(bytes) {
    if (!this.#pending) throw new Error("attachment without a packet");
    const { packet, json, missing, attachments } = this.#pending;
    attachments.push(bytes);
    if (attachments.length < missing) return undefined;
    this.#pending = null;
    packet.data = JSON.parse(json, (_, value) => {
      if (value?._placeholder !== true) return value;
      if (!Number.isInteger(value.num) || !attachments[value.num]) throw new Error("illegal attachment");
      return attachments[value.num];
    });
    return checked(packet);
  }
}

function checked(packet) {
  const { type, data } = packet;
  const isObject = typeof data === "object" && data !== null && !Array.isArray(data);
  const valid = {
    [Type.CONNECT]: () => data === undefined || isObject,
    [Type.DISCONNECT]: () => data === undefined,
    [Type.EVENT]: () => Array.isArray(data) && isEventName(data[0]),
    [Type.ACK]: () => Array.isArray(data) && packet.id !== undefined,
    [Type.CONNECT_ERROR]: () => typeof data === "string" || isObject,
  }[type];
  if (!valid()) throw new Error("invalid payload");
  return packet;
}

function isEventName(name) {
  return typeof name === "number" || (typeof name === "string" && !RESERVED.has(name));
}
