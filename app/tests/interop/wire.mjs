// The wire without a client: sessions over plain HTTP requests and WebSocket frames.
import { WebSocket } from "ws";
import { PATIENCE, within } from "./harness.mjs";

/** The address of a request; a parameter that is undefined is left out. */
export function address(server, params = {}, path = "/socket.io/") {
  const all = { EIO: "4", transport: "polling", ...params };
  const query = Object.entries(all).filter(([, value]) => value !== undefined);
  return `${server.url}${path}?${new URLSearchParams(query)}`;
}

/** One request: its status, headers, and body as text and as bytes. */
export async function request(url, options = {}) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(PATIENCE) });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, headers: response.headers, bytes, body: bytes.toString() };
}

/** A polling session. */
export class Polling {
  /** Opens it and reads the handshake, which is in `opened`; what came with it stays in `rest`. */
  static async open(server, params = {}) {
    const session = new Polling();
    session.server = server;
    session.params = params;
    const { body } = await session.get();
    const packets = params.EIO === "3" ? textPayload(body) : body.split("\x1e");
    session.opened = JSON.parse(packets[0].slice(1));
    session.rest = packets.slice(1);
    session.params = { ...params, sid: session.opened.sid };
    return session;
  }

  url(more = {}) {
    return address(this.server, { ...this.params, ...more });
  }

  get(more) {
    return request(this.url(more));
  }

  post(body, options = {}) {
    return request(this.url(), { method: "POST", body, headers: { "Content-Type": "text/plain" }, ...options });
  }

  /** Joins `/` and reads what it says then. */
  async join() {
    await this.post("40");
    const packets = await this.packets(2);
    this.id = JSON.parse(packets[0].slice(2)).sid;
    return this;
  }

  /** Polls until there are that many packets. */
  async packets(count) {
    const got = [];
    while (got.length < count) {
      const { status, body } = await this.get();
      if (status !== 200) throw new Error(`poll: ${status} ${body}`);
      got.push(...(this.params.EIO === "3" ? textPayload(body) : body.split("\x1e")));
    }
    return got;
  }

  /** Whether the server still knows it; harmless to it. */
  async lives() {
    const { status } = await request(this.url(), { method: "PUT" });
    return status === 500;
  }

  frames(more = {}) {
    return new Frames(this.url({ transport: "websocket", ...more }));
  }
}

/** The packets of a revision 3 payload in its text form: lengths are UTF-16 code units. */
export function textPayload(payload) {
  const packets = [];
  for (let at = 0; at < payload.length; ) {
    const colon = payload.indexOf(":", at);
    const end = colon + 1 + Number(payload.slice(at, colon));
    if (colon < 0 || !(end <= payload.length)) throw new Error(`not a payload: ${payload}`);
    packets.push(payload.slice(colon + 1, end));
    at = end;
  }
  return packets;
}

/** A WebSocket that keeps every frame from the first on: one may come along with the 101. */
export class Frames {
  constructor(url, options) {
    this.queue = [];
    this.waiting = [];
    this.ws = new WebSocket(url, options);
    this.ws.on("message", (data, binary) => this.#came(binary ? data : data.toString()));
    this.headers = new Promise((resolve) => this.ws.on("upgrade", ({ headers }) => resolve(headers)));
    this.refused = new Promise((resolve) => {
      this.ws.on("unexpected-response", async (_, response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks).toString() });
        this.ws.terminate();
      });
    });
    this.closed = new Promise((resolve) => this.ws.on("close", resolve));
    this.ws.on("error", () => {});
    this.isOpen = new Promise((resolve) => this.ws.on("open", resolve));
  }

  /** Of a session that begins with WebSocket; the handshake is in `opened`. */
  static async open(server, params = {}, options) {
    const frames = new Frames(address(server, { transport: "websocket", ...params }), options);
    frames.opened = JSON.parse((await frames.next()).slice(1));
    return frames;
  }

  /** Joins `/` and reads what it says then. */
  async join() {
    this.send("40");
    this.id = JSON.parse((await this.next()).slice(2)).sid;
    await this.next();
    return this;
  }

  #came(frame) {
    const waiting = this.waiting.shift();
    if (waiting) waiting(frame);
    else this.queue.push(frame);
  }

  /** The next frame, text as a string. */
  next(what = "a frame") {
    if (this.queue.length > 0) return Promise.resolve(this.queue.shift());
    const frame = new Promise((resolve) => this.waiting.push(resolve));
    const end = this.closed.then((code) => {
      throw new Error(`closed with ${code} instead of ${what}`);
    });
    return within(Promise.race([frame, end]), what);
  }

  send(...frames) {
    for (const frame of frames) this.ws.send(frame);
  }

  /** The status it is closed with by the server. */
  end() {
    return within(this.closed, "the WebSocket to close");
  }

  close() {
    this.ws.terminate();
  }
}
