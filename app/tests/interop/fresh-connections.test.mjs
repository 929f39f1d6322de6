// Sessions whose every request comes over a new TCP connection: any shard may be met, none is remembered.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import WebSocket from "ws";

import { next, serve } from "./harness.mjs";

let server;
before(async () => {
  server = await serve();
});
after(() => server.stop());

/** One request over a connection of its own. */
function request(method, query, body) {
  return new Promise((resolve, reject) => {
    const target = { port: server.port, host: "127.0.0.1", path: `/socket.io/?EIO=4&transport=polling${query}` };
    const sent = http.request({ ...target, method, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (data) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode, text }));
    });
    sent.on("error", reject).end(body);
  });
}

async function session(id) {
  const open = await request("GET", "");
  const { sid } = JSON.parse(open.text.slice(1));
  const query = `&sid=${sid}`;
  const post = async (body) => assert.deepEqual(await request("POST", query, body), { status: 200, text: "ok" });
  const messages = [];
  const poll = async () => {
    const { status, text } = await request("GET", query);
    assert.equal(status, 200);
    messages.push(...text.split("\x1e").filter((packet) => packet !== "6"));
  };
  await post("40");
  while (messages.length < 2) await poll();
  for (let i = 0; i < 100; i++) {
    await post(`42["message","${id}-${i}"]`);
    await poll();
  }
  assert.deepEqual(messages.slice(2), Array.from({ length: 100 }, (_, i) => `42["message-back","${id}-${i}"]`));
  // The upgrade, too, comes over a connection of its own.
  const ws = new WebSocket(`ws://127.0.0.1:${server.port}/socket.io/?EIO=4&transport=websocket${query}`);
  const frames = [];
  ws.on("message", (data) => frames.push(String(data)));
  await next(ws, "open");
  ws.send("2probe");
  await next(ws, "message");
  ws.send("5");
  ws.send(`42["message","${id}-upgraded"]`);
  await next(ws, "message");
  assert.deepEqual(frames, ["3probe", `42["message-back","${id}-upgraded"]`]);
  assert.equal((await request("GET", query)).status, 400);
  ws.close();
}

test("twenty sessions at once live on undisturbed, upgrades included", async () => {
  await Promise.all(Array.from({ length: 20 }, (_, id) => session(id)));
});
