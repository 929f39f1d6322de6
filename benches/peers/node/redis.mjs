// Two processes of Socket.IO for Node as its documentation scales it over hosts: each with the Redis adapter,
// on a redis-server of their own. Clients come to both, over WebSocket, so that nothing has to be sticky.
import { spawn } from "node:child_process";
import cluster from "node:cluster";
import { createServer } from "node:http";
import { connect, createServer as createProbe } from "node:net";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { options, port, serve } from "./contract.mjs";

async function startRedis() {
  const probe = createProbe().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const place = probe.address().port;
  await new Promise((done) => probe.close(done));
  spawn("redis-server", ["--port", place, "--bind", "127.0.0.1", "--save", ""], { stdio: "ignore" });
  for (;;) {
    const socket = connect(place, "127.0.0.1");
    const is_up = await new Promise((done) => socket.once("connect", () => done(true)).once("error", () => done(false)));
    socket.destroy();
    if (is_up) return `redis://127.0.0.1:${place}`;
    await sleep(20);
  }
}

if (cluster.isPrimary) {
  const REDIS = await startRedis();
  for (let i = 0; i < 2; i++) cluster.fork({ REDIS });
} else {
  const pub = createClient({ url: process.env.REDIS });
  const sub = pub.duplicate();
  await Promise.all([pub.connect(), sub.connect()]);
  const http = createServer();
  serve(new Server(http, { ...options, adapter: createAdapter(pub, sub) }));
  http.listen(port, "127.0.0.1");
}
