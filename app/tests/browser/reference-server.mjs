// The demo's server side on the reference implementation: what app/demo/chat.js expects, in the
// fewest lines. The browser test uses it unless DEMO_SERVER names another server.
// PORT is the port on 127.0.0.1 (0: any); SHARDS is accepted and means nothing to one process.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname } from "node:path";
import { Server } from "socket.io";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};
const FILES = ["index.html", "style.css", "chat.js", "view.js", "client.js", "engine.js", "packet.js", "emitter.js"];

const demo = new URL("../../demo/", import.meta.url);
const http = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, "http://localhost");
  const file = pathname === "/" ? "index.html" : pathname.slice(1);
  if (!FILES.includes(file)) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": TYPES[extname(file)], "Cache-Control": "no-cache" });
  response.end(await readFile(new URL(file, demo)));
});
const io = new Server(http);

/** The trimmed text, or undefined when it is none or not of 1 to `max` characters. */
function text(value, max) {
  const trimmed = typeof value === "string" ? value.trim() : "";
  const length = [...trimmed].length;
  return length >= 1 && length <= max ? trimmed : undefined;
}

io.on("connection", (socket) => {
  let name;
  let room;
  let messages = 0;

  // A prefix no socket id can have: every socket is in a room named by its own id as well.
  const key = (of) => `chat:${of}`;
  const tell = (event, more) => socket.to(key(room)).emit(event, { room, ...more });
  const answer = (ack, value) => typeof ack === "function" && ack(value);

  socket.on("join", (newName, newRoom, ack) => {
    const [wantedName, wantedRoom] = [text(newName, 32), text(newRoom, 32)];
    if (!wantedName) return answer(ack, { error: "A name has 1 to 32 characters." });
    if (!wantedRoom) return answer(ack, { error: "A room's name has 1 to 32 characters." });
    if (room !== undefined && room !== wantedRoom) {
      tell("left", { id: socket.id, name });
      socket.leave(key(room));
    }
    [name, room] = [wantedName, wantedRoom];
    socket.join(key(room));
    tell("joined", { id: socket.id, name });
    answer(ack, { you: { id: socket.id, name, shard: 0 }, room });
  });

  socket.on("say", (said, ack) => {
    const wanted = text(said, 2000);
    if (room === undefined) return answer(ack, { error: "join a room first" });
    if (!wanted) return answer(ack, { error: "a message has 1 to 2000 characters" });
    const message = { id: `${socket.id}-${(messages += 1)}`, at: Date.now() };
    tell("said", { ...message, author: { id: socket.id, name }, text: wanted });
    answer(ack, message);
  });

  socket.on("typing", (typing) => {
    if (room !== undefined) tell("typing", { id: socket.id, name, typing: typing === true });
  });

  socket.on("here", (to) => {
    if (room === undefined || typeof to !== "string" || !/^[\w-]{20}$/.test(to)) return;
    io.to(to).emit("here", { room, id: socket.id, name });
  });

  socket.on("disconnecting", () => {
    if (room !== undefined) tell("left", { id: socket.id, name });
  });
});

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => console.log(`ready ${http.address().port}`));
process.on("SIGTERM", () => {
  io.close();
  http.closeAllConnections();
});
