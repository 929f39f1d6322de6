// What every test here needs: a server process of its own, the official clients by name and
// transport, and waiting with a limit.
//   INTEROP_SERVER   command line of the server under test, run in the caller's folder;
//                    default: the reference implementation
//   SHARDS           handed to the server
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { after, before, describe } from "node:test";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const referenceServer = fileURLToPath(new URL("reference-server.mjs", import.meta.url));

/** Whether the reference itself is under test. */
export const reference = !process.env.INTEROP_SERVER;

/** Limit of anything that is waited for, in milliseconds: generous, since the machine may be busy. */
export const PATIENCE = 10_000;

export const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

/** Parsers: what server and client are told. That of version 2 has another form, which version 4 cannot read. */
export const PARSERS = {
  default: { env: {}, options: {}, versions: ["4", "3", "2"] },
  msgpack: { env: { PARSER: "msgpack" }, options: { parser: require("socket.io-msgpack-parser") }, versions: ["4", "3"] },
};

/** The official clients: their major versions and the server settings they need. */
export const CLIENTS = {
  4: { env: {}, ...entry("socket.io-client-4") },
  3: { env: {}, ...entry("socket.io-client-3") },
  2: { env: { ALLOW_EIO3: "1" }, ...entry("socket.io-client-2") },
};

function entry(name) {
  const module = require(name);
  return { io: module.io ?? module };
}

/** Starts the server; `port` 0 takes a free one. */
export async function serve(env = {}, port = 0) {
  const [command, ...args] = reference
    ? [process.execPath, referenceServer]
    : process.env.INTEROP_SERVER.split(" ");
  const child = spawn(command, args, {
    env: { ...process.env, ...env, PORT: String(port) },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  exited.catch(() => {});
  const kill = () => child.kill("SIGKILL");
  process.on("exit", kill);
  const ready = new Promise((resolve) => {
    createInterface(child.stdout).on("line", (line) => {
      const found = /^ready (\d+)$/.exec(line);
      if (found) resolve(Number(found[1]));
    });
  });
  const died = exited.then(({ code, signal }) => {
    throw new Error(`the server ended before it was ready: ${code ?? signal}`);
  });
  died.catch(() => {});
  const listening = await within(Promise.race([ready, died]), "the server to be ready");
  return {
    port: listening,
    url: `http://127.0.0.1:${listening}`,
    alive: () => child.exitCode === null && child.signalCode === null,
    /** Asks it to end; that has to succeed, with status 0. */
    async stop() {
      child.kill("SIGTERM");
      const end = await within(exited, "the server to end");
      process.off("exit", kill);
      assert.deepEqual(end, { code: 0, signal: null }, "how the server ended");
    },
  };
}

/** A group of tests with a server, which has to survive them and to end with status 0. */
export function withServer(name, env, body) {
  describe(name, { timeout: 120_000 }, () => {
    const server = {};
    before(async () => Object.assign(server, await serve(env)));
    after(async () => {
      assert.ok(server.alive(), "the server survived");
      await server.stop();
    });
    body(server);
  });
}

const unclaimed = new WeakMap();

/** An official client, connecting. It is gone when the test `t` ends. */
export function connect(t, server, version, transport, { namespace = "/", ...options } = {}) {
  const socket = CLIENTS[version].io(`${server.url}${namespace}`, {
    forceNew: true,
    reconnection: false,
    transports: TRANSPORTS[transport],
    ...options,
  });
  keepEvents(socket);
  t.after(() => {
    socket.io.reconnection(false);
    socket.disconnect();
    socket.io.engine?.close();
  });
  return socket;
}

/** Another namespace of the connection of `socket`. */
export function alongside(socket, namespace, options) {
  const other = socket.io.socket(namespace, options);
  keepEvents(other);
  return other;
}

// Events that come before somebody waits for them are kept: `auth` follows `connect` at once.
function keepEvents(socket) {
  const kept = [];
  const waiting = [];
  unclaimed.set(socket, { kept, waiting });
  for (const name of ["connect", "connect_error", "error", "disconnect", "auth", "message-back", "said", "problem"]) {
    socket.on(name, (...args) => {
      const index = waiting.findIndex((it) => it.name === name);
      if (index >= 0) waiting.splice(index, 1)[0].resolve(args);
      else kept.push({ name, args });
    });
  }
}

/** The arguments of the oldest such event that was not asked for yet, waiting for it if need be. */
export function next(socket, name, ms = PATIENCE) {
  const { kept, waiting } = unclaimed.get(socket);
  const index = kept.findIndex((it) => it.name === name);
  if (index >= 0) return Promise.resolve(kept.splice(index, 1)[0].args);
  const event = new Promise((resolve) => waiting.push({ name, resolve }));
  return within(event, `event ${name}`, ms);
}

/** How many such events came that were not asked for. */
export function unread(socket, name) {
  return unclaimed.get(socket).kept.filter((it) => it.name === name).length;
}

/** Emits and gives the arguments of the acknowledgement. */
export function ask(socket, ...args) {
  const answer = new Promise((resolve) => socket.emit(...args, (...got) => resolve(got)));
  return within(answer, `the acknowledgement of ${args[0]}`);
}

/** The promise, or an error that tells what was waited for. */
export async function within(promise, what, ms = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Tries until it gives something true, and gives that. */
export async function eventually(attempt, what, ms = PATIENCE) {
  const end = Date.now() + ms;
  for (;;) {
    const got = await attempt();
    if (got) return got;
    if (Date.now() > end) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
