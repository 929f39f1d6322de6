// The official Python client over every transport; run.mjs installs it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TRANSPORTS, withServer } from "./harness.mjs";

const python = fileURLToPath(new URL(".venv/bin/python", import.meta.url));
const script = fileURLToPath(new URL("python_client.py", import.meta.url));

withServer("python-socketio", {}, (server) => {
  for (const transport of Object.keys(TRANSPORTS)) {
    test(transport, { timeout: 60_000 }, async () => {
      const [error, output] = await new Promise((resolve) =>
        execFile(python, [script, server.url, transport], { timeout: 50_000 }, (...[error, , stderr]) => resolve([error, stderr])),
      );
      assert.equal(error, null, output);
    });
  }
});
