// Runs everything here for each shard count; makes the Python environment first.
//   node run.mjs [--shards 1,4] [test files]
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const args = process.argv.slice(2);
const shards = args[0] === "--shards" ? args.splice(0, 2)[1].split(",") : ["1", "4"];
const SUBJECTS = ["engine", "scenarios", "restart", "fresh-connections", "python"];

function run(command, args, environment = {}) {
  const env = { ...process.env, ...environment };
  const { status, error } = spawnSync(command, args, { cwd: here, stdio: "inherit", env });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(`${here}.venv/bin/socketio-ready`)) {
  if (spawnSync("python3", ["-c", "import venv, ensurepip"]).status !== 0 && process.getuid() === 0) {
    run("apt-get", ["update", "-qq"]);
    run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "python3", "python3-venv"]);
  }
  run("python3", ["-m", "venv", ".venv"]);
  run(".venv/bin/python", ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", "requirements.txt"]);
  run("touch", [".venv/bin/socketio-ready"]);
}

const flags = ["--test", "--test-concurrency=2", "--test-reporter=spec"];
const files = args.length ? args : SUBJECTS.map((subject) => `${subject}.test.mjs`);
for (const count of shards) {
  console.log(`-- with ${count} shard${count === "1" ? "" : "s"}`);
  run(process.execPath, [...flags, ...files], { SHARDS: count });
}
if (!args.length) {
  console.log("-- a crowd over all shards");
  run(process.execPath, [...flags, "thousand.test.mjs"], { SHARDS: shards.at(-1) });
}
