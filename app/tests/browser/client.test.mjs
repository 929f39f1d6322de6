// The demo's client against the reference server, over each transport, without a browser.
// Needs a global WebSocket: node --experimental-websocket --test client.test.mjs (Node 20).
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "socket.io";
import { io } from "../../demo/client.js";

const MODES = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

const cleanups = [];
after(() => Promise.all(cleanups.map((cleanup) => cleanup())));

/** A reference server on a port of its own. */
async function serve(options = {}, port = 0) {
  const http = createServer();
  const server = new Server(http, { serveClient: false, ...options });
  await new Promise((resolve) => http.listen(port, "127.0.0.1", resolve));
  server.port = http.address().port;
  server.url = `http://127.0.0.1:${server.port}`;
  server.stop = async () => {
    const closed = server.close();
    http.closeAllConnections();
    await closed;
  };
  cleanups.push(server.stop);
  return server;
}

function connect(url, options) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 30, ...options });
  cleanups.push(() => [...socket.io.sockets.values()].forEach((one) => one.disconnect()));
  return socket;
}

/** The arguments of the next `event`, or a failure that names it. */
function next(emitter, event, ms = 5_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no "${event}" within ${ms} ms`)), ms);
    emitter.once(event, (...args) => {
      clearTimeout(timer);
      resolve(args);
    });
  });
}

async function until(condition, what, ms = 5_000) {
  for (const end = Date.now() + ms; !condition(); await sleep(5)) {
    assert.ok(Date.now() < end, `${what} within ${ms} ms`);
  }
}

const bytes = (value) => [...new Uint8Array(value)];

for (const [mode, transports] of Object.entries(MODES)) {
  describe(mode, { timeout: 60_000 }, () => {
    test("connects and uses the transport asked for", async () => {
      const server = await serve();
      const socket = connect(server.url, { transports });
      const [[peer]] = await Promise.all([next(server, "connection"), next(socket, "connect")]);
      assert.equal(socket.id, peer.id);
      assert.equal(socket.connected, true);
      const last = transports.at(-1);
      await until(() => socket.io.engine.transport.name === last, `transport ${last}`);
      await until(() => peer.conn.transport.name === last, `the server's transport ${last}`);
    });

    test("carries events both ways, in order, whatever the text", async () => {
      const server = await serve();
      const texts = ["", "héllo €😀", "a\u001eb", "\u2028 \" \\ \n \0", "x".repeat(50_000)];
      server.on("connection", (peer) => {
        peer.on("echo", (...args) => peer.emit("echoed", ...args));
      });
      const socket = connect(server.url, { transports });
      const seen = [];
      socket.on("echoed", (...args) => seen.push(args));
      const sent = [];
      for (let i = 0; i < 300; i += 1) {
        sent.push([i, texts[i % texts.length], { deep: [null, true, 1.5] }]);
        socket.emit("echo", ...sent.at(-1));
        if (i % 20 === 0) await sleep(1);
      }
      await until(() => seen.length >= sent.length, "all echoes");
      assert.deepEqual(seen, sent);
    });

    test("acknowledges both ways, and times out", async () => {
      const server = await serve();
      server.on("connection", (peer) => {
        peer.on("sum", (a, b, answer) => answer(a + b, "sum"));
        peer.on("silence", () => {});
      });
      const socket = connect(server.url, { transports });
      const [peer] = await next(server, "connection");
      assert.deepEqual(await new Promise((resolve) => socket.emit("sum", 1, 2, (...a) => resolve(a))), [3, "sum"]);
      assert.equal(await socket.emitWithAck("sum", 20, 22), 42);
      assert.equal(await socket.timeout(5_000).emitWithAck("sum", 2, 2), 4);
      await assert.rejects(socket.timeout(50).emitWithAck("silence"), /timed out/);

      socket.on("question", (text, answer) => {
        answer(`${text}!`);
        answer("a second answer is not sent");
      });
      assert.equal(await peer.timeout(2_000).emitWithAck("question", "really"), "really!");
      assert.equal(await peer.timeout(2_000).emitWithAck("question", "again"), "again!");
    });

    test("carries binary both ways, nested and in acknowledgements", async () => {
      const server = await serve();
      server.on("connection", (peer) => {
        peer.on("swap", (a, b, answer) => {
          assert.ok(Buffer.isBuffer(a) && Buffer.isBuffer(b.inner[0]));
          answer({ first: b.inner[0], second: a, text: b.text });
        });
      });
      const socket = connect(server.url, { transports });
      const [peer] = await next(server, "connection");
      const whole = Uint8Array.from({ length: 256 }, (_, i) => i);
      const answer = await socket.emitWithAck("swap", whole.buffer, { inner: [whole.subarray(3, 6)], text: "é" });
      assert.deepEqual(bytes(answer.first), [3, 4, 5]);
      assert.deepEqual(bytes(answer.second), [...whole]);
      assert.equal(answer.text, "é");
      assert.ok(answer.first instanceof ArrayBuffer);

      socket.on("image", (image, reply) => reply(image.slice(1)));
      const reply = await peer.timeout(2_000).emitWithAck("image", Buffer.from([9, 8, 7]));
      assert.deepEqual([...reply], [8, 7]);
      assert.throws(() => socket.emit("blob", new Blob(["x"])), TypeError);

      // Bytes that change after emit are sent as they were.
      const reused = new Uint8Array([1, 2, 3]);
      const swapped = socket.emitWithAck("swap", reused, { inner: [new ArrayBuffer(0)], text: "" });
      reused.fill(0);
      assert.deepEqual(bytes((await swapped).second), [1, 2, 3]);
    });

    test("namespaces share one connection; auth, refusal and another try", async () => {
      const server = await serve();
      server.of("/admin").use((peer, pass) => {
        if (peer.handshake.auth.token === "right") return pass();
        pass(Object.assign(new Error("wrong token"), { data: { hint: 1 } }));
      });
      server.of("/chat").on("connection", (peer) => peer.on("where", (answer) => answer(peer.nsp.name)));

      const main = connect(server.url, { transports, auth: { a: 1 } });
      const [peer] = await next(server, "connection");
      assert.deepEqual(peer.handshake.auth, { a: 1 });
      const chat = main.io.socket("/chat", { autoConnect: true });
      const admin = main.io.socket("/admin", { autoConnect: true, auth: (give) => give({ token: "wrong" }) });
      const [error] = await next(admin, "connect_error");
      assert.deepEqual([error.message, error.data, admin.active], ["wrong token", { hint: 1 }, false]);
      admin.auth = { token: "right" };
      await Promise.all([next(admin, "connect"), admin.connect()]);
      assert.equal(await chat.emitWithAck("where"), "/chat");
      const [unknown] = await next(main.io.socket("/none", { autoConnect: true }), "connect_error");
      assert.equal(unknown.message, "Invalid namespace");
      assert.equal(server.engine.clientsCount, 1);

      chat.disconnect();
      assert.equal(main.connected && admin.connected, true);
      await Promise.all([next(chat, "connect"), chat.connect()]);
      assert.equal(await chat.emitWithAck("where"), "/chat");
    });

    test("io() shares a connection between namespaces, not between equal ones", async () => {
      const server = await serve();
      server.of("/chat");
      const options = { transports, query: { app: "x" } };
      const a = io(server.url, options);
      const b = io(`${server.url}/chat`, options);
      const c = io(`${server.url}/chat?other=1`, options);
      cleanups.push(() => [a, b, c].forEach((socket) => socket.disconnect()));
      assert.equal(a.io, b.io);
      assert.notEqual(b.io, c.io);
      const [peer] = await next(server.of("/chat"), "connection");
      assert.equal(peer.handshake.query.app, "x");
      await until(() => a.connected && b.connected && c.connected, "three sockets");
    });

    test("comes back after a lost connection, with what was emitted meanwhile", async () => {
      const server = await serve();
      const heard = [];
      server.on("connection", (peer) => peer.on("note", (text) => heard.push(text)));
      const socket = connect(server.url, { transports });
      const [peer] = await next(server, "connection");
      await until(() => peer.conn.transport.name === transports.at(-1), "the transport");
      const before = socket.id;
      const lost = next(socket, "disconnect");
      const unanswered = assert.rejects(socket.emitWithAck("note", "?"), /disconnected/);
      await sleep(50);
      peer.conn.close();
      const [reason] = await lost;
      assert.equal(reason, "transport close");
      await unanswered;
      socket.emit("note", "kept");
      socket.volatile.emit("note", "dropped");
      await next(socket, "connect");
      assert.notEqual(socket.id, before);
      await until(() => heard.includes("kept"), "the buffered event");
      await sleep(50);
      assert.deepEqual(heard, ["?", "kept"]);
    });

    test("survives a restart of the server", async () => {
      const first = await serve();
      const socket = connect(first.url, { transports });
      await next(socket, "connect");
      const attempts = [];
      socket.io.on("reconnect_attempt", (n) => attempts.push(n));
      const errors = [];
      socket.on("connect_error", (error) => errors.push(error.message));
      await first.stop();
      await until(() => attempts.length >= 2, "two attempts");
      const second = await serve({}, first.port);
      second.on("connection", (peer) => peer.on("hi", (answer) => answer("back")));
      await next(socket, "connect");
      assert.equal(await socket.emitWithAck("hi"), "back");
      assert.deepEqual(attempts, attempts.map((_, i) => i + 1));
      assert.match(errors[0], /(polling|websocket) (error|closed)/);
    });

    test("the server's goodbye is final, the client's is told at once", async () => {
      const server = await serve();
      const socket = connect(server.url, { transports });
      const [peer] = await next(server, "connection");
      peer.disconnect();
      assert.deepEqual(await next(socket, "disconnect").then(([reason]) => reason), "io server disconnect");
      assert.equal(socket.active, false);
      await until(() => server.engine.clientsCount === 0, "the connection's end");

      const [[again]] = await Promise.all([next(server, "connection"), socket.connect()]);
      await until(() => socket.connected, "connected");
      const gone = next(again, "disconnect", 1_000);
      socket.disconnect();
      assert.equal((await gone)[0], "client namespace disconnect");
      await until(() => server.engine.clientsCount === 0, "the connection's end", 1_000);
      socket.connect().disconnect().connect();
      await until(() => socket.connected, "connected after changing its mind");
    });

    test("answers heartbeats", async () => {
      const server = await serve({ pingInterval: 40, pingTimeout: 100 });
      const socket = connect(server.url, { transports });
      let pings = 0;
      socket.io.on("ping", () => (pings += 1));
      const reasons = [];
      socket.on("disconnect", (reason) => reasons.push(reason));
      await until(() => pings >= 8, "eight pings");
      assert.deepEqual(reasons, []);
      assert.equal(socket.connected, true);
    });

    test("recovers its session and the packets it missed", async () => {
      const server = await serve({ connectionStateRecovery: {} });
      const socket = connect(server.url, { transports, reconnectionDelay: 200 });
      const [peer] = await next(server, "connection");
      const news = [];
      socket.on("news", (text) => news.push(text));
      server.emit("news", "one");
      await until(() => news.length === 1, "the first");
      await until(() => peer.conn.transport.name === transports.at(-1), "the transport");
      const before = socket.id;
      const lost = next(socket, "disconnect");
      peer.conn.close();
      await lost;
      server.emit("news", "two");
      await next(socket, "connect");
      assert.deepEqual([socket.id, socket.recovered, news], [before, true, ["one", "two"]]);
    });
  });
}

describe("upgrade", { timeout: 60_000 }, () => {
  test("loses and reorders nothing while the transports change", async () => {
    const server = await serve();
    const up = [];
    const down = [];
    server.on("connection", (peer) => {
      peer.on("up", (i) => up.push(i));
      let i = 0;
      const timer = setInterval(() => {
        peer.emit("down", i);
        if ((i += 1) === 400) clearInterval(timer);
      }, 1);
    });
    const socket = connect(server.url);
    socket.on("down", (i) => down.push(i));
    await next(socket, "connect");
    for (let i = 0; i < 400; i += 1) {
      socket.emit("up", i);
      await sleep(1);
    }
    await until(() => up.length >= 400 && down.length >= 400, "all messages");
    const all = Array.from({ length: 400 }, (_, i) => i);
    assert.deepEqual([up, down], [all, all]);
    assert.equal(socket.io.engine.transport.name, "websocket");
  });

  test("a refused WebSocket leaves polling at work", async () => {
    const server = await serve();
    server.httpServer.removeAllListeners("upgrade");
    server.httpServer.on("upgrade", (_, tcp) => tcp.destroy());
    server.on("connection", (peer) => peer.on("hi", (answer) => answer("hi")));
    const socket = connect(server.url);
    await next(socket, "connect");
    for (let i = 0; i < 20; i += 1) assert.equal(await socket.emitWithAck("hi"), "hi");
    assert.equal(socket.io.engine.transport.name, "polling");
  });

  test("a WebSocket that dies in the middle of the switch leaves polling at work", async () => {
    const server = await serve();
    server.engine.on("connection", (conn) => {
      conn.on("upgrading", (transport) => setTimeout(() => transport.socket.terminate(), 20));
    });
    // Nothing answers the open poll before that, so the switch cannot be complete.
    server.use((_, pass) => setTimeout(pass, 200));
    server.on("connection", (peer) => peer.on("hi", (answer) => answer("hi")));
    const socket = connect(server.url);
    await next(socket, "connect");
    for (let i = 0; i < 40; i += 1) {
      assert.equal(await socket.timeout(2_000).emitWithAck("hi"), "hi");
      await sleep(5);
    }
    assert.equal(socket.io.engine.transport.name, "polling");
  });

  test("disconnect() in the middle of the switch ends the session", async () => {
    for (const wait of [0, 2, 5, 10, 20, 50, 100, 110]) {
      const server = await serve();
      const socket = connect(server.url);
      const [peer] = await next(server, "connection");
      const gone = next(peer, "disconnect", 2_000);
      await sleep(wait);
      socket.disconnect();
      assert.match((await gone)[0], /client namespace disconnect|transport close/);
      await until(() => server.engine.clientsCount === 0, `the end after ${wait} ms`, 2_000);
    }
  });
});

describe("limits and failures", { timeout: 60_000 }, () => {
  test("a batch is split at the server's payload limit", async () => {
    const server = await serve({ maxHttpBufferSize: 2_000 });
    const heard = [];
    server.on("connection", (peer) => peer.on("part", (i, data) => heard.push([i, data.length])));
    const socket = connect(server.url, { transports: ["polling"] });
    await next(socket, "connect");
    const sent = [];
    for (let i = 0; i < 60; i += 1) {
      sent.push([i, 300 + i]);
      socket.emit("part", i, i % 2 ? "é".repeat(300 + i) : new Uint8Array(300 + i));
    }
    await until(() => heard.length >= 60, "all parts");
    assert.deepEqual(heard, sent);
  });

  test("a silent server is given up after its ping is overdue", async () => {
    const open = `0${JSON.stringify({ sid: "s", upgrades: [], pingInterval: 150, pingTimeout: 100, maxPayload: 1e6 })}`;
    const polls = [open, '40{"sid":"x"}'];
    const http = createServer((request, response) => {
      if (request.method === "POST") return request.resume().on("end", () => response.end("ok"));
      if (polls.length > 0) response.end(polls.shift());
    });
    await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => (http.closeAllConnections(), http.close()));
    const socket = connect(`http://127.0.0.1:${http.address().port}`, { reconnection: false });
    await next(socket, "connect");
    const start = Date.now();
    assert.equal((await next(socket, "disconnect"))[0], "ping timeout");
    assert.ok(Date.now() - start >= 200, "not before it was overdue");
  });

  test("garbage from the server ends the connection and nothing else", async () => {
    const server = await serve();
    const socket = connect(server.url, { reconnection: false });
    const [peer] = await next(server, "connection");
    await next(socket, "connect");
    peer.conn.write("2[broken");
    assert.equal((await next(socket, "disconnect"))[0], "parse error");
  });

  test("gives up after the attempts it was allowed, with growing pauses", async () => {
    const socket = connect("http://127.0.0.1:1", {
      reconnectionDelay: 40,
      reconnectionAttempts: 4,
      randomizationFactor: 0,
      transports: ["polling"],
    });
    const times = [];
    socket.io.on("reconnect_attempt", () => times.push(Date.now()));
    await next(socket.io, "reconnect_failed");
    assert.equal(times.length, 4);
    assert.ok(times[3] - times[2] > 1.5 * (times[2] - times[1]) - 20, `pauses grow: ${times}`);
  });

  test("a listener's mistake is the listener's own", async () => {
    const server = await serve();
    server.on("connection", (peer) => peer.on("go", (answer) => (peer.emit("bad"), answer("done"))));
    const socket = connect(server.url);
    socket.on("bad", () => {
      throw new Error("listener's mistake");
    });
    const uncaught = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error.message));
    assert.equal(await socket.emitWithAck("go"), "done");
    await sleep(20);
    process.removeAllListeners("uncaughtException");
    for (const listener of listeners) process.on("uncaughtException", listener);
    assert.deepEqual(uncaught, ["listener's mistake"]);
    assert.equal(socket.connected, true);
  });

  test("reserved names are refused in both directions", async () => {
    const server = await serve();
    const socket = connect(server.url);
    await next(socket, "connect");
    assert.throws(() => socket.emit("disconnect"), /reserved/);
    assert.equal(socket.connected, true);
  });

  test("without a WebSocket the page stays with polling, or says why it cannot connect", async () => {
    const server = await serve();
    const original = globalThis.WebSocket;
    delete globalThis.WebSocket;
    try {
      const socket = connect(server.url);
      await next(socket, "connect");
      assert.equal(socket.io.engine.transport.name, "polling");
      const forced = connect(server.url, { transports: ["websocket"], reconnection: false });
      assert.match((await next(forced, "connect_error"))[0].message, /no usable transport/);
    } finally {
      globalThis.WebSocket = original;
    }
  });
});
