// A crowd of clients for thousand.test.mjs, in a process of its own.
import { io } from "socket.io-client";

const [url, count, broadcasts] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const wrong = [];
const seen = { polling: 0, websocket: 0 };
let connected = 0;
let done = 0;

for (let i = 0; i < count; i++) {
  const transport = i % 2 ? "websocket" : "polling";
  const client = io(url, { transports: [transport], forceNew: true, reconnection: false });
  let expected = 0;
  client.on("connect", () => {
    if (++connected === count) process.send("connected");
  });
  client.on("said", (n) => {
    if (n !== expected && wrong.length < 10) wrong.push({ client: i, transport, expected, got: n });
    expected = n + 1;
    if (expected === broadcasts) {
      seen[transport]++;
      // Whatever comes after the last one would have come twice.
      if (++done === count) setTimeout(() => process.send({ wrong, seen }), 300);
    }
  });
  client.on("disconnect", (reason) => wrong.push({ client: i, transport, reason }));
  client.on("connect_error", (error) => wrong.push({ client: i, transport, error: error.message }));
}
