// Socket.IO for Node as its documentation scales it on one host: a primary that keeps each session with
// one worker, and as many workers as there are cores, which tell each other of broadcasts.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createAdapter, setupPrimary } from "@socket.io/cluster-adapter";
import { setupMaster, setupWorker } from "@socket.io/sticky";
import { Server } from "socket.io";
import { options, port, serve } from "./contract.mjs";

if (cluster.isPrimary) {
  const http = createServer();
  setupMaster(http, { loadBalancingMethod: "least-connection" });
  setupPrimary();
  cluster.setupPrimary({ serialization: "advanced" });
  let ready = 0;
  const workers = Number(process.env.CORES ?? 2);
  cluster.on("message", (_worker, message) => {
    if (message === "ready" && ++ready === workers) http.listen(port, "127.0.0.1");
  });
  for (let i = 0; i < workers; i++) cluster.fork();
  process.on("SIGTERM", () => {
    for (const worker of Object.values(cluster.workers)) worker.kill("SIGKILL");
    process.exit(0);
  });
} else {
  const io = new Server(createServer(), options);
  io.adapter(createAdapter());
  setupWorker(io);
  serve(io);
  process.send("ready");
}
