// Sessions whose every request comes over a new TCP connection, as through a proxy that keeps none:
// whichever shard accepts it, the session is one.
import assert from "node:assert/strict";
import { Agent, request } from "node:http";
import { test } from "node:test";
import { within, withServer } from "./harness.mjs";
import { address, Frames } from "./wire.mjs";

const SESSIONS = 6;
const ROUNDS = 100;

withServer("fresh connections", { PING_INTERVAL: "500", PING_TIMEOUT: "5000" }, (server) => {
  /** One request over a connection of its own: the body of its answer, which has to be a success. */
  function fresh(url, body) {
    const agent = new Agent({ keepAlive: false });
    const answer = new Promise((resolve, reject) => {
      const sent = request(url, { agent, method: body === undefined ? "GET" : "POST" }, async (response) => {
        const chunks = [];
        for await (const chunk of response) chunks.push(chunk);
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode === 200) resolve(text);
        else reject(new Error(`${response.statusCode} ${text}`));
      });
      sent.on("error", reject).end(body);
    });
    return within(answer, "an answer");
  }

  async function live(name) {
    const { sid } = JSON.parse((await fresh(address(server))).slice(1));
    const url = address(server, { sid });
    const heard = [];
    /** Polls until that packet has come; pings are answered and left out. */
    const hear = async (packet) => {
      while (!heard.includes(packet)) {
        for (const got of (await fresh(url)).split("\x1e")) {
          if (got === "2") await fresh(url, "3");
          else heard.push(got);
        }
      }
    };
    await fresh(url, "40");
    await hear('42["auth",{}]');
    heard.length = 0;
    const expected = [];
    for (let n = 0; n < ROUNDS; n += 1) {
      expected.push(`42["message-back","${name}",${n}]`);
      assert.equal(await fresh(url, `42["message","${name}",${n}]`), "ok");
      await hear(expected.at(-1));
    }
    assert.deepEqual(heard, expected, "each once, in order");
    const frames = new Frames(address(server, { sid, transport: "websocket" }));
    await frames.isOpen;
    const poll = fresh(url);
    frames.send("2probe");
    const next = async () => {
      for (;;) {
        const frame = await frames.next();
        if (frame !== "2") return frame;
        frames.send("3");
      }
    };
    assert.equal(await next(), "3probe");
    const released = await poll;
    assert.match(released, /^[26]$/);
    if (released === "2") await fresh(url, "3");
    frames.send("5", `42["message","${name}"]`);
    assert.equal(await next(), `42["message-back","${name}"]`);
    frames.close();
  }

  test("sessions live on undisturbed", { timeout: 60_000 }, async () => {
    await Promise.all(Array.from({ length: SESSIONS }, (_, n) => live(`s${n}`)));
  });
});
