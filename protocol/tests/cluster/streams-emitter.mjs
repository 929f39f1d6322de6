// The emitter of the streams adapter. STREAMS_EMITTER is its module, where npm does not have it.
import { Bus } from "./bus.mjs";
import { binary, odd, plain } from "./values.mjs";

export async function record(recorder) {
  const { Emitter } = await import(process.env.STREAMS_EMITTER ?? "@socket.io/redis-streams-emitter");
  const bus = new Bus();
  const io = new Emitter(bus.client());
  const take = (what) => recorder.take(bus, "@socket.io/redis-streams-emitter", what);
  for (const args of [...plain, ...odd, ...binary]) {
    io.emit(...args);
    take(`emit ${args[0]}`);
  }
  for (const [what, act] of [
    ["one room", () => io.to("room1").emit("hi")],
    ["rooms, exceptions, flags", () => io.volatile.compress(false).to(["a", "b"]).except("é").emit("hi")],
    ["namespace", () => io.of("/chat").to("a").emit("hi")],
    ["join", () => io.to("a").except("b").socketsJoin(["c", "d"])],
    ["leave", () => io.socketsLeave("c")],
    ["disconnect", () => io.disconnectSockets()],
    ["disconnect and close", () => io.in("a").disconnectSockets(true)],
    ["server side emit", () => io.serverSideEmit("ev", { x: [1] }, null)],
    ["server side emit with bytes", () => io.serverSideEmit("ev", Buffer.from([1, 2]))],
  ]) {
    act();
    take(what);
  }
}
