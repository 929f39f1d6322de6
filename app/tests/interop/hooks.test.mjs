// Requests before and beside the sockets: who may begin a session, headers of answers, what was refused,
// upgrades, and answers to polls that are compressed.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { ask, connect, eventually, next, within, withServer } from "./harness.mjs";

const require = createRequire(import.meta.url);
const WebSocket = require("ws");
const { Fetch } = require("engine.io-client");
const HOOKS = { HOOKS: "1" };
const namespace = "/hooks";
const target = (server, more = "") => `${server.url}/socket.io/?EIO=4&transport=polling${more}`;

/** The headers of a WebSocket's 101, or the status of its refusal. */
function upgrade(t, url) {
  const socket = new WebSocket(url.replace("http", "ws").replace("polling", "websocket"));
  t.after(() => socket.terminate());
  const answer = new Promise((resolve, reject) => {
    socket.on("upgrade", ({ headers }) => resolve(headers));
    socket.on("unexpected-response", (_, { statusCode }) => resolve(statusCode));
    socket.on("error", reject);
  });
  return within(answer, "the answer to an upgrade");
}

withServer("hooks", HOOKS, (server) => {
  for (const version of ["4", "3"]) {
    test(`client ${version}: who is refused hears why, over each transport`, async (t) => {
      const query = { refuse: "no \"entry\"" };
      const polling = connect(t, server, version, "polling", { query });
      const [error] = await next(polling, "connect_error");
      assert.equal(error.message, "xhr poll error");
      assert.equal(error.description, 403);
      const websocket = connect(t, server, version, "websocket", { query });
      assert.equal((await next(websocket, "connect_error"))[0].message, "websocket error");
      for (const transport of ["polling", "websocket", "upgrade"]) {
        const socket = connect(t, server, version, transport, { namespace });
        await next(socket, "connect");
      }
    });
  }

  test("a refusal is the same as in Node", async (t) => {
    const response = await fetch(target(server, "&refuse=no%20entry"));
    assert.equal(response.status, 403);
    assert.deepEqual(await response.json(), { code: 4, message: "no entry" });
    const silent = await fetch(target(server, "&refuse="));
    assert.deepEqual([silent.status, await silent.json()], [403, { code: 4, message: "Forbidden" }]);
    // A WebSocket is always told 400.
    assert.equal(await upgrade(t, target(server, "&refuse=x")), 400);
  });

  test("headers of the first answer and of every answer", async (t) => {
    const first = await fetch(target(server));
    assert.deepEqual([first.headers.get("x-initial"), first.headers.get("x-every")], ["1", "1"]);
    const { sid } = JSON.parse((await first.text()).slice(1));
    const post = await fetch(target(server, `&sid=${sid}`), { method: "POST", body: "40" });
    assert.deepEqual([post.headers.get("x-initial"), post.headers.get("x-every")], [null, "1"]);
    const poll = await fetch(target(server, `&sid=${sid}`));
    assert.deepEqual([poll.headers.get("x-initial"), poll.headers.get("x-every")], [null, "1"]);
    const joined = await upgrade(t, target(server, `&sid=${sid}`));
    assert.deepEqual([joined["x-initial"], joined["x-every"]], [undefined, "1"]);
    const opened = await upgrade(t, target(server));
    assert.deepEqual([opened["x-initial"], opened["x-every"]], ["1", "1"]);
    const unknown = await fetch(target(server, "&sid=AAAAAAAAAAAAAAAAAAAA"));
    assert.deepEqual([unknown.status, unknown.headers.get("x-every")], [400, null]);
  });
});

withServer("hooks, told", HOOKS, (server) => {
  test("what was refused is told, whichever core refused it", async (t) => {
    await fetch(target(server, "&refuse=not%20you"));
    await fetch(target(server).replace("polling", "smoke"));
    await fetch(target(server, "&sid=AAAAAAAAAAAAAAAAAAAA"));
    await fetch(target(server), { method: "POST" });
    await fetch(target(server).replace("polling", "websocket"));
    await fetch(target(server).replace("EIO=4", "EIO=3"));
    const socket = connect(t, server, "4", "websocket", { namespace });
    await next(socket, "connect");
    const [refusals] = await ask(socket, "refusals");
    assert.deepEqual(refusals, [
      "4 not you",
      "0 Transport unknown",
      "1 Session ID unknown",
      "2 Bad handshake method",
      "3 Bad request",
      "5 Unsupported protocol version",
    ]);
  });

  test("an upgrade is told, and a WebSocket from the beginning is none", async (t) => {
    const websocket = connect(t, server, "4", "websocket", { namespace });
    await next(websocket, "connect");
    assert.deepEqual(await ask(websocket, "upgraded"), [false]);
    const upgraded = connect(t, server, "4", "upgrade", { namespace });
    await next(upgraded, "connect");
    await eventually(async () => (await ask(upgraded, "upgraded"))[0], "the upgrade");
  });

  test("big polls are compressed for those who accept it, and reach the client whole", async (t) => {
    const encodings = [];
    const plain = globalThis.fetch;
    t.after(() => (globalThis.fetch = plain));
    globalThis.fetch = async (...request) => {
      const response = await plain(...request);
      encodings.push(response.headers.get("content-encoding"));
      return response;
    };
    const socket = connect(t, server, "4", "polling", { namespace, transports: [Fetch] });
    await next(socket, "connect");
    for (const [bytes, compress, encoding] of [
      [100, true, null],
      [2_000, true, "gzip"],
      [2_000, false, null],
      [500_000, true, "gzip"],
      [500_000, false, null],
    ]) {
      encodings.length = 0;
      socket.emit("big", bytes, compress);
      const [text] = await next(socket, "said");
      assert.ok(text === "x".repeat(bytes), `${text.length} of ${bytes}`);
      assert.deepEqual(encodings.filter(Boolean), encoding ? [encoding] : [], `${bytes} ${compress}`);
    }
  });
});
