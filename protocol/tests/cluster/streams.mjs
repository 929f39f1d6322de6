// The streams adapter: what it adds to its stream, what it publishes, what it keeps of a session.
import { createRequire } from "node:module";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import { Bus } from "./bus.mjs";
import { close, cluster, play, settled } from "./nodes.mjs";

const require = createRequire(import.meta.url);
const { decode } = require("@msgpack/msgpack");
const decoded = (message) => decode(message);

export async function record(recorder) {
  await whole(recorder);
  await recovery(recorder);
  for (const [writer, options] of [
    ["only plaintext", { onlyPlaintext: true }],
    ["sharded", { useShardedPubSub: true }],
    ["three streams", { streamCount: 3 }],
  ]) {
    const bus = new Bus();
    const nodes = await cluster(bus, (bus) => createAdapter(bus.client(), options));
    const [{ io }] = nodes;
    for (const [what, act] of [
      ["bytes", () => io.emit("bytes", Buffer.from([1, 2]))],
      ["namespace", () => io.of("/chat").emit("hi")],
      ["negative", () => io.of("/notifications").emit("hi")],
      ["server side emit", () => io.serverSideEmit("told", 1)],
    ]) {
      await act();
      await settled();
      recorder.take(bus, writer, what, decoded);
    }
    close(nodes);
  }
}

async function whole(recorder) {
  const bus = new Bus();
  const nodes = await cluster(bus, (bus) => createAdapter(bus.client(), {}));
  await play(nodes, (what) => recorder.take(bus, "streams", what, decoded));
  close(nodes);
}

async function recovery(recorder) {
  const bus = new Bus();
  const connectionStateRecovery = { maxDisconnectionDuration: 60_000 };
  const nodes = await cluster(bus, (bus) => createAdapter(bus.client(), {}), { connectionStateRecovery });
  const [{ io, clients }] = nodes;
  const [socket] = io.sockets.sockets.values();
  socket.data.bytes = Buffer.from([1, 2]);
  socket.data.when = new Date(1700000000123);
  const take = (what) => recorder.take(bus, "recovery", what, decoded);
  socket.emit("direct", 1);
  await settled();
  take("one socket");
  socket.volatile.emit("volatile");
  await settled();
  take("one socket, volatile");
  clients[0].io.engine.close();
  await settled();
  take("session");
  close(nodes);
}
