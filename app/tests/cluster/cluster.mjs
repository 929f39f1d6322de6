// Servers of one cluster on one Redis, and clients on them.
//   INTEROP_SERVER   the example `interop`; without it all servers are Node's
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, connect as dial } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";

const NODE = fileURLToPath(new URL("node-server.mjs", import.meta.url));
const PATIENCE = 10_000;

export async function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Tries until it holds. */
export async function eventually(holds, what) {
  const until = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await holds();
    } catch (error) {
      if (Date.now() > until) throw new Error(`${what}: ${error.message}`, { cause: error });
      await sleep(50);
    }
  }
}

/** A port that nobody listens on. */
export async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

/** Processes that end with the tests that started them. */
export class Cluster {
  #processes = [];
  #env;

  constructor(env = {}) {
    this.#env = env;
  }

  async redis(at) {
    const port = at ?? (await freePort());
    const args = ["--port", port, "--bind", "127.0.0.1", "--save", ""];
    this.redisServer = spawn("redis-server", args, { stdio: "ignore" });
    this.#processes.push(this.redisServer);
    await eventually(async () => {
      const socket = dial(port, "127.0.0.1");
      await once(socket, "connect");
      socket.destroy();
    }, "redis-server");
    return `redis://127.0.0.1:${port}`;
  }

  /** `kind` is node or yamabiko. */
  async serve(kind, url, more = {}) {
    const ours = kind === "yamabiko" && process.env.INTEROP_SERVER;
    const [command, args] = ours ? [process.env.INTEROP_SERVER, []] : [process.execPath, [NODE]];
    const env = { ...process.env, REDIS: url, PORT: "0", SHARDS: process.env.SHARDS ?? "2", ...this.#env, ...more };
    const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "inherit"] });
    this.#processes.push(child);
    const ready = new Promise((resolve) => {
      createInterface(child.stdout).on("line", (line) => {
        const found = /^ready (\d+)$/.exec(line);
        if (found) resolve(Number(found[1]));
      });
    });
    return { kind: ours ? "yamabiko" : "node", child, url: `http://127.0.0.1:${await within(ready, `${kind} to be ready`)}` };
  }

  end() {
    // One that is stopped does not even die.
    for (const child of this.#processes) child.kill("SIGCONT");
    for (const child of this.#processes) child.kill("SIGKILL");
  }
}

/** A client that keeps what it is told by `said`. */
export async function client(server, namespace = "/", options = {}) {
  const socket = io(server.url + namespace, { forceNew: true, transports: ["websocket"], reconnection: false, ...options });
  const heard = [];
  const waiting = [];
  socket.on("said", (...args) => (waiting.length > 0 ? waiting.shift()(args) : heard.push(args)));
  await within(once(socket, "connect"), "a client to connect");
  return {
    socket,
    server,
    ask: (...args) => within(new Promise((done) => socket.emit(...args, (...got) => done(got))), `an answer to ${args[0]}`),
    next: () => within(heard.length > 0 ? Promise.resolve(heard.shift()) : new Promise((done) => waiting.push(done)), "something to be said"),
    unheard: () => heard.length,
  };
}

