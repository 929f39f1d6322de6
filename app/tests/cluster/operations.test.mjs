// What one server of a cluster has all others do, by each of Node's adapters, from and to servers of each kind.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Emitter } from "@socket.io/redis-emitter";
import { createClient } from "redis";
import { Cluster, client, eventually } from "./cluster.mjs";

const ADAPTERS = [
  ["classic", {}],
  ["classic, answers on a channel of their own", { SPECIFIC: "1" }],
  ["sharded, static", { ADAPTER: "static" }],
  ["sharded, dynamic", { ADAPTER: "dynamic" }],
  ["sharded, dynamic-private", { ADAPTER: "dynamic-private" }],
];
const ADAPTER_OPTIONS = ({ ADAPTER }) => (ADAPTER ? ["--redis-adapter", "sharded", "--subscription-mode", ADAPTER] : []);
const run = promisify(execFile);
const SHARDS = Number(process.env.SHARDS ?? "2");
const EVERYBODY = { rooms: [], except: [] };
const ids = (clients) => clients.map(({ socket }) => socket.id).sort();
const rooms = (...names) => ({ rooms: names, except: [] });

for (const [name, env] of ADAPTERS) {
  describe(`operations of a cluster, ${name}`, { timeout: 120_000 }, () => {
    const cluster = new Cluster(env);
    const everyone = [];
    // One of each server.
    let askers;
    let url;

    const join = async (room, ...members) => {
      for (const member of members) await member.ask("join", room);
      // A subscription of its own takes a moment.
      await sleep(100);
    };
    const fetched = async (asker, whom) => {
      const [sockets, missing] = await asker.ask("fetch", whom);
      assert.deepEqual(missing, []);
      return sockets;
    };
    const isEverybody = async (asker, whom, expected) =>
      eventually(async () => assert.deepEqual((await fetched(asker, whom)).map(({ id }) => id).sort(), ids(expected)), "sockets");

    before(async () => {
      url = await cluster.redis();
      const servers = await Promise.all(["node", "yamabiko", "yamabiko"].map((kind) => cluster.serve(kind, url)));
      for (const [at, server] of servers.entries()) {
        for (const each of [0, 1]) {
          const options = { auth: { token: at * 10 + each }, extraHeaders: { "X-Agent": `agent ${at}` } };
          everyone.push(await client(server, "/operations", options));
        }
      }
      askers = [everyone[0], everyone[2], everyone[4]];
      for (const asker of askers) await isEverybody(asker, EVERYBODY, everyone);
    });

    after(() => {
      for (const { socket } of everyone) socket.disconnect();
      cluster.end();
    });

    test("sockets are fetched with all that is known of them", async () => {
      for (const [at, each] of everyone.entries()) await each.ask("set-data", { at, text: "é" });
      await join("fetched", everyone[1], everyone[3]);
      for (const asker of askers) {
        const seen = await fetched(asker, EVERYBODY);
        for (const [at, { socket }] of everyone.entries()) {
          const one = seen.find(({ id }) => id === socket.id);
          assert.deepEqual(one.data, { at, text: "é" });
          assert.equal(one.transport, "websocket");
          assert.equal(one.agent, `agent ${Math.floor(at / 2)}`);
          assert.equal(one.token, Math.floor(at / 2) * 10 + (at % 2));
          const own = at === 1 || at === 3 ? [socket.id, "fetched"] : [socket.id];
          assert.deepEqual(one.rooms.sort(), own.sort());
        }
      }
    });

    test("some of them: in rooms, but not in others, by id, of one server", async () => {
      await join("some", everyone[0], everyone[2], everyone[5]);
      await join("but", everyone[2]);
      for (const asker of askers) {
        await isEverybody(asker, rooms("some"), [everyone[0], everyone[2], everyone[5]]);
        await isEverybody(asker, { rooms: ["some"], except: ["but"] }, [everyone[0], everyone[5]]);
        await isEverybody(asker, { rooms: [], except: ["some"] }, [everyone[1], everyone[3], everyone[4]]);
        await isEverybody(asker, rooms("nowhere"), []);
        for (const each of everyone) await isEverybody(asker, rooms(each.socket.id), [each]);
        const own = everyone.filter(({ server }) => server === asker.server);
        await isEverybody(asker, { ...EVERYBODY, local: true }, own);
      }
    });

    test("sockets join and leave rooms", async () => {
      for (const [at, asker] of askers.entries()) {
        const [first, second] = [`first ${at}`, `second ${at}`];
        await asker.ask("sockets-join", EVERYBODY, [first, second]);
        await isEverybody(asker, rooms(first), everyone);
        await asker.ask("sockets-leave", rooms(first), [second]);
        for (const each of everyone) {
          await eventually(async () => assert.ok(!(await each.ask("rooms"))[0].includes(second)), "leaving");
          assert.ok((await each.ask("rooms"))[0].includes(first));
        }
        await asker.ask("sockets-leave", rooms(everyone[3].socket.id), [first]);
        await isEverybody(asker, rooms(first), everyone.filter((each) => each !== everyone[3]));
        await asker.ask("sockets-leave", EVERYBODY, [first]);
        await isEverybody(asker, rooms(first), []);
      }
    });

    test("everybody acknowledges", async () => {
      for (const each of everyone) each.socket.on("question", (what, answer) => answer(`${what} ${each.socket.id}`));
      await join("asked", everyone[0], everyone[3], everyone[4]);
      for (const asker of askers) {
        const [answers, missing] = await asker.ask("poll", EVERYBODY, 5000, "all");
        assert.deepEqual([answers.sort(), missing], [ids(everyone).map((id) => `all ${id}`), 0]);
        const [some] = await asker.ask("poll", rooms("asked"), 5000, "some");
        assert.deepEqual(some.sort(), ids([everyone[0], everyone[3], everyone[4]]).map((id) => `some ${id}`));
        const [none] = await asker.ask("poll", rooms("nowhere"), 5000, "none");
        assert.deepEqual(none, []);
      }
      for (const each of everyone) each.socket.removeAllListeners("question");
    });

    test("who does not acknowledge is missing, and the others' answers are there", async () => {
      const answering = everyone.filter((_, at) => at !== 2);
      for (const each of answering) each.socket.on("question", (_, answer) => answer(each.socket.id));
      for (const asker of askers) {
        const [answers, missing] = await asker.ask("poll", EVERYBODY, 500, "?");
        assert.deepEqual(answers.sort(), ids(answering));
        assert.equal(missing, 1);
      }
      for (const each of everyone) each.socket.removeAllListeners("question");
    });

    test("binary answers", async () => {
      for (const each of everyone) each.socket.on("question", (_, answer) => answer({ bytes: Buffer.from([0, 255]) }));
      for (const asker of askers) {
        const [answers] = await asker.ask("poll-bytes", EVERYBODY);
        assert.equal(answers.length, everyone.length);
        for (const { bytes } of answers) assert.deepEqual([...Buffer.from(bytes)], [0, 255]);
      }
      for (const each of everyone) each.socket.removeAllListeners("question");
    });

    test("servers are told", async () => {
      for (const asker of askers) {
        const heard = new Set();
        for (const each of everyone) each.socket.on("told", (what) => heard.add(`${what} ${each.socket.id}`));
        await asker.ask("tell-servers", "news");
        // On the asker's own node its other shards hear it, as they have applications of their own.
        const others = everyone.filter(({ server }) => server !== asker.server);
        await eventually(async () => {
          for (const { socket } of others) assert.ok(heard.has(`news ${socket.id}`));
        }, "others to hear of it");
        for (const each of everyone) each.socket.removeAllListeners("told");
      }
    });

    test("servers are asked", async () => {
      for (const asker of askers) {
        const [answers, missing] = await asker.ask("ask-servers", "how?");
        assert.equal(missing, 0);
        const ours = answers.filter(({ yamabiko }) => yamabiko === "how?").length;
        const nodes = answers.filter(({ node }) => node === "how?").length;
        const count = (kind) => new Set(askers.filter(({ server }) => server.kind === kind && server !== asker.server)).size;
        assert.equal(nodes, count("node"));
        const ownShards = asker.server.kind === "yamabiko" ? SHARDS - 1 : 0;
        assert.equal(ours, count("yamabiko") + ownShards);
      }
    });

    if (!env.ADAPTER) {
      test("an emitter has sockets join, leave and go, and servers told", async () => {
        const talker = createClient({ url });
        await talker.connect();
        const emitter = new Emitter(talker).of("/operations");
        emitter.socketsJoin("from outside");
        await isEverybody(askers[0], rooms("from outside"), everyone);
        emitter.in(everyone[4].socket.id).socketsLeave("from outside");
        await isEverybody(askers[1], rooms("from outside"), everyone.filter((each) => each !== everyone[4]));
        const heard = new Set();
        for (const each of everyone) each.socket.on("told", (what) => heard.add(`${what} ${each.socket.id}`));
        emitter.serverSideEmit("told", "from outside");
        await eventually(async () => assert.equal(heard.size, everyone.length), "all servers to hear of it");
        for (const each of everyone) each.socket.removeAllListeners("told");
        await talker.quit();
      });
    }

    if (process.env.YAMABIKO) {
      test("the command line sends, and has sockets join, leave and go", async () => {
        const options = ADAPTER_OPTIONS(env);
        const emit = (...args) =>
          run(process.env.YAMABIKO, ["emit", "--redis", url, ...options, "--namespace", "operations", ...args], { timeout: 10_000 });
        await emit("--join", "typed");
        await isEverybody(askers[0], rooms("typed"), everyone);
        await emit("--to", everyone[1].socket.id, "--leave", "typed");
        const left = everyone.filter((each) => each !== everyone[1]);
        await isEverybody(askers[1], rooms("typed"), left);
        await sleep(100);
        await emit("--to", "typed", "--except", everyone[5].socket.id, "said", '{"price":[1,"é"]}', "null");
        for (const each of left.slice(0, -1)) assert.deepEqual(await each.next(), [{ price: [1, "é"] }, null]);
        // Ids may begin with a hyphen, and numbers too.
        await emit("--join", "-typed-", "--except", "-nobody", "said", "-7.5");
        for (const each of everyone) assert.deepEqual(await each.next(), [-7.5]);
        await emit("--to", "-typed-", "--leave", "-typed-", "--text", "said", "plain");
        for (const each of everyone) assert.deepEqual(await each.next(), ["plain"]);
        const told = Promise.all(everyone.map(({ socket }) => new Promise((done) => socket.once("told", done))));
        await emit("--server-side", "told", "7");
        assert.deepEqual(await told, everyone.map(() => 7));
        for (const [args, complaint] of [[["said", "{"], /'\{' is no JSON/], [[], /nothing to do/], [["connect"], /reserved/]]) {
          await assert.rejects(emit(...args), ({ code, stderr }) => code === 1 && complaint.test(stderr));
        }
        const nowhere = ["emit", "--redis", "redis://127.0.0.1:1", "--patience", "1", "said"];
        await assert.rejects(run(process.env.YAMABIKO, nowhere), ({ stderr }) => /Redis cannot be reached/.test(stderr));
        for (const { unheard } of everyone) assert.equal(unheard(), 0);
      });
    }

    test("a stream of broadcasts, in order and each once", async () => {
      await join("stream", ...everyone);
      for (const asker of askers) {
        const got = new Map(everyone.map((each) => [each, []]));
        for (const each of everyone) each.socket.on("question", (number, answer) => (got.get(each).push(number), answer(number)));
        for (let number = 0; number < 50; number += 1) {
          const whom = number % 2 === 0 ? EVERYBODY : rooms("stream");
          const [answers] = await asker.ask("poll", whom, 5000, number);
          assert.equal(answers.length, everyone.length);
        }
        for (const numbers of got.values()) assert.deepEqual(numbers, [...Array(50).keys()]);
        for (const each of everyone) each.socket.removeAllListeners("question");
      }
    });

    test("sockets are disconnected", async () => {
      for (const asker of askers) {
        const victim = everyone[(everyone.indexOf(asker) + 3) % everyone.length];
        const reason = new Promise((done) => victim.socket.once("disconnect", done));
        await asker.ask("disconnect-sockets", rooms(victim.socket.id), false);
        assert.equal(await reason, "io server disconnect");
        const back = new Promise((done) => victim.socket.once("connect", done));
        victim.socket.connect();
        await back;
        await isEverybody(asker, EVERYBODY, everyone);
      }
    });
  });
}
