// The official Python client; run.mjs has made its environment.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "node:test";

import { serve } from "./harness.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));

test("python-socketio over every transport", { timeout: 60_000 }, async () => {
  const python = `${here}.venv/bin/python`;
  assert.ok(existsSync(python), "run.mjs makes the Python environment");
  const server = await serve();
  const { status, stdout, stderr } = await new Promise((resolve) => {
    setImmediate(() => resolve(spawnSync(python, [`${here}python_client.py`, server.url], { encoding: "utf8", timeout: 50_000 })));
  });
  await server.stop();
  assert.equal(status, 0, stdout + stderr);
});
