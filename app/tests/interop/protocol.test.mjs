// Engine.IO revision 4 without a client: handshake, errors, payloads, heartbeat, upgrade, closing.
import assert from "node:assert/strict";
import { connect as tcp } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually, within, withServer } from "./harness.mjs";
import { address, Frames, Polling, request } from "./wire.mjs";

const LIMIT = 100_000;
const QUIET = { MAX_HTTP_BUFFER_SIZE: String(LIMIT), UPGRADE_TIMEOUT: "300", CONNECT_TIMEOUT: "60000" };
const BINARY_MESSAGE = ['451-["message",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 3, 4])];
const BINARY_ECHO = '451-["message-back",{"_placeholder":true,"num":0}]';
const ERRORS = [
  '{"code":0,"message":"Transport unknown"}',
  '{"code":1,"message":"Session ID unknown"}',
  '{"code":2,"message":"Bad handshake method"}',
  '{"code":3,"message":"Bad request"}',
  undefined, // 4 is the application's to give.
  '{"code":5,"message":"Unsupported protocol version"}',
];

function isError({ status, headers, body }, code) {
  assert.equal(body, ERRORS[code]);
  assert.equal(status, 400);
  assert.equal(headers.get("content-type"), "application/json");
}

async function isGone(session) {
  await eventually(async () => !(await session.lives()), "the session to end");
  isError(await session.get(), 1);
}

async function echoes(session, what = "x") {
  await session.post(`42["message","${what}"]`);
  assert.deepEqual(await session.packets(1), [`42["message-back","${what}"]`]);
}

withServer("handshake", QUIET, (server) => {
  test("over polling it is one packet with five members", async () => {
    const { status, headers, body } = await request(address(server));
    assert.equal(status, 200);
    assert.match(body, /^0\{"sid":"[\w-]{20}","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000\}$/);
    assert.equal(headers.get("content-type"), "text/plain; charset=UTF-8");
    assert.equal(headers.get("cache-control"), "no-store");
    assert.equal(headers.get("content-length"), String(body.length));
    for (const name of ["set-cookie", "access-control-allow-origin"]) assert.equal(headers.get(name), null);
  });

  test("over WebSocket there is nothing to upgrade to", async () => {
    const frames = await Frames.open(server);
    assert.deepEqual(Object.keys(frames.opened), ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]);
    assert.deepEqual(frames.opened.upgrades, []);
    frames.close();
  });

  for (const [what, params, method, code] of [
    ["no transport", { transport: undefined }, "GET", 0],
    ["an unknown transport", { transport: "abc" }, "GET", 0],
    ["an inherited name for a transport", { transport: "__proto__" }, "GET", 0],
    ["a transport that is not offered", { transport: "webtransport" }, "GET", 0],
    ["an unknown session", { sid: "abc" }, "GET", 1],
    ["a session of the right length that never was", { sid: "AAAAAAAAAAAAAAAAAAAA" }, "POST", 1],
    ["POST", {}, "POST", 2],
    ["PUT", {}, "PUT", 2],
    ["OPTIONS, when nothing is shared with other origins", {}, "OPTIONS", 2],
    ["WebSocket without an upgrade", { transport: "websocket" }, "GET", 3],
    ["no revision", { EIO: undefined }, "GET", 5],
    ["an unknown revision", { EIO: "abc" }, "GET", 5],
    ["revision 3, which is off", { EIO: "3" }, "GET", 5],
    ["several faults, of which the first counts", { transport: "abc", sid: "abc", EIO: "3" }, "POST", 0],
  ]) {
    test(`${what}: error ${code}`, async () => isError(await request(address(server, params), { method }), code));
  }

  test("errors of a WebSocket are texts", async () => {
    for (const [params, message] of [[{ sid: "abc" }, "Session ID unknown"], [{ transport: "abc" }, "Transport unknown"]]) {
      const frames = new Frames(address(server, { transport: "websocket", ...params }));
      const { status, headers, body } = await within(frames.refused, "refusal");
      assert.deepEqual([status, headers["content-type"], body], [400, "text/html", message]);
    }
  });

  test("a WebSocket of a revision that is off opens no session", async () => {
    for (const EIO of ["3", "abc", undefined]) {
      const frames = new Frames(address(server, { transport: "websocket", EIO }));
      await frames.end();
      assert.deepEqual(frames.queue, []);
    }
  });

  test("the path is a prefix, up to its slash", async () => {
    assert.equal((await request(address(server, {}, "/socket.io/any/thing"))).status, 200);
    for (const path of ["/socket.io", "/socket.ioXX/", "/", "/other/"]) {
      assert.equal((await request(address(server, {}, path))).status, 404, path);
    }
  });

  test("a session stays with its revision", async () => {
    const session = await Polling.open(server);
    isError(await session.get({ EIO: "3" }), 3);
    assert.ok(await session.lives());
  });
});

withServer("polling", QUIET, (server) => {
  test("packets of one request come back in one payload", async () => {
    const session = await (await Polling.open(server)).join();
    const { status, headers, body } = await session.post('42["message","é€😀"]\x1e42["message",2]\x1e42["message","\\u001e"]');
    assert.deepEqual([status, body, headers.get("content-type"), headers.get("cache-control")], [200, "ok", "text/html", "no-store"]);
    assert.equal((await session.get()).body, '42["message-back","é€😀"]\x1e42["message-back",2]\x1e42["message-back","\\u001e"]');
  });

  test("binary is base64", async () => {
    const session = await (await Polling.open(server)).join();
    await session.post(`${BINARY_MESSAGE[0]}\x1ebAQIDBA==`);
    assert.equal((await session.get()).body, `${BINARY_ECHO}\x1ebAQIDBA==`);
  });

  test("the content type of a request does not matter, except for bytes", async () => {
    const session = await (await Polling.open(server)).join();
    await session.post('42["message",1]', { headers: { "Content-Type": "application/x-whatever" } });
    assert.deepEqual(await session.packets(1), ['42["message-back",1]']);
    const bytes = await session.post("4", { headers: { "Content-Type": "application/octet-stream" } });
    assert.deepEqual([bytes.status, bytes.body], [400, ""]);
    await isGone(session);
  });

  test("a request in pieces is one request", async () => {
    const session = await (await Polling.open(server)).join();
    const { host, pathname, search } = new URL(session.url());
    const text = Buffer.from('42["message","é"]');
    const head = `POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${text.length}\r\n\r\n`;
    const socket = tcp(server.port, "127.0.0.1").on("error", () => {});
    for (const byte of Buffer.concat([Buffer.from(head), text])) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    assert.deepEqual(await session.packets(1), ['42["message-back","é"]']);
    socket.destroy();
  });

  for (const [what, body] of [["a packet of no type", "abc"], ["an empty body", ""], ["bad base64 or type", "b\x1e\x1e"]]) {
    test(`${what} ends the session`, async () => {
      const session = await Polling.open(server);
      const poll = session.get();
      await sleep(50);
      const post = await session.post(body);
      assert.deepEqual([post.status, post.body], [200, "ok"]);
      assert.deepEqual(((it) => [it.status, it.body])(await poll), [200, "1"]);
      await isGone(session);
    });
  }

  test("a second poll ends the session and both", async () => {
    const session = await Polling.open(server);
    const first = session.get();
    await sleep(50);
    const second = await session.get();
    assert.deepEqual([second.status, second.body], [400, ""]);
    assert.deepEqual(((it) => [it.status, it.body])(await first), [200, "1"]);
    await isGone(session);
  });

  test("a second POST during the first ends the session", async () => {
    const session = await Polling.open(server);
    const { host, pathname, search } = new URL(session.url());
    const first = tcp(server.port, "127.0.0.1").on("error", () => {});
    const gone = new Promise((resolve) => first.on("close", resolve));
    first.resume().write(`POST ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 100\r\n\r\n4`);
    await sleep(100);
    const second = await session.post("3");
    assert.deepEqual([second.status, second.body], [400, ""]);
    await within(gone, "the end of the first request");
    await isGone(session);
  });

  test("too large a request is refused and no more", async () => {
    const session = await (await Polling.open(server)).join();
    const { status, body } = await session.post(`42["message","${"x".repeat(LIMIT)}"]`);
    assert.deepEqual([status, body], [413, ""]);
    await echoes(session);
  });

  test("other methods are refused and no more", async () => {
    const session = await (await Polling.open(server)).join();
    for (const method of ["PUT", "DELETE"]) {
      const { status, body } = await request(session.url(), { method });
      assert.deepEqual([status, body], [500, ""]);
    }
    await echoes(session);
  });

  test("the client closes", async () => {
    const session = await Polling.open(server);
    const poll = session.get();
    await sleep(50);
    await session.post("1");
    assert.equal((await poll).body, "6");
    await isGone(session);
  });

  test("a poll that is given up ends the session", async () => {
    const session = await Polling.open(server);
    const given = new AbortController();
    const poll = fetch(session.url(), { signal: given.signal });
    await sleep(50);
    given.abort();
    await assert.rejects(poll);
    await eventually(async () => !(await session.lives()), "the session to end");
  });

  test("the server closes", async () => {
    const pending = await (await Polling.open(server)).join();
    const poll = pending.get();
    await sleep(50);
    await pending.post('42["bye",true]');
    // The farewell of the namespace may come alone or with the end.
    assert.match((await poll).body, /^41(\x1e1)?$/);
    const idle = await (await Polling.open(server)).join();
    await idle.post('42["message",1]\x1e42["bye",true]');
    await sleep(50);
    assert.match((await idle.get()).body, /^42\["message-back",1\]\x1e41(\x1e.*)?$/);
  });
});

withServer("WebSocket", QUIET, (server) => {
  test("text and binary come back", async () => {
    const frames = await (await Frames.open(server)).join();
    frames.send('42["message","é€😀"]', ...BINARY_MESSAGE, '42["message",2]');
    assert.equal(await frames.next(), '42["message-back","é€😀"]');
    assert.equal(await frames.next(), BINARY_ECHO);
    assert.deepEqual(await frames.next(), BINARY_MESSAGE[1]);
    assert.equal(await frames.next(), '42["message-back",2]');
    frames.close();
  });

  test("binary is base64 where that is asked for", async () => {
    const frames = await (await Frames.open(server, { b64: "1" })).join();
    frames.send(BINARY_MESSAGE[0], "bAQIDBA==");
    assert.deepEqual([await frames.next(), await frames.next()], [BINARY_ECHO, "bAQIDBA=="]);
    frames.close();
  });

  test("a message in many frames is one message", async () => {
    const frames = await (await Frames.open(server)).join();
    for (const character of '42["message",') frames.ws.send(character, { fin: false });
    frames.ws.ping();
    frames.ws.send("1]", { fin: true });
    assert.equal(await frames.next(), '42["message-back",1]');
    frames.close();
  });

  for (const [what, frame, code] of [["a packet of no type", "abc", 1005], ["an empty frame", "", 1005], ["the client's ping", "2", 1005], ["too much", `4${"x".repeat(LIMIT)}`, 1009]]) {
    test(`${what} ends it with ${code}`, async () => {
      const frames = await Frames.open(server);
      frames.send(frame);
      assert.equal(await frames.end(), code);
    });
  }

  test("packets that mean nothing here are ignored", async () => {
    const frames = await (await Frames.open(server)).join();
    frames.send("3", "0", "5", "6", '42["message",1]');
    assert.equal(await frames.next(), '42["message-back",1]');
    frames.close();
  });

  test("the server closes without a status", async () => {
    const frames = await (await Frames.open(server)).join();
    frames.send('42["bye",true]');
    assert.equal(await frames.next(), "41");
    assert.equal(await frames.end(), 1005);
  });
});

withServer("heartbeat", { PING_INTERVAL: "300", PING_TIMEOUT: "200" }, (server) => {
  test("over polling", async () => {
    const session = await Polling.open(server);
    for (let n = 0; n < 3; n += 1) {
      assert.equal((await session.get()).body, "2", "a ping and nothing else");
      assert.equal((await session.post("3")).body, "ok");
    }
    // The last is not answered.
    assert.equal((await session.get()).body, "2");
    await sleep(400);
    isError(await session.get(), 1);
  });

  test("over WebSocket", async () => {
    const start = Date.now();
    const frames = await Frames.open(server);
    for (let n = 1; n <= 3; n += 1) {
      assert.equal(await frames.next(), "2");
      assert.ok(Date.now() - start > n * 300 - 50, "not before its time");
      frames.send("3");
    }
    assert.equal(await frames.next(), "2");
    assert.equal(await frames.end(), 1005);
    assert.ok(Date.now() - start > 4 * 300 + 200 - 50);
  });

  test("a session nobody polls ends", async () => {
    const session = await Polling.open(server);
    await sleep(800);
    isError(await session.get(), 1);
  });

  test("a WebSocket that the client calls closed ends", async () => {
    const frames = await Frames.open(server);
    frames.send("1");
    assert.equal(await frames.end(), 1005);
  });

  test("one side of an upgrade pings, the other is answered", async () => {
    const session = await Polling.open(server);
    const frames = session.frames();
    await frames.isOpen;
    frames.send("2probe", "5");
    assert.equal(await frames.next(), "3probe");
    for (let n = 0; n < 3; n += 1) {
      assert.equal(await frames.next(), "2");
      frames.send("3");
    }
    frames.close();
  });

  test("a client's ping ends a polling session", async () => {
    const session = await Polling.open(server);
    await session.post("2");
    await isGone(session);
  });
});

withServer("upgrade", QUIET, (server) => {
  async function probed(session) {
    const frames = session.frames();
    await frames.isOpen;
    frames.send("2probe");
    assert.equal(await frames.next(), "3probe");
    return frames;
  }

  test("a probe releases polls, then all goes by WebSocket", async () => {
    const session = await (await Polling.open(server)).join();
    const poll = session.get();
    const frames = await probed(session);
    assert.equal((await poll).body, "6");
    assert.equal((await session.get()).body, "6", "and one that came after it");
    await session.post('42["message","kept"]');
    frames.send("5", '42["message","later"]');
    assert.equal(await frames.next(), '42["message-back","kept"]');
    assert.equal(await frames.next(), '42["message-back","later"]');
    isError(await session.get(), 3);
    isError(await session.post("4"), 3);
    frames.send('42["message","unharmed"]');
    assert.equal(await frames.next(), '42["message-back","unharmed"]');
    frames.close();
    await eventually(async () => (await session.get()).body === ERRORS[1], "the session to end");
  });

  test("a probe need not be waited for", async () => {
    const session = await (await Polling.open(server)).join();
    const frames = session.frames();
    await frames.isOpen;
    frames.send("2probe", "5", '42["message",1]');
    assert.deepEqual([await frames.next(), await frames.next()], ["3probe", '42["message-back",1]']);
    frames.close();
  });

  test("a second WebSocket is closed and harms nobody", async () => {
    const session = await (await Polling.open(server)).join();
    const frames = await probed(session);
    assert.equal(await session.frames().end(), 1005, "during the upgrade");
    frames.send("5", '42["message",1]');
    assert.equal(await frames.next(), '42["message-back",1]');
    assert.equal(await session.frames().end(), 1005, "after it");
    frames.send('42["message",2]');
    assert.equal(await frames.next(), '42["message-back",2]');
    frames.close();
  });

  for (const [what, act] of [
    ["says something else", (frames) => frames.send("4abc")],
    ["goes away", (frames) => frames.close()],
    ["waits too long", () => {}],
  ]) {
    test(`a candidate that ${what} is closed and the session is not`, async () => {
      const session = await (await Polling.open(server)).join();
      const frames = await probed(session);
      act(frames);
      await frames.end();
      await echoes(session);
      const again = await probed(session);
      again.send("5", '42["message",1]');
      assert.equal(await again.next(), '42["message-back",1]');
      again.close();
    });
  }
});

withServer("what browsers need", { CORS: "http://a.example", COOKIE: "1", ALLOW_EIO3: "1" }, (server) => {
  const headers = { Origin: "http://a.example" };

  test("CORS headers are on every answer", async () => {
    const session = await Polling.open(server);
    const frames = await Frames.open(server, {}, { headers });
    const answers = await Promise.all([
      request(address(server), { headers }),
      request(address(server, { transport: "abc" }), { headers }),
      request(session.url(), { headers, method: "POST", body: "3" }),
      within(frames.headers, "101").then((it) => ({ headers: new Headers(it) })),
    ]);
    for (const answer of answers) {
      assert.equal(answer.headers.get("access-control-allow-origin"), "http://a.example");
      assert.equal(answer.headers.get("access-control-allow-credentials"), "true");
      assert.match(answer.headers.get("vary"), /Origin/);
    }
    frames.close();
  });

  test("other origins are not allowed in", async () => {
    const { headers: got } = await request(address(server), { headers: { Origin: "http://b.example" } });
    assert.notEqual(got.get("access-control-allow-origin"), "http://b.example");
    assert.notEqual(got.get("access-control-allow-origin"), "*");
  });

  test("a preflight is answered", async () => {
    for (const url of [address(server), address(server, { transport: "abc" })]) {
      const asked = { ...headers, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-one,x-two" };
      const { status, headers: got } = await request(url, { method: "OPTIONS", headers: asked });
      assert.equal(status, 204);
      assert.equal(got.get("access-control-allow-origin"), "http://a.example");
      assert.equal(got.get("access-control-allow-methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
      assert.equal(got.get("access-control-allow-headers"), "x-one,x-two");
      assert.match(got.get("vary"), /Access-Control-Request-Headers/);
      assert.equal(got.get("access-control-allow-credentials"), "true");
    }
  });

  test("the cookie is the session, on the handshake over polling only", async () => {
    const { headers: got, body } = await request(address(server));
    const { sid } = JSON.parse(body.slice(1));
    assert.equal(got.get("set-cookie"), `io=${sid}; Path=/; HttpOnly; SameSite=Lax`);
    const session = await Polling.open(server);
    assert.equal((await session.post("3")).headers.get("set-cookie"), null);
    const frames = await Frames.open(server);
    assert.equal((await frames.headers)["set-cookie"], undefined);
    frames.close();
  });

  for (const EIO of ["4", "3"]) {
    test(`JSONP, revision ${EIO}`, async () => {
      const read = ({ headers: got, body }) => {
        assert.equal(got.get("content-type"), "text/plain; charset=UTF-8");
        const call = /^___eio\[7\]\((".*")\);$/.exec(body);
        assert.ok(call, body);
        assert.doesNotMatch(body, /[\u2028\u2029]/);
        return JSON.parse(call[1]);
      };
      const opened = read(await request(address(server, { EIO, j: "7" })));
      const { sid } = JSON.parse(opened.slice(opened.indexOf("{"), opened.indexOf("}") + 1));
      const url = address(server, { EIO, j: "x7", sid });
      let heard = "";
      const hear = (text) => eventually(async () => heard.includes(text) || ((heard += read(await request(url))), false), text);
      const post = async (packet) => {
        const payload = EIO === "3" ? `${packet.length}:${packet}` : packet;
        // A form turns line ends into its own, hence the extra escape.
        const d = payload.replaceAll("\\n", "\\\\n");
        const { status, body } = await request(url, { method: "POST", body: new URLSearchParams({ d }) });
        assert.deepEqual([status, body], [200, "ok"]);
      };
      if (EIO === "4") await post("40");
      await hear('42["auth",{}]');
      await post('42["message","a\u2028b \\n"]');
      await hear('42["message-back","a\u2028b \\n"]');
    });
  }
});
