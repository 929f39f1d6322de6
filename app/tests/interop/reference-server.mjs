// The same application as the example `interop`, on the reference implementation, so that each
// test can be held against what it claims to describe. `boom` and `boom-later` are absent: there an
// exception ends the process. Environment and output are those of the example; SHARDS means nothing.
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "socket.io";
import msgpack from "socket.io-msgpack-parser";

const { env } = process;
const number = (name) => (env[name] === undefined ? undefined : Number(env[name]));

const options = {
  parser: env.PARSER === "msgpack" ? msgpack : undefined,
  path: env.EIO_PATH,
  pingInterval: number("PING_INTERVAL"),
  pingTimeout: number("PING_TIMEOUT"),
  connectTimeout: number("CONNECT_TIMEOUT"),
  upgradeTimeout: number("UPGRADE_TIMEOUT"),
  maxHttpBufferSize: number("MAX_HTTP_BUFFER_SIZE"),
  allowEIO3: env.ALLOW_EIO3 === "1",
  cookie: env.COOKIE === undefined ? undefined : true,
  connectionStateRecovery: env.RECOVERY === "1" ? {} : undefined,
  cors: env.CORS && { origin: env.CORS === "*" ? "*" : [env.CORS], credentials: true },
};
// An option that is present and undefined would replace its default.
for (const name of Object.keys(options)) if (options[name] === undefined) delete options[name];

if (env.HOOKS === "1") {
  options.allowRequest = async (request, decide) => {
    await sleep(5);
    const message = new URL(request.url, "http://localhost").searchParams.get("refuse");
    decide(message, message === null);
  };
}

const http = createServer((_, response) => response.writeHead(404).end());
// Node ends idle connections after 5 s, and a busy client may be using one just then.
http.keepAliveTimeout = 120_000;
const io = new Server(http, options);

function echoes(socket) {
  socket.emit("auth", socket.handshake.auth);
  socket.on("message", (...args) => socket.emit("message-back", ...args));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
  socket.on("join", (room, ack) => (socket.join(room), ack?.()));
  socket.on("leave", (room, ack) => (socket.leave(room), ack?.()));
  socket.on("rooms", (ack) => ack([...socket.rooms]));
  socket.on("say", (room, what) => socket.to(room).emit("said", what));
  socket.on("say-all", (...args) => socket.nsp.emit("said", ...args));
  socket.on("shout", (...args) => socket.broadcast.emit("said", ...args));
  socket.on("say-volatile", (...args) => socket.nsp.volatile.emit("said", ...args));
  socket.on("ask", (question, ack) =>
    socket.timeout(5000).emit("question", question, (error, ...answer) => error || ack(...answer)),
  );
  socket.on("slow", async (ms, value, ack) => (await sleep(ms), ack(value)));
  socket.on("bye", (close) => socket.disconnect(close));
  socket.on("namespace", (ack) => ack(socket.nsp.name));
  socket.on("whoami", (ack) => ack({ id: socket.id, shard: 0, transport: socket.conn.transport.name }));
}

io.of("/").on("connection", echoes);
io.of("/custom").on("connection", echoes);
io.of("/denied").use(async (_, next) => {
  await sleep(20);
  next(Object.assign(new Error("nope"), { data: { code: 7 } }));
});
io.of("/late").use(async (_, next) => (await sleep(100), next()));
io.of("/late").on("connection", (socket) => {
  socket.on("message", (...args) => socket.emit("message-back", ...args));
});
io.of("/strict").on("connection", (socket) => {
  socket.use(([event], next) => next(event === "forbidden" ? new Error("not you") : undefined));
  socket.on("error", (error) => socket.emit("problem", error.message));
  socket.on("forbidden", () => socket.emit("problem", "it was not refused"));
  socket.on("message-with-ack", (...args) => args.pop()(...args));
});
io.of(/^\/dynamic-\d+$/).on("connection", echoes);

if (env.HOOKS === "1") {
  const refusals = [];
  io.engine.on("initial_headers", (headers) => (headers["x-initial"] = "1"));
  io.engine.on("headers", (headers) => (headers["x-every"] = "1"));
  io.engine.on("connection_error", ({ code, message, context }) => {
    refusals.push(`${code} ${context?.message ?? message}`);
  });
  io.of("/hooks").on("connection", (socket) => {
    socket.on("refusals", (ack) => ack(refusals));
    socket.on("upgraded", (ack) => ack(socket.conn.upgraded));
    socket.on("big", (bytes, compress) => socket.compress(compress).emit("said", "x".repeat(bytes)));
    socket.conn.on("upgrade", () => socket.emit("said", "upgrade"));
  });
}

http.listen(number("PORT") ?? 0, "127.0.0.1", () => console.log(`ready ${http.address().port}`));
process.on("SIGTERM", () => {
  io.close();
  // It would wait up to 30 s for the next poll of a session that has none open.
  setTimeout(() => process.exit(0), 300);
});
