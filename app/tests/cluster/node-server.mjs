// A Node server of the same cluster: Socket.IO with a Redis adapter. REDIS is its URL, ADAPTER a subscription
// mode (the sharded adapter; without it the classic one), SPECIFIC=1 publishOnSpecificResponseChannel. Prints
// "ready <port>". It does what the example `interop` does.
import { createServer } from "node:http";
import { createAdapter, createShardedAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const { REDIS, ADAPTER, SPECIFIC } = process.env;
const pub = createClient({ url: REDIS });
const sub = pub.duplicate();
await Promise.all([pub.connect(), sub.connect()]);
const adapter = ADAPTER
  ? createShardedAdapter(pub, sub, { subscriptionMode: ADAPTER })
  : createAdapter(pub, sub, { publishOnSpecificResponseChannel: SPECIFIC === "1" });
const http = createServer();
const io = new Server(http, { adapter });

function echoes(socket) {
  socket.on("join", (room, ack) => (socket.join(room), ack?.()));
  socket.on("say", (room, what) => socket.to(room).emit("said", what));
  socket.on("say-all", (...args) => socket.nsp.emit("said", ...args));
  socket.on("shout", (...args) => socket.broadcast.emit("said", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
}

io.on("connection", echoes);
io.of("/custom").on("connection", echoes);

const operations = io.of("/operations");

function whom({ rooms, except, local }) {
  let some = operations.except(except);
  for (const room of rooms) some = some.to(room);
  return local ? some.local : some;
}

operations.on("connection", (socket) => {
  socket.on("join", (room, ack) => (socket.join(room), ack()));
  socket.on("set-data", (data, ack) => ((socket.data = data), ack()));
  socket.on("rooms", (ack) => ack([...socket.rooms]));
  socket.on("fetch", async (target, ack) => {
    const sockets = await whom(target).fetchSockets();
    const seen = sockets.map(({ id, rooms, data, handshake }) => ({
      id,
      rooms: [...rooms],
      data,
      transport: handshake.query.transport,
      agent: handshake.headers["x-agent"],
      token: handshake.auth.token,
    }));
    ack(seen, []);
  });
  socket.on("sockets-join", (target, rooms, ack) => (whom(target).socketsJoin(rooms), ack()));
  socket.on("sockets-leave", (target, rooms, ack) => (whom(target).socketsLeave(rooms), ack()));
  socket.on("disconnect-sockets", (target, close, ack) => (whom(target).disconnectSockets(close), ack()));
  socket.on("poll", (target, ms, what, ack) => {
    whom(target).timeout(ms).emit("question", what, (error, answers) => ack(answers, error ? 1 : 0));
  });
  socket.on("poll-bytes", async (target, ack) => ack(await whom(target).timeout(5000).emitWithAck("question", "?")));
  socket.on("tell-servers", (what, ack) => (operations.serverSideEmit("told", what), ack()));
  socket.on("ask-servers", async (what, ack) => {
    try {
      ack(await operations.serverSideEmitWithAck("asked", what), 0);
    } catch (error) {
      ack(error.responses, 1);
    }
  });
});
operations.on("told", (what) => operations.local.emit("told", what));
operations.on("asked", (what, answer) => answer({ node: what }));

http.listen(0, "127.0.0.1", () => console.log(`ready ${http.address().port}`));
