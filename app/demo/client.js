/**
 * A Socket.IO client in four small modules without dependencies, for current browsers and for
 * Node.js (which needs a global WebSocket, or stays with polling). It speaks Engine.IO 4 and
 * Socket.IO 5 and uses the names of the official client, so that either can drive the same page.
 *
 *   import { io } from "./client.js";
 *   const socket = io("/chat", { auth: { token } });
 *   socket.on("said", (message) => …);
 *   const answer = await socket.timeout(5000).emitWithAck("say", "hello");
 *
 *   emitter.js   named events            packet.js   Socket.IO packets ↔ text and attachments
 *   engine.js    one Engine.IO session   client.js   namespaces, acks, reconnection (this file)
 *
 * Left out: other parsers, WebTransport, retries, catch-all listeners.
 */
import { Emitter, guard } from "./emitter.js";
import { Engine } from "./engine.js";
import { Decoder, RESERVED, Type, encode } from "./packet.js";

const DEFAULTS = {
  path: "/socket.io",
  transports: ["polling", "websocket"],
  autoConnect: true,
  timeout: 20_000,
  reconnection: true,
  reconnectionAttempts: Infinity,
  reconnectionDelay: 1_000,
  reconnectionDelayMax: 5_000,
  randomizationFactor: 0.5,
};

const managers = new Map();

/** A socket of the namespace that the URL's path names. Namespaces of one server share a connection. */
export function io(url, options) {
  if (typeof url === "object" && !(url instanceof URL)) [url, options] = [undefined, url];
  const here = globalThis.location?.origin;
  const target = new URL(url ?? here, here);
  target.protocol = target.protocol.replace("ws", "http");
  const settings = { ...DEFAULTS, ...options };
  const server = new URL(`${settings.path.replace(/\/$/, "")}/`, target);
  const query = [...target.searchParams, ...Object.entries(settings.query ?? {})];
  for (const [name, value] of query) server.searchParams.set(name, value);

  const nsp = target.pathname;
  const key = server.origin + server.pathname;
  let manager = managers.get(key);
  if (!manager || settings.forceNew || manager.sockets.has(nsp)) {
    manager = new Manager(server, settings);
    if (!settings.forceNew && !managers.has(key)) managers.set(key, manager);
  }
  return manager.socket(nsp, settings);
}

/**
 * One connection to one server for all its namespaces, made again when it breaks.
 * Events: "reconnect_attempt"(n), "reconnect"(n), "reconnect_error"(Error), "reconnect_failed"(),
 * "error"(Error), "ping"().
 */
export class Manager extends Emitter {
  /** The Engine.IO session under way, with `transport.name` and an "upgrade" event; else null. */
  engine = null;
  sockets = new Map();
  #server;
  #settings;
  #decoder;
  #attempts = 0;
  #timer;

  constructor(server, settings) {
    super();
    this.#server = server;
    this.#settings = settings;
  }

  socket(nsp, settings) {
    const socket = new Socket(this, nsp, settings);
    this.sockets.set(nsp, socket);
    if (settings.autoConnect) socket.connect();
    return socket;
  }

  get isOpen() {
    return this.engine?.readyState === "open";
  }

  /** Connects now, even if the next attempt was meant for later. */
  open() {
    if (this.engine) return;
    clearTimeout(this.#timer);
    this.#decoder = new Decoder();
    const engine = (this.engine = new Engine(this.#server, this.#settings));
    this.#timer = setTimeout(() => this.#lost(false, "timeout", new Error("timeout")), this.#settings.timeout);
    let opened = false;
    engine.on("open", () => {
      opened = true;
      clearTimeout(this.#timer);
      const attempts = this.#attempts;
      this.#attempts = 0;
      if (attempts > 0) this.dispatch("reconnect", attempts);
      for (const socket of this.sockets.values()) socket._opened();
    });
    engine.on("message", (message) => this.#receive(message));
    engine.on("ping", () => this.dispatch("ping"));
    engine.on("close", (reason, error) => this.#lost(opened, reason, error));
  }

  /** The text of a packet and its attachments; nothing else may come between them. */
  send(messages) {
    for (const message of messages) this.engine.send(message);
  }

  /** Closes the connection when no namespace needs it any more. */
  release() {
    if (!this.#needed()) this.#drop();
  }

  #needed() {
    return [...this.sockets.values()].some((socket) => socket.active);
  }

  #drop() {
    clearTimeout(this.#timer);
    this.engine?.off().close();
    this.engine = null;
  }

  #receive(message) {
    let packet;
    try {
      packet = this.#decoder.add(message);
    } catch (error) {
      return this.#lost(true, "parse error", error);
    }
    if (packet) this.sockets.get(packet.nsp)?._received(packet);
  }

  #lost(opened, reason, cause) {
    this.#drop();
    const error = cause ?? new Error(reason);
    if (!opened) this.dispatch(this.#attempts > 0 ? "reconnect_error" : "error", error);
    for (const socket of this.sockets.values()) socket._lost(reason, error);
    // A listener may have connected again already, or have wanted no more.
    if (!this.engine && this.#needed() && this.#settings.reconnection) this.#retry();
  }

  /** Exponential backoff with jitter, so that a restarted server is not met by everybody at once. */
  #retry() {
    const { reconnectionAttempts, reconnectionDelay, reconnectionDelayMax, randomizationFactor } = this.#settings;
    if (this.#attempts >= reconnectionAttempts) {
      this.#attempts = 0;
      return void this.dispatch("reconnect_failed");
    }
    const spread = 1 + randomizationFactor * (2 * Math.random() - 1);
    const delay = Math.min(reconnectionDelay * 2 ** this.#attempts * spread, reconnectionDelayMax);
    this.#attempts += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.dispatch("reconnect_attempt", this.#attempts);
      if (this.#needed()) this.open();
    }, delay);
  }
}

/**
 * Our side of one namespace.
 * Events: the server's, and "connect"(), "connect_error"(Error with `data`), "disconnect"(reason,
 * Error?). Reasons: "io server disconnect", "io client disconnect", "ping timeout",
 * "transport close", "transport error", "parse error"; after the first two it stays away until
 * `connect()` is called. What is emitted while disconnected is sent on the next connect.
 */
export class Socket extends Emitter {
  id;
  connected = false;
  /** The session is the one from before the break, with its missed packets (a server's option). */
  recovered = false;
  /** Connected, or trying to be. */
  active = false;
  auth;
  #joining = false;
  #ackTimeout;
  #flags = {};
  #acks = new Map();
  #ackNext = 0;
  #early = [];
  #unsent = [];
  #private;
  #offset;

  constructor(manager, nsp, { auth, ackTimeout }) {
    super();
    this.io = manager;
    this.nsp = nsp;
    this.auth = auth;
    this.#ackTimeout = ackTimeout;
  }

  get disconnected() {
    return !this.connected;
  }

  connect() {
    this.active = true;
    if (this.io.isOpen) this._opened();
    else this.io.open();
    return this;
  }

  disconnect() {
    this.active = false;
    if (this.connected) this.io.send(encode({ type: Type.DISCONNECT, nsp: this.nsp }));
    this.#closed("io client disconnect");
    this.io.release();
    return this;
  }

  /** The next emit is dropped rather than kept when it cannot leave at once. */
  get volatile() {
    this.#flags.volatile = true;
    return this;
  }

  /** The next emit's callback gets an error first: after `ms` without an answer, or on a disconnect. */
  timeout(ms) {
    this.#flags.timeout = ms;
    return this;
  }

  /** A function as last argument becomes the acknowledgement: it is called with the server's answer. */
  emit(event, ...args) {
    const answer = typeof args.at(-1) === "function" ? args.pop() : undefined;
    const { timeout = this.#ackTimeout } = this.#flags;
    this.#event([event, ...args], answer, timeout !== undefined);
    return this;
  }

  emitWithAck(event, ...args) {
    return new Promise((resolve, reject) => {
      this.#event([event, ...args], (error, answer) => (error ? reject(error) : resolve(answer)), true);
    });
  }

  #event(data, answer, errorFirst) {
    const { volatile = false, timeout = this.#ackTimeout } = this.#flags;
    this.#flags = {};
    if (RESERVED.has(data[0])) throw new Error(`"${data[0]}" is a reserved event name`);
    const id = answer && this.#ackNext++;
    const messages = encode({ type: Type.EVENT, nsp: this.nsp, id, data });
    if (answer) {
      const timer = timeout !== undefined && setTimeout(() => this.#expired(id), timeout);
      this.#acks.set(id, { answer, errorFirst, timer });
    }
    if (this.connected && (!volatile || this.io.engine.writable)) this.io.send(messages);
    else if (!volatile) this.#unsent.push({ id, messages });
  }

  #expired(id) {
    this.#unsent = this.#unsent.filter((unsent) => unsent.id !== id);
    this.#fail(id, new Error("operation has timed out"));
  }

  #fail(id, error) {
    const { answer, errorFirst, timer } = this.#acks.get(id);
    this.#acks.delete(id);
    clearTimeout(timer);
    if (errorFirst) guard(answer, [error]);
  }

  /** The connection is open: ask for our namespace. */
  _opened() {
    if (!this.active || this.connected || this.#joining) return;
    this.#joining = true;
    const engine = this.io.engine;
    const join = (auth) => {
      if (this.io.engine !== engine) return;
      const data = this.#private ? { pid: this.#private, offset: this.#offset, ...auth } : auth;
      this.io.send(encode({ type: Type.CONNECT, nsp: this.nsp, data }));
    };
    if (typeof this.auth === "function") guard(this.auth, [join]);
    else join(this.auth);
  }

  _received({ type, id, data }) {
    switch (type) {
      case Type.CONNECT:
        return this.#joined(data);
      case Type.EVENT:
        // Packets missed during a break come before the server's CONNECT.
        return this.connected ? this.#deliver(id, data) : void this.#early.push([id, data]);
      case Type.ACK:
        return this.#answered(id, data);
      case Type.DISCONNECT:
        this.active = false;
        this.#closed("io server disconnect");
        return this.io.release();
      case Type.CONNECT_ERROR:
        return this.#refused(typeof data === "string" ? { message: data } : data);
    }
  }

  #joined({ sid, pid } = {}) {
    if (!sid) return this.#refused({ message: "the server speaks an older revision of the protocol" });
    this.#joining = false;
    if (!this.active) {
      // disconnect() was called while the answer was on its way.
      return this.io.send(encode({ type: Type.DISCONNECT, nsp: this.nsp }));
    }
    this.id = sid;
    this.recovered = pid !== undefined && pid === this.#private;
    this.#private = pid;
    this.connected = true;
    for (const [id, data] of this.#early.splice(0)) this.#deliver(id, data);
    for (const { messages } of this.#unsent.splice(0)) this.io.send(messages);
    this.dispatch("connect");
  }

  #refused({ message, data }) {
    this.#joining = this.active = false;
    this.dispatch("connect_error", Object.assign(new Error(message), data !== undefined && { data }));
    this.io.release();
  }

  #deliver(id, data) {
    const args = [...data];
    if (id !== undefined) args.push(this.#answering(id));
    this.dispatch(...args);
    // With connection state recovery on, the server appends the packet's offset to each event.
    if (this.#private && typeof data.at(-1) === "string") this.#offset = data.at(-1);
  }

  #answering(id) {
    let session = this.id;
    return (...answer) => {
      if (!this.connected || this.id !== session) return;
      session = null;
      this.io.send(encode({ type: Type.ACK, nsp: this.nsp, id, data: answer }));
    };
  }

  #answered(id, data) {
    const ack = this.#acks.get(id);
    if (!ack) return;
    this.#acks.delete(id);
    clearTimeout(ack.timer);
    guard(ack.answer, ack.errorFirst ? [null, ...data] : data);
  }

  _lost(reason, error) {
    if (this.connected) this.#closed(reason, error);
    else if (this.active) this.dispatch("connect_error", error);
    this.#joining = false;
  }

  #closed(reason, error) {
    if (!this.connected) return;
    this.connected = false;
    this.id = undefined;
    // The answers to what was sent will never come; what still waits to be sent may yet get one.
    const waiting = new Set(this.#unsent.map(({ id }) => id));
    for (const id of this.#acks.keys()) {
      if (!waiting.has(id)) this.#fail(id, new Error("socket has been disconnected"));
    }
    this.dispatch("disconnect", reason, error);
  }
}
