// The demo's client against the reference server inside Chromium: the parts where a browser is not
// Node, which are its fetch, its WebSocket and its ways of ending a page.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { Server } from "socket.io";
import { launch, watch } from "./chromium.mjs";

const MODES = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

let browser;
let http;
let server;
let origin;
const departures = [];

before(async () => {
  const demo = new URL("../../demo/", import.meta.url);
  http = createServer(async (request, response) => {
    if (request.url === "/") {
      response.writeHead(200, { "Content-Type": "text/html" });
      return response.end('<!doctype html><link rel="icon" href="data:,">');
    }
    const [, name] = /^\/(\w+\.js)$/.exec(request.url) ?? [];
    if (!name) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": "text/javascript" });
    response.end(await readFile(new URL(name, demo)));
  });
  server = new Server(http, { serveClient: false });
  server.on("connection", (socket) => {
    socket.on("echo", (...args) => args.pop()(...args));
    socket.on("ask", async (answer) => answer(await socket.timeout(5_000).emitWithAck("question", Buffer.from([1, 2]))));
    socket.on("drop", () => socket.conn.close());
    socket.on("disconnect", (reason) => departures.push(reason));
  });
  server.of("/chat").on("connection", (socket) => socket.on("where", (answer) => answer(socket.nsp.name)));
  server.of("/closed").use((_, pass) => pass(Object.assign(new Error("no entry"), { data: { hint: "ask" } })));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${http.address().port}/`;
  browser = await launch();
});

after(async () => {
  await browser?.close();
  const closed = server.close();
  http.closeAllConnections();
  await closed;
});

async function open() {
  const page = await browser.newPage();
  page.setDefaultTimeout(15_000);
  const problems = watch(page);
  await page.goto(origin);
  return { page, problems };
}

describe("client in Chromium", { timeout: 120_000 }, () => {
  for (const [mode, transports] of Object.entries(MODES)) {
    test(`${mode}: events, binary, acknowledgements, namespaces, reconnection`, { timeout: 30_000 }, async () => {
      const { page, problems } = await open();
      const result = await page.evaluate(async (transports) => {
        const { io } = await import("/client.js");
        const next = (socket, event) => new Promise((resolve) => socket.once(event, resolve));
        const socket = io({ transports, forceNew: true, reconnectionDelay: 50 });
        await next(socket, "connect");
        const seen = {};

        const big = new Uint8Array(200_000).map((_, i) => i);
        const [echo, nested] = await new Promise((resolve) =>
          socket.emit("echo", big, { text: "é€😀", part: big.subarray(5, 8) }, (...all) => resolve(all)),
        );
        seen.big = new Uint8Array(echo).every((byte, i) => byte === big[i]) && echo.byteLength;
        seen.nested = [nested.text, ...new Uint8Array(nested.part)];

        socket.on("question", (bytes, answer) => answer(Array.from(new Uint8Array(bytes))));
        seen.answer = await socket.emitWithAck("ask");

        const order = [];
        await Promise.all(
          Array.from({ length: 200 }, (_, i) => socket.emitWithAck("echo", i).then((value) => order.push(value))),
        );
        seen.ordered = order.every((value, i) => value === i);

        const chat = socket.io.socket("/chat", { autoConnect: true });
        seen.where = await chat.emitWithAck("where");
        const closed = socket.io.socket("/closed", { autoConnect: true });
        const refusal = await next(closed, "connect_error");
        seen.refusal = [refusal.message, refusal.data.hint, closed.active];

        while (socket.io.engine.transport.name !== transports.at(-1)) await new Promise((r) => setTimeout(r, 10));
        const back = next(socket, "connect");
        const lost = next(socket, "disconnect");
        socket.emit("drop");
        seen.reason = await lost;
        await back;
        seen.after = await socket.emitWithAck("echo", "again");
        socket.disconnect();
        chat.disconnect();
        return seen;
      }, transports);
      assert.deepEqual(result, {
        big: 200_000,
        nested: ["é€😀", 5, 6, 7],
        answer: [1, 2],
        ordered: true,
        where: "/chat",
        refusal: ["no entry", "ask", false],
        reason: "transport close",
        after: "again",
      });
      assert.deepEqual(problems, []);
      await page.close();
    });
  }

  test("a page that is left is missed at once, over polling as well", { timeout: 30_000 }, async () => {
    const { page, problems } = await open();
    await page.evaluate(async () => {
      const { io } = await import("/client.js");
      const socket = io({ transports: ["polling"], forceNew: true });
      addEventListener("pagehide", () => socket.disconnect());
      await new Promise((resolve) => socket.once("connect", resolve));
    });
    departures.length = 0;
    await page.goto("about:blank");
    for (const end = Date.now() + 5_000; departures.length === 0 && Date.now() < end; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Which comes first: the aborted poll, or the goodbye that outlives the page.
    assert.equal(departures.length, 1);
    assert.match(departures[0], /^(transport error|client namespace disconnect)$/);
    assert.deepEqual(problems, []);
    await page.close();
  });
});
