// The classic adapter: two nodes, once with responses to everybody, once with responses to who asked.
import { createRequire } from "node:module";
import { createAdapter } from "@socket.io/redis-adapter";
import { Bus } from "./bus.mjs";
import { close, cluster, play, settled } from "./nodes.mjs";

const require = createRequire(import.meta.url);
const { decode } = require("notepack.io");

export async function record(recorder) {
  for (const publishOnSpecificResponseChannel of [false, true]) {
    const bus = new Bus();
    const adapter = (bus) => createAdapter(bus.client(), bus.client(), { publishOnSpecificResponseChannel });
    const nodes = await cluster(bus, adapter);
    const writer = "@socket.io/redis-adapter" + (publishOnSpecificResponseChannel ? ", own response channel" : "");
    const take = (what) => recorder.take(bus, writer, what, decode);
    if (publishOnSpecificResponseChannel) {
      const [{ io }] = nodes;
      for (const [what, act] of [
        ["fetch", () => io.fetchSockets()],
        ["acknowledged", () => io.timeout(1000).emitWithAck("with ack", 1)],
        ["all rooms", () => io.of("/").adapter.allRooms()],
      ]) {
        await act();
        await settled();
        take(what);
      }
    } else {
      await play(nodes, take);
      await nodes[0].io.of("/").adapter.allRooms();
      await settled();
      take("all rooms");
      // What callers of older versions ask.
      const request = { uid: "older1", requestId: "abcdef", type: 0, rooms: ["everybody"] };
      bus.publish("PUBLISH", "socket.io-request#/#", JSON.stringify(request));
      await settled();
      take("sockets");
    }
    close(nodes);
  }
}
