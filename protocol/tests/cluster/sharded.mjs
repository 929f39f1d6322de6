// The sharded adapter, in its three modes.
import { createRequire } from "node:module";
import { createShardedAdapter } from "@socket.io/redis-adapter";
import { Bus } from "./bus.mjs";
import { close, cluster, play, settled } from "./nodes.mjs";

const require = createRequire(import.meta.url);
const { decode } = require("notepack.io");

export async function record(recorder) {
  for (const subscriptionMode of ["dynamic", "static", "dynamic-private"]) {
    const bus = new Bus();
    const nodes = await cluster(bus, (bus) => createShardedAdapter(bus.client(), bus.client(), { subscriptionMode }));
    const take = (what) => recorder.take(bus, subscriptionMode, what, decode);
    const [{ io }, other] = nodes;
    if (subscriptionMode === "dynamic") {
      await play(nodes, take);
    } else {
      for (const [what, room] of [["one room", "room1"], ["one socket", other.clients[0].id]]) {
        io.to(room).emit("hi");
        await settled();
        take(what);
      }
    }
    // Bytes in what nodes tell of their sockets.
    if (subscriptionMode === "static") {
      for (const socket of other.io.sockets.sockets.values()) socket.data.bytes = Buffer.from([1, 2]);
      await io.fetchSockets();
      take("fetch bytes");
    }
    close(nodes);
  }
}
