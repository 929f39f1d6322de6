/**
 * One Engine.IO session, protocol revision 4: messages over HTTP long polling or a WebSocket.
 * https://socket.io/docs/v4/engine-io-protocol/
 *
 *   open      the server's first packet, 0{"sid":…,"upgrades":[…],"pingInterval":…,…}
 *   polling   one GET waits for packets, POSTs carry ours; several packets are joined by \x1e
 *   upgrade   2probe → 3probe on a WebSocket, the last poll ends, 5, and the WebSocket carries on
 *   heartbeat the server pings, we pong; a server that stays silent is given up
 *
 * Events: "open"(), "message"(string | ArrayBuffer), "ping"(), "upgrade"(transport),
 * "close"(reason, Error?). It never reconnects: a session that ended has ended.
 */
import { Emitter } from "./emitter.js";

const OPEN = "0";
const CLOSE = "1";
const PING = "2";
const PONG = "3";
const MESSAGE = "4";
const UPGRADE = "5";
const NOOP = "6";
const SEPARATOR = "\x1e";
/** Browsers refuse keepalive requests while a page has more than 64 KiB of them under way. */
const KEEPALIVE_BYTES_MAX = 8_192;

export class Engine extends Emitter {
  id = null;
  readyState = "opening";
  transport;
  #url;
  #options;
  #queue = [];
  #candidate = null;
  #upgrading = null;
  #heartbeat;
  #handshake;

  /** `url` is the server's path with the application's query, such as http://host/socket.io/?a=b. */
  constructor(url, { transports = ["polling", "websocket"], withCredentials = false } = {}) {
    super();
    this.#url = url;
    this.#options = { transports, withCredentials };
    const usable = transports.filter((name) => name !== "websocket" || typeof WebSocket === "function");
    this.#use(usable[0] === "websocket" ? this.#webSocket() : this.#polling());
    queueMicrotask(() => {
      if (usable.length === 0) this.#end("transport error", new Error("no usable transport"));
      else if (this.readyState === "opening") this.transport.open();
    });
  }

  /** True when a message would leave at once. */
  get writable() {
    return this.readyState === "open" && !this.#upgrading && this.transport.writable;
  }

  /** Strings go as text, ArrayBuffers and views as binary, in the order of the calls. */
  send(message) {
    // Bytes are copied, as the caller may reuse them before they leave.
    this.#queue.push(typeof message === "string" ? MESSAGE + message : copied(message));
    this.#flush();
  }

  /** Says goodbye after what was already sent. */
  close() {
    if (this.readyState === "closing" || this.readyState === "closed") return;
    const open = this.readyState === "open";
    this.readyState = "closing";
    if (!this.#upgrading) this.#candidate?.abort();
    // In the middle of a switch only the winner may close the session: wait for it.
    const bye = async () => {
      await this.#upgrading;
      if (open) await this.transport.end(this.#queue);
      this.transport.abort();
    };
    bye().catch(() => this.transport.abort());
    this.#end("forced close");
  }

  #polling() {
    return new Polling(() => this.#address("polling", this.#url.protocol), this.#options.withCredentials);
  }

  #webSocket() {
    const scheme = this.#url.protocol === "https:" ? "wss:" : "ws:";
    return new WebSocketTransport(() => this.#address("websocket", scheme));
  }

  #address(transport, scheme) {
    const url = new URL(this.#url);
    url.searchParams.set("EIO", "4");
    url.searchParams.set("transport", transport);
    if (this.id) url.searchParams.set("sid", this.id);
    return url.href.replace(/^https?:/, scheme);
  }

  #use(transport) {
    this.transport = transport;
    transport.onpacket = (packet) => this.#receive(packet);
    transport.ondrain = () => this.#flush();
    transport.onclose = (reason, error) => this.#end(reason, error);
  }

  #flush() {
    if (this.#queue.length > 0 && this.writable) this.transport.write(this.#queue);
  }

  #receive(packet) {
    if (this.readyState !== "opening" && this.readyState !== "open") return;
    if (typeof packet !== "string") return void this.dispatch("message", packet);
    const data = packet.slice(1);
    switch (packet[0]) {
      case OPEN:
        return this.#open(JSON.parse(data));
      case CLOSE:
        return this.#end("transport close");
      case PING:
        this.#watch();
        this.#queue.push(PONG + data);
        this.#flush();
        return void this.dispatch("ping");
      case MESSAGE:
        return void this.dispatch("message", data);
      case NOOP:
        return;
      default:
        return this.#end("parse error", new Error("unknown Engine.IO packet"));
    }
  }

  #open(handshake) {
    this.#handshake = handshake;
    this.id = handshake.sid;
    this.transport.payloadMax = handshake.maxPayload ?? Infinity;
    this.readyState = "open";
    this.#watch();
    this.dispatch("open");
    this.#flush();
    const better = this.#options.transports.includes("websocket") && handshake.upgrades.includes("websocket");
    if (better && typeof WebSocket === "function" && this.readyState === "open") this.#probe();
  }

  /** The server pings every `pingInterval` and allows itself `pingTimeout` on top. */
  #watch() {
    clearTimeout(this.#heartbeat);
    const { pingInterval, pingTimeout } = this.#handshake;
    this.#heartbeat = setTimeout(() => this.#end("ping timeout"), pingInterval + pingTimeout);
  }

  /** Tries a WebSocket beside the polling session. Whatever goes wrong with it, polling goes on. */
  async #probe() {
    const polling = this.transport;
    const candidate = (this.#candidate = this.#webSocket());
    const failed = new Promise((_, reject) => {
      candidate.onclose = (reason, error) => reject(error ?? new Error(reason));
    });
    const pong = new Promise((resolve) => (candidate.onpacket = resolve));
    let done;
    const switched = new Promise((resolve) => (done = resolve));
    try {
      candidate.onopen = () => candidate.write([`${PING}probe`]);
      candidate.open();
      if ((await Promise.race([pong, failed])) !== `${PONG}probe`) throw new Error("probe refused");
      if (this.readyState !== "open") return;
      // From here nothing is written, until the poll that is still open has brought its packets:
      // a message on the new transport must not overtake one on the old.
      this.#upgrading = switched;
      await Promise.race([polling.pause(), failed]);
      if (this.readyState === "closed") return;
      candidate.write([UPGRADE]);
      this.#use(candidate);
      this.dispatch("upgrade", candidate);
    } catch {
      polling.resume();
    } finally {
      if (this.transport !== candidate) candidate.abort();
      this.#candidate = this.#upgrading = null;
      done();
      this.#flush();
    }
  }

  #end(reason, error) {
    if (this.readyState === "closed") return;
    const ours = this.readyState === "closing";
    this.readyState = "closed";
    clearTimeout(this.#heartbeat);
    if (!ours) {
      this.transport.abort();
      this.#candidate?.abort();
    }
    this.dispatch("close", reason, error);
  }
}

/**
 * HTTP long polling. Like every transport it has
 *   open()        starts;                      write(queue)  takes from the front what it can send now
 *   end(queue)    sends the rest, then closes; abort()       drops everything, silently
 * and reports to `onpacket(packet)`, `ondrain()` and `onclose(reason, error)`.
 */
class Polling {
  name = "polling";
  writable = true;
  payloadMax = Infinity;
  #address;
  #credentials;
  #aborter = new AbortController();
  #paused = false;
  #reading = Promise.resolve();
  #listening = false;
  #writing = Promise.resolve();

  constructor(address, withCredentials) {
    this.#address = address;
    this.#credentials = withCredentials ? "include" : "same-origin";
  }

  open() {
    this.#reading = this.#listen();
  }

  /** One GET at a time: the server ends a session that asks twice. */
  async #listen() {
    this.#listening = true;
    try {
      while (!this.#paused && !this.#aborter.signal.aborted) {
        const payload = await this.#request({ method: "GET" });
        for (const packet of payload.split(SEPARATOR)) this.onpacket(fromText(packet));
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#listening = false;
    }
  }

  write(queue) {
    this.writable = false;
    this.#writing = this.#post(queue)
      .then(() => {
        this.writable = true;
        this.ondrain();
      })
      .catch((error) => this.#fail(error));
  }

  async #post(queue) {
    // A body above the server's limit is refused as a whole, so it is filled up to the limit.
    const packets = [];
    let bytes = 0;
    while (queue.length > 0) {
      const packet = toText(queue[0]);
      const more = SEPARATOR.length + new TextEncoder().encode(packet).length;
      if (packets.length > 0 && bytes + more > this.payloadMax) break;
      bytes += more;
      packets.push(packet);
      queue.shift();
    }
    await this.#request({
      method: "POST",
      headers: { "Content-Type": "text/plain;charset=UTF-8" },
      body: packets.join(SEPARATOR),
      // So that the last words of a page that is being closed still reach the server.
      keepalive: bytes < KEEPALIVE_BYTES_MAX,
    });
  }

  async #request(options) {
    const response = await fetch(this.#address(), {
      cache: "no-store",
      credentials: this.#credentials,
      signal: this.#aborter.signal,
      ...options,
    });
    const body = await response.text();
    if (!response.ok) throw new Error(`polling answered ${response.status} ${body}`);
    return body;
  }

  /** Resolves when no request is under way; sending is the caller's to hold back. */
  async pause() {
    this.#paused = true;
    await Promise.all([this.#reading, this.#writing]);
  }

  resume() {
    this.#paused = false;
    if (!this.#listening && !this.#aborter.signal.aborted) this.open();
  }

  async end(queue) {
    this.#paused = true;
    await this.#writing;
    while (queue.length > 0) await this.#post(queue);
    // By itself: servers act on it at once, and on messages beside it only a little later.
    await this.#post([CLOSE]);
  }

  abort() {
    this.onclose = () => {};
    this.#aborter.abort();
  }

  #fail(error) {
    this.onclose("transport error", new Error("polling error", { cause: error }));
  }
}

/** A WebSocket: one packet in a frame, binary frames are messages without a type digit. */
class WebSocketTransport {
  name = "websocket";
  #address;
  #socket = null;
  onopen = () => {};
  ondrain = () => {};

  constructor(address) {
    this.#address = address;
  }

  get writable() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    try {
      this.#socket = new WebSocket(this.#address());
    } catch (error) {
      return this.onclose("transport error", error);
    }
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => this.onopen();
    this.#socket.onmessage = ({ data }) => {
      try {
        this.onpacket(data);
      } catch (error) {
        this.onclose("parse error", error);
      }
    };
    this.#socket.onerror = () => this.onclose("transport error", new Error("websocket error"));
    this.#socket.onclose = () => this.onclose("transport close", new Error("websocket closed"));
  }

  write(queue) {
    for (const packet of queue.splice(0)) this.#socket.send(packet);
  }

  async end(queue) {
    this.write(queue);
  }

  abort() {
    this.onclose = this.onpacket = this.onopen = () => {};
    this.#socket?.close();
  }
}

/** In a polling payload binary is base64 behind a "b". */
function toText(packet) {
  if (typeof packet === "string") return packet;
  return `b${btoa(Array.from(packet, (byte) => String.fromCharCode(byte)).join(""))}`;
}

function fromText(packet) {
  if (packet[0] !== "b") return packet;
  return Uint8Array.from(atob(packet.slice(1)), (char) => char.charCodeAt(0)).buffer;
}

function copied(bytes) {
  return ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength).slice()
    : new Uint8Array(bytes.slice(0));
}
