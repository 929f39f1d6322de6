// Runs the tests of the demo page and its client; installs what they need where it may.
//   node run.mjs [test files]        DEMO_SERVER, CHROMIUM, SCREENSHOTS: see README.md
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const [major] = process.versions.node.split(".").map(Number);

function run(command, args, minutes, cwd = here) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: "inherit", timeout: minutes * 60_000 });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

function required(command, args, minutes) {
  const status = run(command, args, minutes);
  if (status !== 0) process.exit(status);
}

/** npm leaves a copy of the lock file behind; it differs when a version was changed since. */
function installed() {
  const marker = `${here}node_modules/.package-lock.json`;
  if (!existsSync(marker)) return false;
  const versions = (file) =>
    JSON.stringify(
      Object.entries(JSON.parse(readFileSync(file, "utf8")).packages)
        .filter(([path]) => path !== "")
        .map(([path, { version }]) => [path, version]),
    );
  return versions(marker) === versions(`${here}package-lock.json`);
}

if (!installed()) required("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], 5);
const { chromiumPath } = await import("./chromium.mjs");
if (!chromiumPath() && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
  required("apt-get", ["update", "-qq"], 5);
  required("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"], 10);
}

const names = process.argv.slice(2);
if (names.length === 0) names.push("packet.test.mjs", "client.test.mjs", "client-in-browser.test.mjs", "chat.test.mjs", "examples.test.mjs");
const files = names.map((name) => `${here}${basename(name)}`);
// From Node 22 on WebSocket is there by itself.
const flags = major < 22 ? ["--experimental-websocket", "--no-warnings"] : [];
const options = [...flags, "--test", "--test-concurrency=1", "--test-reporter=spec"];
// In the caller's folder, which DEMO_SERVER and SCREENSHOTS are relative to.
process.exit(run(process.execPath, [...options, ...files], 10, process.cwd()));
