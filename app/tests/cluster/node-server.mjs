// A Node server of the same cluster: Socket.IO with the classic Redis adapter. REDIS is its URL; prints
// "ready <port>". It does what the tests' other servers do.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const pub = createClient({ url: process.env.REDIS });
const sub = pub.duplicate();
await Promise.all([pub.connect(), sub.connect()]);
const http = createServer();
const io = new Server(http, { adapter: createAdapter(pub, sub) });

function echoes(socket) {
  socket.on("join", (room, ack) => (socket.join(room), ack?.()));
  socket.on("say", (room, what) => socket.to(room).emit("said", what));
  socket.on("say-all", (...args) => socket.nsp.emit("said", ...args));
  socket.on("shout", (...args) => socket.broadcast.emit("said", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
}

io.on("connection", echoes);
io.of("/custom").on("connection", echoes);
http.listen(0, "127.0.0.1", () => console.log(`ready ${http.address().port}`));
