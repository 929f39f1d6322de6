// A headless Chromium that talks to 127.0.0.1 only and keeps nothing.
import { accessSync, constants } from "node:fs";
import { chromium } from "playwright-core";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** The path of the browser, or undefined where there is none. */
export function chromiumPath() {
  return [process.env.CHROMIUM, "/usr/bin/chromium"].filter(Boolean).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Each launch has a new profile, which goes with the browser. */
export function launch() {
  const executablePath = chromiumPath();
  if (!executablePath) throw new Error("no Chromium: set CHROMIUM, or install Debian's package chromium");
  return chromium.launch({ executablePath, args: FLAGS, timeout: 30_000 });
}

/** Notes what a page must not do: log errors, throw, open dialogs, or ask anyone but 127.0.0.1. */
export function watch(page) {
  const problems = [];
  page.on("console", (line) => {
    if (line.type() === "error") problems.push(`console: ${line.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("dialog", (dialog) => {
    problems.push(`dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (protocol !== "data:" && hostname !== "127.0.0.1") problems.push(`request to ${hostname}`);
  });
  return problems;
}
