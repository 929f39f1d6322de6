// Two nodes with the same adapter, a client each, and everything that an app can do across nodes.
import { createServer } from "node:http";
import { once } from "node:events";
import { Server } from "socket.io";
import { io as connect } from "socket.io-client";
import { binary, odd, plain } from "./values.mjs";

export async function cluster(bus, createAdapter, options = {}) {
  const nodes = [];
  for (let index = 0; index < 2; index++) {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const io = new Server(http, { adapter: createAdapter(bus), ...options });
    const url = `http://127.0.0.1:${http.address().port}`;
    for (const name of ["/", "/chat"]) {
      io.of(name).on("connection", (socket) => {
        socket.join("everybody");
        socket.data.name = `é${index}`;
      });
    }
    const clients = [];
    for (const name of ["/", "/chat"]) {
      const client = connect(url + name, { transports: ["websocket"], multiplex: false, auth: { token: "t" } });
      await once(client, "connect");
      client.on("with ack", (...args) => args.at(-1)(index === 0 ? "one" : { two: Buffer.from("2") }));
      client.on("with empty ack", (...args) => args.at(-1)());
      clients.push(client);
    }
    nodes.push({ io, clients, http });
  }
  await settled();
  bus.log.length = 0;
  return nodes;
}

export function close(nodes) {
  for (const { io, clients } of nodes) {
    for (const client of clients) client.disconnect();
    io.close();
  }
}

export const settled = () => new Promise((resolve) => setTimeout(resolve, 60));

/** Each step is followed by a look at what was published. */
export async function play(nodes, take) {
  const [{ io }, other] = nodes;
  const step = async (what, act) => {
    await act();
    await settled();
    take(what);
  };
  for (const args of [...plain, ...odd, ...binary]) {
    await step(`emit ${args[0]}`, () => io.emit(...args));
  }
  const sid = other.clients[0].id;
  await step("one room", () => io.to("room1").emit("hi", "r"));
  await step("one socket", () => io.to(sid).emit("hi", "r"));
  await step("a room as long as a socket's id", () => io.to("x".repeat(20)).emit("hi"));
  await step("two rooms", () => io.to(["room1", "room 2"]).emit("hi"));
  await step("exceptions", () => io.except(["room1", "é"]).emit("hi"));
  await step("all but one", () => [...io.sockets.sockets.values()][0].broadcast.emit("hi"));
  await step("flags", () => io.volatile.compress(false).emit("hi"));
  await step("local", () => io.local.emit("nobody else hears this"));
  await step("namespace", () => io.of("/chat").to("everybody").emit("hi"));
  await step("join", () => io.in("everybody").except("nobody").socketsJoin(["a", "b"]));
  await step("leave", () => io.socketsLeave("b"));
  await step("fetch", () => io.in("everybody").fetchSockets());
  await step("fetch nobody", () => io.in("nowhere").fetchSockets());
  other.io.on("answered", (...args) => args.at(-1)({ got: args.slice(0, -1) }));
  other.io.on("answered with nothing", (...args) => args.at(-1)());
  other.io.on("answered with bytes", (...args) => args.at(-1)(Buffer.from([1, 2])));
  await step("server side emit", () => io.serverSideEmit("told", { x: [1] }, null));
  await step("server side emit with bytes", () => io.serverSideEmit("told", Buffer.from([1, 2])));
  for (const name of ["answered", "answered with nothing", "answered with bytes"]) {
    await step(`server side emit ${name}`, () => io.serverSideEmitWithAck(name, 1));
  }
  await step("acknowledged", () => io.timeout(1000).emitWithAck("with ack", { q: 1 }));
  await step("acknowledged by one", () => io.to(sid).timeout(1000).emitWithAck("with empty ack"));
  await step("acknowledged binary", () => io.timeout(1000).emitWithAck("with ack", Buffer.from("q")));
  await step("disconnect", () => io.of("/chat").in("everybody").disconnectSockets());
  await step("disconnect and close", () => io.of("/chat").disconnectSockets(true));
}
