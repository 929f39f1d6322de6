// Runs every test against the server for each number of shards; installs what they need.
//   node run.mjs [--shards 1,4] [test files]       INTEROP_SERVER: see README.md
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));

function run(command, args, minutes, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", timeout: minutes * 60_000, ...options });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

function required(command, args, minutes) {
  const status = run(command, args, minutes, { cwd: here });
  if (status !== 0) process.exit(status);
}

/** Whether that was made from the file as it is now; afterwards it is taken to be. */
function fresh(folder, file) {
  const marker = `${here}${folder}/.made-from`;
  const wanted = readFileSync(`${here}${file}`, "utf8");
  if (existsSync(marker) && readFileSync(marker, "utf8") === wanted) return { made: true };
  return { made: false, done: () => writeFileSync(marker, wanted) };
}

function installNode() {
  const packages = fresh("node_modules", "package-lock.json");
  if (packages.made) return;
  required("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], 5);
  packages.done();
}

function installPython() {
  const environment = fresh(".venv", "requirements.txt");
  if (environment.made) return;
  const lacking = run("python3", ["-c", "import ensurepip"], 1, { stdio: "ignore" }) !== 0;
  if (lacking && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    required("apt-get", ["update", "-qq"], 5);
    required("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "python3-venv"], 5);
  }
  required("python3", ["-m", "venv", "--clear", ".venv"], 2);
  required(".venv/bin/python", ["-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", "requirements.txt"], 5);
  environment.done();
}

const names = process.argv.slice(2);
const at = names.indexOf("--shards");
const [, shards = "1,4"] = at < 0 ? [] : names.splice(at, 2);
const counts = shards.split(",");
if (!counts.every((it) => /^[1-9]\d*$/.test(it))) {
  console.error("usage: node run.mjs [--shards 1,4] [test files]");
  process.exit(2);
}
const all = names.length === 0;
if (all) names.push(...readdirSync(here).filter((it) => it.endsWith(".test.mjs")).sort());

installNode();
installPython();
const results = [];
// In the caller's folder, which INTEROP_SERVER is relative to.
for (const count of counts) {
  const env = { ...process.env, SHARDS: count };
  const files = names.map((name) => `${here}${basename(name)}`);
  const options = ["--test", "--test-concurrency=2", "--test-reporter=spec"];
  results.push([`tests, shards ${count}`, run(process.execPath, [...options, ...files], 8, { env })]);
  if (all && count === counts.at(-1)) {
    results.push([`a thousand clients, shards ${count}`, run(process.execPath, [`${here}thousand.mjs`], 4, { env })]);
  }
}
for (const [what, status] of results) console.log(`${what}: ${status === 0 ? "passed" : "FAILED"}`);
process.exit(results.every(([, status]) => status === 0) ? 0 : 1);
