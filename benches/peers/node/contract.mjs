// What every peer does, on a Socket.IO server of Node, whatever carries it.

/** The options of all: no compression, and all else as Socket.IO has it. */
export const options = { perMessageDeflate: false, httpCompression: false, serveClient: false };

/** Lets a server answer as the comparison wants it. */
export function serve(io) {
  io.on("connection", (socket) => {
    socket.on("echo", (...args) => {
      const acknowledge = args.pop();
      acknowledge(...args);
    });
    socket.on("join", (room, acknowledge) => {
      socket.join(room);
      acknowledge();
    });
    socket.on("say", (room, payload) => {
      io.to(room).emit("said", payload);
    });
  });
}

/** Where to listen. */
export const port = Number(process.env.PORT ?? 3000);
