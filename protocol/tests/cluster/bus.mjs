// A Redis without a server: what is published is recorded, and heard by whoever has subscribed.
// It has the interface of ioredis, as far as Socket.IO's packages use it; nothing here waits.
import { EventEmitter } from "node:events";

export class Bus {
  #clients = new Set();
  #numbers = new Map();
  #entry = 0;
  /** Every command that carries a message, in order: { command, channel, … }. */
  log = [];

  client() {
    const client = new Client(this);
    this.#clients.add(client);
    return client;
  }

  publish(command, channel, message) {
    const payload = Buffer.isBuffer(message) ? message : Buffer.from(message);
    this.log.push({ command, channel: String(channel), message: payload });
    setImmediate(() => {
      for (const client of this.#clients) client.hear(command, String(channel), payload);
    });
    return Promise.resolve(1);
  }

  add(stream, fields) {
    const id = `1795406000000-${this.#entry++}`;
    this.log.push({ command: "XADD", channel: stream, fields });
    return Promise.resolve(id);
  }

  set(key, value) {
    this.log.push({ command: "SET", channel: key, message: Buffer.from(value) });
    return Promise.resolve("OK");
  }

  subscribers(channel, sharded) {
    return [...this.#clients].filter((it) => (sharded ? it.sharded : it.plain).has(channel)).length;
  }
}

class Client extends EventEmitter {
  plain = new Set();
  sharded = new Set();
  #patterns = new Set();
  options = { lazyConnect: false };

  constructor(bus) {
    super();
    this.bus = bus;
    this.setMaxListeners(0);
  }

  hear(command, channel, payload) {
    const name = Buffer.from(channel);
    if (command === "SPUBLISH") {
      if (this.sharded.has(channel)) this.emit("smessageBuffer", name, payload);
      return;
    }
    if (this.plain.has(channel)) this.emit("messageBuffer", name, payload);
    for (const pattern of this.#patterns) {
      if (channel.startsWith(pattern.slice(0, -1))) this.emit("pmessageBuffer", Buffer.from(pattern), name, payload);
    }
  }

  duplicate = () => this.bus.client();
  publish = (channel, message) => this.bus.publish("PUBLISH", channel, message);
  spublish = (channel, message) => this.bus.publish("SPUBLISH", channel, message);
  subscribe = (channels, done) => this.#each(channels, (it) => this.plain.add(it), done);
  unsubscribe = (channels, done) => this.#each(channels, (it) => this.plain.delete(it), done);
  psubscribe = (patterns, done) => this.#each(patterns, (it) => this.#patterns.add(it), done);
  punsubscribe = (patterns, done) => this.#each(patterns, (it) => this.#patterns.delete(it), done);
  ssubscribe = (channels, done) => this.#each(channels, (it) => this.sharded.add(it), done);
  sunsubscribe = (channels, done) => this.#each(channels, (it) => this.sharded.delete(it), done);

  #each(names, change, done) {
    for (const name of [names].flat()) change(String(name));
    if (typeof done === "function") setImmediate(done, null);
    return Promise.resolve();
  }

  send_command(_pubsub, [what, channel], done) {
    const result = [channel, String(this.bus.subscribers(channel, /shard/i.test(what)))];
    if (done) setImmediate(done, null, result);
    return Promise.resolve(result);
  }

  xadd([stream, , , , , ...pairs]) {
    return this.bus.add(stream, pairs.map(String));
  }

  /** Nothing is ever read: only what is written matters here. */
  xread = () => new Promise(() => {});
  xrange = () => Promise.resolve([]);
  set = (key, value) => this.bus.set(key, value);
  hset = () => {};
  disconnect = () => {};
}
