// The official clients, every supported major version over every transport, with each parser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  alongside, ask, CLIENTS, connect, eventually, next, PARSERS, reference, TRANSPORTS, unread, withServer,
} from "./harness.mjs";

const LIMIT = 100_000;
const NESTED = { text: "a", list: [Buffer.from([0, 1, 255]), { deep: Buffer.alloc(0) }], last: Buffer.from("é") };
const ECHOED = [
  ["text", ["hello", "wörld €😀 \u2028\u0000\u001e", ""]],
  ["JSON", [1, -0.5, true, null, { a: [{}], "": { é: [] } }]],
  ["nothing", []],
  ["binary", [Buffer.from([1, 2, 3]), "between", NESTED]],
];

for (const [parser, { env: spoken, options: parsing, versions }] of Object.entries(PARSERS)) {
  for (const version of versions) {
    const env = { ...CLIENTS[version].env, ...spoken, MAX_HTTP_BUFFER_SIZE: String(LIMIT) };
    withServer(`socket.io-client ${version}, parser ${parser}`, env, (server) => {
      for (const transport of Object.keys(TRANSPORTS)) {
        const on = (t, options) => connect(t, server, version, transport, { ...parsing, ...options });
        for (const [name, body] of Object.entries(scenarios(server, version, transport, parser))) {
          test(`${transport}: ${name}`, { timeout: 30_000 }, (t) => body((options) => on(t, options)));
        }
      }
    });
  }
}

async function connected(socket) {
  await next(socket, "connect");
  return socket;
}

/** Fails when anything is said to the socket before the answer to a question. */
async function nothingSaid(socket) {
  await ask(socket, "message-with-ack");
  assert.equal(unread(socket, "said"), 0);
}

function scenarios(server, version, transport, parser) {
  const revision4 = version === "2";
  const all = {
    async "connects, with its id and its transport"(on) {
      const socket = await connected(on());
      assert.match(socket.id, /^[\w-]{20}$/);
      const final = transport === "polling" ? "polling" : "websocket";
      const me = await eventually(async () => {
        const [me] = await ask(socket, "whoami");
        return me.transport === final && me;
      }, `transport ${final}`);
      assert.equal(me.id, socket.id);
      assert.equal(socket.id === socket.io.engine.id, revision4, "is it the engine's id");
      assert.deepEqual(await ask(socket, "rooms"), [[socket.id]]);
    },

    async "sends what it authenticates with"(on) {
      const auth = { token: "tökén", n: [1] };
      if (revision4) {
        // There the query of the namespace takes the place of the CONNECT packet's payload.
        const socket = await connected(on({ namespace: "/custom?token=abc" }));
        assert.deepEqual(await next(socket, "auth"), [{ token: "abc" }]);
        assert.deepEqual(await next(await connected(on()), "auth"), [{}]);
      } else {
        assert.deepEqual(await next(on({ auth }), "auth"), [auth]);
        assert.deepEqual(await next(on(), "auth"), [{}]);
      }
    },

    async "gets everything back, in order"(on) {
      const socket = await connected(on());
      // What does not fit into 64 bits is changed by the MessagePack of the client itself.
      const all = parser === "msgpack" ? ECHOED : [...ECHOED, ["large numbers", [1e21, -1e300]]];
      for (const [, args] of all) socket.emit("message", ...args);
      for (const [name, args] of all) assert.deepEqual(await next(socket, "message-back"), args, name);
      for (const [name, args] of all) assert.deepEqual(await ask(socket, "message-with-ack", ...args), args, name);
    },

    async "acknowledges what the server asks"(on) {
      const socket = await connected(on());
      socket.on("question", (question, answer) => answer({ to: question }, NESTED));
      assert.deepEqual(await ask(socket, "ask", { q: "é" }), [{ to: { q: "é" } }, NESTED]);
      const many = Array.from({ length: 50 }, (_, n) => ask(socket, "ask", n));
      assert.deepEqual((await Promise.all(many)).map(([it]) => it.to), [...many.keys()]);
    },

    async "has a thousand acknowledgements outstanding"(on) {
      const socket = await connected(on());
      const order = [];
      const ordered = Array.from({ length: 1000 }, (_, n) =>
        ask(socket, "message-with-ack", n).then(([it]) => (order.push(it), it)),
      );
      const numbers = [...ordered.keys()];
      assert.deepEqual(await Promise.all(ordered), numbers, "each has its own answer");
      assert.deepEqual(order, numbers, "in order");
      const slow = numbers.map((n) => ask(socket, "slow", 100, n));
      assert.deepEqual((await Promise.all(slow)).map(([it]) => it), numbers, "when all of them wait");
    },

    async "hears its rooms and nothing else"(on) {
      const [a, b, c] = await Promise.all([on(), on(), on()].map(connected));
      await Promise.all([a, b].map((it) => ask(it, "join", "room é")));
      assert.deepEqual((await ask(b, "rooms"))[0].sort(), [b.id, "room é"].sort());
      a.emit("say", "room é", { n: 1 });
      a.emit("say", b.id, "to one");
      a.emit("say-all", "end", Buffer.from([7]));
      assert.deepEqual(await next(b, "said"), [{ n: 1 }]);
      assert.deepEqual(await next(b, "said"), ["to one"]);
      for (const it of [a, b, c]) assert.deepEqual(await next(it, "said"), ["end", Buffer.from([7])]);
      await ask(b, "leave", "room é");
      a.emit("say", "room é", "to nobody");
      a.emit("shout", "others");
      for (const it of [b, c]) assert.deepEqual(await next(it, "said"), ["others"]);
      await nothingSaid(a);
    },

    async "drops volatile messages or delivers them, once"(on) {
      const [a, b] = await Promise.all([on(), on()].map(connected));
      const got = [];
      b.on("said", (n) => got.push(n));
      let sent = 0;
      await eventually(async () => {
        a.emit("say-volatile", (sent += 1));
        await sleep(10);
        return got.length >= 3;
      }, "volatile messages");
      await ask(b, "message-with-ack");
      assert.deepEqual(got, [...new Set(got)].sort((x, y) => x - y), "none twice, none out of order");
      assert.ok(got.at(-1) <= sent);
    },

    async "keeps namespaces apart on one connection"(on) {
      const main = await connected(on());
      const custom = await connected(alongside(main, "/custom"));
      assert.equal(custom.id === main.id, false);
      if (revision4) assert.equal(custom.id, `/custom#${main.io.engine.id}`);
      custom.emit("message", "custom", Buffer.from([1]));
      main.emit("message", "main");
      assert.deepEqual(await next(custom, "message-back"), ["custom", Buffer.from([1])]);
      assert.deepEqual(await next(main, "message-back"), ["main"]);
      custom.emit("say-all", "only there");
      assert.deepEqual(await next(custom, "said"), ["only there"]);
      await nothingSaid(main);
    },

    async "joins namespaces that nobody has declared"(on) {
      const [main, other] = await Promise.all([on(), on()].map(connected));
      const [a, b, elsewhere] = await Promise.all(
        [[main, "/dynamic-1"], [other, "/dynamic-1"], [other, "/dynamic-2"]].map(([it, namespace]) =>
          connected(alongside(it, namespace)),
        ),
      );
      assert.deepEqual(await ask(a, "namespace"), ["/dynamic-1"]);
      assert.deepEqual(await ask(elsewhere, "namespace"), ["/dynamic-2"]);
      await Promise.all([b, elsewhere].map((it) => ask(it, "join", "room")));
      a.emit("say", "room", "one");
      a.emit("say-all", "all", Buffer.from([7]));
      assert.deepEqual(await next(b, "said"), ["one"]);
      for (const it of [a, b]) assert.deepEqual(await next(it, "said"), ["all", Buffer.from([7])]);
      await nothingSaid(elsewhere);
      await nothingSaid(main);
      const [refused] = await next(alongside(main, "/dynamic-x"), revision4 ? "error" : "connect_error");
      assert.equal(refused.message, "Invalid namespace");
    },

    async "is held to what a middleware says"(on) {
      const strict = await connected(on({ namespace: "/strict" }));
      strict.emit("forbidden");
      assert.deepEqual(await next(strict, "problem"), ["not you"]);
      assert.deepEqual(await ask(strict, "message-with-ack", 1), [1]);
      assert.equal(unread(strict, "problem"), 0);
    },

    async "loses nothing that is sent while it is being admitted"(on) {
      const socket = on({ namespace: "/late" });
      for (let n = 0; n < 5; n += 1) socket.emit("message", n);
      for (let n = 0; n < 5; n += 1) assert.deepEqual(await next(socket, "message-back"), [n]);
    },

    async "is told why it is not admitted"(on) {
      const main = await connected(on());
      for (const [namespace, message, data] of [["/denied", "nope", { code: 7 }], ["/zzz", "Invalid namespace"]]) {
        const other = alongside(main, namespace);
        if (revision4) {
          assert.deepEqual(await next(other, "error"), [data ?? { message }]);
        } else {
          const [error] = await next(other, "connect_error");
          assert.equal(error.message, message);
          assert.deepEqual(error.data, data);
        }
        assert.equal(other.connected, false);
        await ask(main, "message-with-ack");
      }
    },

    async "leaves, and comes back as another"(on) {
      const socket = await connected(on());
      const before = socket.id;
      const { engine } = socket.io;
      socket.disconnect();
      assert.equal((await next(socket, "disconnect"))[0], "io client disconnect");
      // The old connection's end, when it comes later, is taken by the client for that of the new.
      await eventually(() => engine.readyState === "closed", "the connection to close");
      await sleep(20);
      socket.connect();
      await connected(socket);
      assert.notEqual(socket.id, before);
      assert.deepEqual(await ask(socket, "rooms"), [[socket.id]]);
    },

    async "is sent away from one namespace"(on) {
      const main = await connected(on());
      const custom = await connected(alongside(main, "/custom"));
      custom.emit("bye", false);
      assert.equal((await next(custom, "disconnect"))[0], "io server disconnect");
      assert.deepEqual(await ask(main, "message-with-ack", 1), [1]);
      custom.connect();
      await connected(custom);
      assert.deepEqual(await ask(custom, "message-with-ack", 2), [2]);
    },

    async "is sent away altogether"(on) {
      const main = await connected(on());
      const custom = await connected(alongside(main, "/custom"));
      main.emit("bye", true);
      for (const it of [main, custom]) assert.equal((await next(it, "disconnect"))[0], "io server disconnect");
      await eventually(() => main.io.engine.readyState === "closed", "the connection to close");
    },

    async "sends as much as the limit allows, and no more"(on) {
      const [big, bystander] = await Promise.all([on(), on()].map(connected));
      // What is binary is base64 in a polling body.
      const much = "x".repeat(parser === "msgpack" && transport !== "websocket" ? LIMIT * 0.7 : LIMIT - 100);
      assert.deepEqual(await ask(big, "message-with-ack", much), [much]);
      const bytes = Buffer.alloc(Math.floor(LIMIT * 0.7), 0xa5);
      assert.deepEqual(await ask(big, "message-with-ack", bytes), [bytes]);
      big.emit("message", "x".repeat(LIMIT + 1));
      assert.match((await next(big, "disconnect"))[0], /^transport (close|error)$/);
      assert.equal(unread(big, "message-back"), 0);
      assert.deepEqual(await ask(bystander, "message-with-ack", 1), [1]);
    },
  };
  for (const event of reference ? [] : ["boom", "boom-later"]) {
    all[`${event} harms nobody else`] = async (on) => {
      const [victim, bystander] = await Promise.all([on(), on()].map(connected));
      victim.emit(event);
      await next(victim, "disconnect");
      assert.deepEqual(await ask(bystander, "message-with-ack", 1), [1]);
      bystander.emit("say-all", "still here");
      assert.deepEqual(await next(bystander, "said"), ["still here"]);
      assert.deepEqual(await ask(await connected(on()), "message-with-ack", 2), [2]);
      assert.ok(server.alive());
    };
  }
  return all;
}
