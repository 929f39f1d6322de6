// Writes what Socket.IO's packages publish into fixtures/, one file for each kind of writer.
//   node record.mjs [name …]
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const fixtures = fileURLToPath(new URL("fixtures/", import.meta.url));
const known = ["classic", "emitters", "sharded", "streams", "streams-emitter"];

class Recorder {
  records = [];

  /** Takes what was published since. `decode` reads MessagePack as whoever shall read it does. */
  take(bus, writer, what, decode) {
    for (const { command, channel, message, fields } of bus.log.splice(0)) {
      const record = { writer, what, command, channel };
      if (fields) record.fields = fields;
      if (message) {
        record.message = message.toString("hex");
        // As JSON, from the side of the reader.
        if (decode && command !== "SET" && message[0] !== 0x7b) record.reads = spelled(decode(message));
      }
      this.records.push(record);
    }
  }
}

function spelled(value) {
  return JSON.stringify(value, (_key, it) => {
    if (it instanceof ArrayBuffer) return Buffer.from(it).toJSON();
    if (ArrayBuffer.isView(it)) return Buffer.from(it.buffer, it.byteOffset, it.byteLength).toJSON();
    return it;
  });
}

const names = process.argv.slice(2);
for (const name of names.length > 0 ? names : known) {
  const recorder = new Recorder();
  const { record } = await import(`./${name}.mjs`);
  await record(recorder);
  mkdirSync(fixtures, { recursive: true });
  const lines = recorder.records.map((it) => JSON.stringify(it));
  writeFileSync(`${fixtures}${name}.json`, `[\n${lines.join(",\n")}\n]\n`);
  console.log(`${name}: ${lines.length} messages`);
}
process.exit(0);
