// The emitters that PUBLISH, and adapters of old, whose broadcasts are the same.
import { createRequire } from "node:module";
import { Bus } from "./bus.mjs";
import { binary, odd, plain } from "./values.mjs";

const require = createRequire(import.meta.url);
const notepack = require("notepack.io");
const notepack2 = require("socket.io-redis-6/node_modules/notepack.io");
const lite = require("msgpack-lite");
const js = require("msgpack-js");

export async function record(recorder) {
  current(recorder);
  legacy(recorder, "socket.io-emitter@3", "socket.io-emitter-3", notepack2.decode);
  legacy(recorder, "socket.io-emitter@2", "socket.io-emitter-2", lite.decode);
  legacy(recorder, "socket.io-emitter@1", "socket.io-emitter-1", js.decode);
  adapter(recorder, "socket.io-redis@5", "socket.io-redis-5", notepack2.decode);
  adapter(recorder, "socket.io-redis@3", "socket.io-redis-3", lite.decode);
  adapter(recorder, "socket.io-redis@1", "socket.io-redis-1", js.decode);
  await old(recorder);
  await six(recorder);
}

function current(recorder) {
  const bus = new Bus();
  const { Emitter } = require("@socket.io/redis-emitter");
  const io = new Emitter(bus.client());
  const take = (what) => recorder.take(bus, "@socket.io/redis-emitter", what, notepack.decode);
  for (const args of [...plain, ...odd, ...binary]) {
    io.emit(...args);
    take(String(args[0]));
  }
  io.to("room1").emit("hi");
  take("one room");
  io.to("room1").to("room 2").except("é").emit("hi");
  take("two rooms and an exception");
  io.to(7).emit("hi");
  take("a room that is a number");
  io.volatile.compress(false).emit("hi");
  take("flags");
  io.of("chat").to("a").emit("hi");
  take("namespace");
  io.to("a").except("b").socketsJoin(["c", "d"]);
  take("join");
  io.socketsLeave("c");
  take("leave");
  io.in("a").disconnectSockets(true);
  take("disconnect");
  io.disconnectSockets();
  take("disconnect all");
  io.serverSideEmit("ev", { x: [1] }, null);
  take("server side emit");
}

function legacy(recorder, writer, name, decode) {
  const bus = new Bus();
  const io = require(name)(bus.client());
  const take = (what) => recorder.take(bus, writer, what, decode);
  for (const args of [...plain, ...odd, ...binary]) {
    io.emit(...args);
    take(String(args[0]));
  }
  io.to("a").emit("hi");
  take("one room");
  io.to("a").in("b").emit("hi");
  take("two rooms");
  io.json.volatile.broadcast.of("/nsp").to("a").emit("hi", Buffer.from("x"));
  take("flags, namespace, binary");
}

/** A namespace without sockets, as far as old adapters look at it. */
function namespace(name) {
  const encoder = { encode: (_packet, done) => done?.([]) ?? [] };
  return { name, connected: {}, sockets: new Map(), server: { encoder } };
}

function adapter(recorder, writer, name, decode) {
  const bus = new Bus();
  const Adapter = require(name)({ pubClient: bus.client(), subClient: bus.client() });
  const io = new Adapter(namespace("/nsp"));
  const take = (what) => recorder.take(bus, writer, what, decode);
  for (const args of [...plain, ...odd]) {
    io.broadcast({ type: 2, data: args }, { rooms: [], flags: {} });
    take(String(args[0]));
  }
  for (const args of binary) {
    io.broadcast({ type: 5, data: args }, { rooms: ["a"], flags: {} });
    take(String(args[0]));
  }
  io.broadcast({ type: 2, data: ["hi"] }, { except: ["a"], rooms: ["b", "c"], flags: { broadcast: true } });
  take("rooms and an exception");
  io.broadcast({ type: 2, data: ["hi"] }, { rooms: undefined, flags: undefined });
  take("nothing said of rooms");
}

/** The requests and responses of socket.io-redis 5, which have numbers of their own. */
async function old(recorder) {
  const bus = new Bus();
  const nodes = [1, 2].map(() => {
    const Adapter = require("socket.io-redis-5")({ pubClient: bus.client(), subClient: bus.client() });
    const nsp = namespace("/nsp");
    const io = new Adapter(nsp);
    const socket = { join: (_room, done) => done(), leave: (_room, done) => done(), disconnect: () => {} };
    return { io, nsp, socket };
  });
  const [{ io }, other] = nodes;
  other.nsp.connected.sid = other.socket;
  other.io.sids.sid = { sid: true, room: true };
  other.io.rooms.room = { sockets: { sid: true }, length: 1 };
  other.io.customHook = (data, answer) => answer({ heard: data });
  io.customHook = (data, answer) => answer("é");
  const done = (call) => new Promise((resolve) => call(resolve));
  const take = (what) => recorder.take(bus, "socket.io-redis@5", what);
  const calls = [
    ["clients", (resolve) => io.clients(["room"], resolve)],
    ["clientRooms", (resolve) => io.clientRooms("sid", resolve)],
    ["allRooms", (resolve) => io.allRooms(resolve)],
    ["remoteJoin", (resolve) => io.remoteJoin("sid", "room", resolve)],
    ["remoteLeave", (resolve) => io.remoteLeave("sid", "room", resolve)],
    ["remoteDisconnect", (resolve) => io.remoteDisconnect("sid", true, resolve)],
    ["customRequest", (resolve) => io.customRequest({ any: [1, "thing"] }, resolve)],
  ];
  for (const [what, call] of calls) {
    await done(call);
    take(what);
  }
}

/** socket.io-redis 6, the first of the current generation. */
async function six(recorder) {
  const bus = new Bus();
  const { createAdapter } = require("socket.io-redis-6");
  const nodes = [1, 2].map(() => {
    const nsp = namespace("/nsp");
    const io = createAdapter({ pubClient: bus.client(), subClient: bus.client() })(nsp);
    return { io, nsp };
  });
  const [{ io }, other] = nodes;
  other.nsp.sockets.set("sid", { id: "sid", packet: () => {}, join: () => {}, leave: () => {}, disconnect: () => {}, handshake: { t: 1 }, rooms: new Set(["sid"]), data: {} });
  other.io.addAll("sid", new Set(["sid", "room"]));
  const take = (what) => recorder.take(bus, "socket.io-redis@6", what, notepack2.decode);
  const opts = { rooms: new Set(["room"]), except: new Set() };
  for (const args of [...plain, ...odd, ...binary]) {
    io.broadcast({ type: 2, data: args }, { ...opts, flags: {} });
    take(String(args[0]));
  }
  const calls = [
    ["sockets", () => io.sockets(new Set(["room"]))],
    ["allRooms", () => io.allRooms()],
    ["remoteJoin", () => io.remoteJoin("sid", "room")],
    ["remoteLeave", () => io.remoteLeave("sid", "room")],
    ["remoteDisconnect", () => io.remoteDisconnect("sid", true)],
    ["fetchSockets", () => io.fetchSockets(opts)],
    ["addSockets", () => io.addSockets(opts, ["a", "b"])],
    ["delSockets", () => io.delSockets(opts, ["a", "b"])],
    ["disconnectSockets", () => io.disconnectSockets(opts, false)],
  ];
  for (const [what, call] of calls) {
    await call();
    await new Promise(setImmediate);
    take(what);
  }
}
