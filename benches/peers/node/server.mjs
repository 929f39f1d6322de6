// Socket.IO for Node on its default engine: one process.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { options, port, serve } from "./contract.mjs";

const http = createServer();
serve(new Server(http, options));
http.listen(port, "127.0.0.1");
