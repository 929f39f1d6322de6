// What every test here needs: a server under test, official clients by name and transport, patience.
//
//   INTEROP_SERVER   command line of the server under test; it gets PORT (0 for a free one), SHARDS and
//                    its options in the environment, prints "ready <port>", and ends on SIGTERM.
//   SHARDS           how many shards it shall run (default 1)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

export const SHARDS = process.env.SHARDS ?? "1";
const COMMAND = process.env.INTEROP_SERVER;
if (!COMMAND) throw new Error("INTEROP_SERVER must name the server under test");

/** How a client connects, by name. */
export const TRANSPORTS = {
  polling: { transports: ["polling"] },
  websocket: { transports: ["websocket"] },
  upgrade: { transports: ["polling", "websocket"] },
};

/** Socket.IO clients by their major version. */
export const CLIENTS = {
  4: require("socket.io-client").io,
  3: require("socket.io-client-3").io,
  2: require("socket.io-client-2"),
};

/** Starts a server; `stop()` ends it and checks that it ended well. */
export async function serve(environment = {}) {
  const child = spawn(COMMAND, {
    env: { ...process.env, PORT: "0", SHARDS, ...environment },
    stdio: ["ignore", "pipe", "inherit"],
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
  const port = await new Promise((resolve, reject) => {
    let output = "";
    child.stdout.on("data", (data) => {
      output += data;
      const ready = /ready (\d+)/.exec(output);
      if (ready) resolve(Number(ready[1]));
    });

    ended.then((code) => reject(new Error(`the server ended with ${code} before it was ready`)));
  });
  // A test that failed half-way leaves its server behind: it must neither keep this process nor outlive it.
  child.unref();
  child.stdout.unref?.();
  return {
    port,
    pid: child.pid,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.ref();
      child.kill("SIGTERM");
      assert.equal(await within(ended, 15_000, "the server to end"), 0);
    },
  };
}

/** Resolves as `promise` does, or rejects after `ms`. */
export function within(promise, ms, what = "an answer") {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The arguments of the next `event`. */
export function next(emitter, event, ms = 5_000) {
  const come = new Promise((resolve) => emitter.once(event, (...args) => resolve(args)));
  return within(come, ms, `"${event}"`);
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls `check` until it holds. */
export async function eventually(check, what, ms = 5_000) {
  const end = Date.now() + ms;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await sleep(10);
  }
}

/** A client of that major version that is connected, with the arguments of its first "auth" event. */
export async function connect(server, { version = 4, transport = "upgrade", namespace = "/", ...options } = {}) {
  const client = open(server, { version, transport, namespace, ...options });
  const auth = next(client, "auth");
  await next(client, "connect");
  return Object.assign(client, { firstAuth: await auth });
}

/** A client that is on its way. */
export function open(server, { version = 4, transport = "upgrade", namespace = "/", ...options } = {}) {
  return CLIENTS[version](server.url + namespace, {
    forceNew: true,
    reconnection: false,
    ...TRANSPORTS[transport],
    ...options,
  });
}

/** Emits and waits for the acknowledgement's arguments. */
export function ask(client, event, ...args) {
  const answer = new Promise((resolve) => client.emit(event, ...args, (...answers) => resolve(answers)));
  return within(answer, 10_000, `the acknowledgement of "${event}"`);
}
