// Socket.IO for Node on µWebSockets.js. Its authors publish it on GitHub alone; the npm package
// `uwebsockets` is a copy of it, with its binaries, by somebody else.
import { Server } from "socket.io";
import uwebsockets from "uwebsockets";
import { options, port, serve } from "./contract.mjs";

const app = uwebsockets.App();
const io = new Server(options);
io.attachApp(app);
serve(io);
app.listen("127.0.0.1", port, (listening) => {
  if (!listening) process.exit(1);
});
process.on("SIGTERM", () => process.exit(0));
