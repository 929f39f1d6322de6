// The chat page in Chromium, two tabs against one server, in each way of connecting.
//
//   DEMO_SERVER   command line of the server (default: the reference server). It gets PORT and
//                 SHARDS, serves the page at / and prints "ready <port>" on a line of its own once it listens.
//   SCREENSHOTS   folder for pictures of the page (default: none are taken)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, watch } from "./chromium.mjs";

const COMMAND = process.env.DEMO_SERVER ?? `"${process.execPath}" reference-server.mjs`;
const SCREENSHOTS = process.env.SCREENSHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WAIT_MS = 15_000;
const LAST_TRANSPORT = { polling: "polling", websocket: "websocket", upgrade: "websocket" };

let browser;
let server;
let port;
const contexts = [];

async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Starts the server and waits for its "ready <port>". */
async function start() {
  const child = spawn("sh", ["-c", `exec ${COMMAND}`], {
    cwd: process.env.DEMO_SERVER ? process.cwd() : import.meta.dirname,
    env: { ...process.env, PORT: String(port), SHARDS: "2" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.ended = new Promise((resolve) => child.once("exit", resolve));
  server = child;
  let output = "";
  const ready = new Promise((resolve) => {
    child.stdout.on("data", (chunk) => {
      output += chunk;
      if (output.split("\n").includes(`ready ${port}`)) resolve(true);
    });
  });
  const listening = await Promise.race([ready, child.ended.then(() => false), sleep(30_000, false, { ref: false })]);
  assert.ok(listening, `the server did not say "ready ${port}" but: ${output}`);
}

async function stop() {
  server.kill("SIGTERM");
  const gone = await Promise.race([server.ended.then(() => true), sleep(10_000, false, { ref: false })]);
  if (!gone) {
    server.kill("SIGKILL");
    await server.ended;
  }
}

/** A tab with the page, as a visitor without history. */
async function tab({ query = "", hash = "", prepare = () => {}, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1120, height: 700 }, ...options });
  contexts.push(context);
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  page.problems = watch(page);
  await prepare(page);
  await page.goto(`http://127.0.0.1:${port}/${query}${hash}`);
  await page.locator("#status[data-state=connected]").waitFor();
  return page;
}

async function enter(page, name, room = "lobby") {
  await page.getByLabel("Your name").fill(name);
  await page.getByLabel("Room", { exact: true }).fill(room);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.locator("#log .notice", { hasText: "You are in" }).waitFor();
}

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
  await page.locator(".message.own", { hasText: text }).locator(".delivery", { hasText: "echo after" }).waitFor();
}

const hears = (page, text) =>
  page.locator(".message:not(.own) .text").getByText(text, { exact: true }).waitFor();

/** Types until the other sees it: the hint is volatile, and so may be lost between two polls. */
async function types(page, text, reader, notice) {
  const hint = reader.locator("#typing").getByText(notice);
  for (let tries = 0; tries < 4; tries += 1) {
    await page.getByLabel("Message", { exact: true }).fill("");
    await page.getByLabel("Message", { exact: true }).pressSequentially(text);
    const seen = hint.waitFor({ timeout: 2_000 });
    if (await seen.then(() => true, () => false)) return;
  }
  await hint.waitFor();
}

const sees = (page, names) =>
  page.waitForFunction(
    (wanted) =>
      [...document.querySelectorAll("#people .name")].map((each) => each.textContent).join("\n") === wanted,
    names.join("\n"),
  );

const transport = (page, name) =>
  page.waitForFunction((wanted) => document.getElementById("transport").textContent === wanted, name);

async function picture(page, name) {
  if (!SCREENSHOTS) return;
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

async function accessible(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const found = violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => ({ id, target, failureSummary })));
  assert.deepEqual(found, []);
}

describe("chat", { timeout: 300_000 }, () => {
  before(async () => {
    port = await freePort();
    await start();
    browser = await launch();
  });

  after(async () => {
    await browser?.close();
    if (server) await stop();
  });

  afterEach(async () => {
    await Promise.all(contexts.splice(0).map((context) => context.close()));
  });

  for (const [mode, last] of Object.entries(LAST_TRANSPORT)) {
    test(`two tabs talk over ${mode}`, { timeout: 60_000 }, async () => {
      const ada = await tab({ query: `?transport=${mode}` });
      await enter(ada, "Ada");
      const bo = await tab({ query: `?transport=${mode}` });
      await enter(bo, "Bo");
      await Promise.all([transport(ada, last), transport(bo, last)]);
      await Promise.all([sees(ada, ["Ada", "Bo"]), sees(bo, ["Ada", "Bo"])]);
      await ada.locator(".notice", { hasText: "Bo joined" }).waitFor();

      await say(ada, "Is anybody there?");
      await hears(bo, "Is anybody there?");
      await types(bo, "Any", ada, "Bo is typing");
      await say(bo, "Anybody there?\nThere? 山彦 😀");
      await hears(ada, "Anybody there?\nThere? 山彦 😀");
      await ada.locator("#typing:empty").waitFor({ state: "attached" });
      for (let i = 0; i < 10; i += 1) {
        const [from, to] = i % 2 ? [ada, bo] : [bo, ada];
        await say(from, `line ${i}`);
        // An answer to who spoke says nothing of who listens: they may be on different cores.
        await hears(to, `line ${i}`);
      }
      const lines = (page) => page.locator(".message .text", { hasText: /^line/ }).allTextContents();
      const expected = Array.from({ length: 10 }, (_, i) => `line ${i}`);
      assert.deepEqual(await lines(ada), expected);
      assert.deepEqual(await lines(bo), expected);

      assert.match(await ada.locator("#shard").textContent(), /^\d+$/);
      assert.match(await ada.locator("#socket-id").textContent(), /^[\w-]{20}$/);
      await bo.goto("about:blank");
      await ada.locator(".notice", { hasText: "Bo left" }).waitFor();
      await sees(ada, ["Ada"]);
      assert.deepEqual([...ada.problems, ...bo.problems], []);
    });
  }

  test("rooms are apart, and can be changed", { timeout: 60_000 }, async () => {
    const ada = await tab();
    await enter(ada, "Ada", "north");
    const bo = await tab({ hash: "#south" });
    assert.equal(await bo.getByLabel("Room", { exact: true }).inputValue(), "south");
    await enter(bo, "Bo", "south");
    await say(ada, "only the north hears this");
    await bo.getByLabel("Another room").fill("north");
    await bo.getByRole("button", { name: "Go there" }).click();
    await sees(bo, ["Ada", "Bo"]);
    assert.match(bo.url(), /#north$/);
    assert.equal(await bo.locator(".message").count(), 0);
    await say(ada, "welcome");
    await hears(bo, "welcome");

    await ada.getByRole("link", { name: "lobby" }).click();
    await bo.locator(".notice", { hasText: "Ada left" }).waitFor();
    await sees(ada, ["Ada"]);
    await say(bo, "now alone");
    await ada.goBack();
    await sees(ada, ["Ada", "Bo"]);
    assert.equal(await ada.locator(".message").count(), 0);

    // A reload keeps the name and comes back by itself.
    await bo.reload();
    await sees(bo, ["Ada", "Bo"]);
    assert.deepEqual([...ada.problems, ...bo.problems], []);
  });

  test("news of a room that was left arrives too late and is ignored", { timeout: 60_000 }, async () => {
    let socket;
    const prepare = (page) =>
      page.routeWebSocket(/socket\.io/, (route) => {
        socket = route;
        route.connectToServer();
      });
    const ada = await tab({ query: "?transport=websocket", prepare });
    await enter(ada, "Ada", "south");
    const person = { id: "AAAAAAAAAAAAAAAAAAAA", name: "Late" };
    for (const [event, more] of Object.entries({
      joined: person,
      here: person,
      typing: { ...person, typing: true },
      said: { id: "1", author: person, text: "too late", at: 0 },
    })) {
      socket.send(`42${JSON.stringify([event, { room: "north", ...more }])}`);
    }
    socket.send(`42${JSON.stringify(["here", { room: "south", id: "BBBBBBBBBBBBBBBBBBBB", name: "Bo" }])}`);
    await sees(ada, ["Ada", "Bo"]);
    assert.equal(await ada.locator("#log").getByText(/too late|Late joined/).count(), 0);
    assert.equal(await ada.locator("#typing").textContent(), "");
    assert.deepEqual(ada.problems, []);
  });

  test("who joins in the same moment is greeted too", { timeout: 60_000 }, async () => {
    const person = { id: "AAAAAAAAAAAAAAAAAAAA", name: "Bo" };
    const sent = [];
    let answers = 0;
    const prepare = (page) =>
      page.route(/transport=polling/, async (route) => {
        const request = route.request();
        if (request.method() === "POST") {
          sent.push(request.postData());
          return route.continue();
        }
        const response = await route.fetch();
        const packets = (await response.text()).split("\x1e");
        const answer = packets.findIndex((packet) => /^43\d+\[/.test(packet));
        if (answer >= 0 && (answers += 1) === 1) {
          // One poll brings the answer to our own "join" and, right behind it, news of another's.
          packets.splice(answer + 1, 0, `42${JSON.stringify(["joined", { room: "north", ...person }])}`);
        }
        return route.fulfill({ response, body: packets.join("\x1e") });
      });
    const ada = await tab({ query: "?transport=polling", prepare });
    await enter(ada, "Ada", "north");
    await sees(ada, ["Ada", "Bo"]);
    // A later exchange, so that what was to be sent has been.
    await say(ada, "anybody?");
    assert.ok(answers > 0);
    assert.ok(sent.some((payload) => payload.includes(`42${JSON.stringify(["here", person.id])}`)), sent.join("\n"));
    assert.deepEqual(ada.problems, []);
    // The poll that is waiting ends with the page.
    await ada.unrouteAll({ behavior: "ignoreErrors" });
  });

  test("where WebSocket is blocked, polling does it", { timeout: 60_000 }, async () => {
    const ada = await tab({ prepare: (page) => page.addInitScript(() => delete window.WebSocket) });
    await enter(ada, "Ada");
    const bo = await tab({ query: "?transport=upgrade" });
    await enter(bo, "Bo");
    await transport(bo, "websocket");
    await say(ada, "by polling");
    await hears(bo, "by polling");
    await say(bo, "by WebSocket");
    await hears(ada, "by WebSocket");
    assert.equal(await ada.locator("#transport").textContent(), "polling");
    assert.deepEqual([...ada.problems, ...bo.problems], []);
  });

  test("after a restart of the server both come back and talk", { timeout: 120_000 }, async () => {
    const ada = await tab({ query: "?transport=polling" });
    await enter(ada, "Ada");
    const bo = await tab({ query: "?transport=upgrade" });
    await enter(bo, "Bo");
    await transport(bo, "websocket");
    await say(bo, "before the restart");
    await stop();
    for (const page of [ada, bo]) {
      await page.locator("#status[data-state=reconnecting]").waitFor();
      assert.equal(await page.getByRole("button", { name: "Send" }).isDisabled(), true);
    }
    await picture(bo, "reconnecting");
    await bo.getByLabel("Message", { exact: true }).fill("written while away");
    await start();
    for (const page of [ada, bo]) await sees(page, ["Ada", "Bo"]);
    await transport(bo, "websocket");
    await bo.getByRole("button", { name: "Send" }).click();
    await hears(ada, "written while away");
    assert.equal(await bo.locator(".message .text").first().textContent(), "before the restart");
    await say(ada, "and back");
    await hears(bo, "and back");
    // The browser itself reports each refused connection; nothing else may have gone wrong.
    const unexpected = [...ada.problems, ...bo.problems].filter(
      (problem) => !/Failed to load resource|WebSocket connection to .* failed|ERR_/.test(problem),
    );
    assert.deepEqual(unexpected, []);
  });

  test("what people write is shown as they wrote it", { timeout: 60_000 }, async () => {
    const name = "<img src=x onerror=alert(1)>";
    const room = "<script>alert(2)</script>";
    const text = `</p><svg onload=alert(3)>"'&amp;<b>bold</b>`;
    const ada = await tab();
    await enter(ada, name, room);
    const bo = await tab();
    await enter(bo, "Bo", room);
    await sees(bo, [name, "Bo"].sort((a, b) => a.localeCompare(b)));
    await types(ada, "<i>", bo, `${name} is typing`);
    await say(ada, text);
    await hears(bo, text);
    assert.equal(await bo.locator("#room-title").textContent(), `# ${room}`);
    for (const page of [ada, bo]) {
      assert.equal(await page.locator("#chat img, #chat script, #chat b, #log svg").count(), 0);
    }
    assert.deepEqual([...ada.problems, ...bo.problems], []);
  });

  test("what the server refuses is told", { timeout: 60_000 }, async () => {
    const ada = await tab();
    await ada.evaluate(() => document.getElementById("first-room").removeAttribute("maxlength"));
    await ada.getByLabel("Your name").fill("Ada");
    await ada.getByLabel("Room", { exact: true }).fill("x".repeat(33));
    await ada.getByRole("button", { name: "Enter" }).click();
    await ada.getByRole("alert").getByText("32 characters").waitFor();
    await enter(ada, "Ada");
    assert.deepEqual(ada.problems, []);
  });

  test("the official client drives the same page", { timeout: 60_000 }, async (context) => {
    const bundle = await fetch(`http://127.0.0.1:${port}/socket.io/socket.io.esm.min.js`);
    await bundle.arrayBuffer();
    if (!bundle.ok) return context.skip("this server does not hand out the official client");
    for (const [mode, last] of Object.entries(LAST_TRANSPORT)) {
      const ada = await tab({ query: `?client=official&transport=${mode}` });
      await enter(ada, "Ada", mode);
      const bo = await tab({ query: `?transport=${mode}` });
      await enter(bo, "Bo", mode);
      await Promise.all([transport(ada, last), transport(bo, last)]);
      await Promise.all([sees(ada, ["Ada", "Bo"]), sees(bo, ["Ada", "Bo"])]);
      await say(ada, `official over ${mode}`);
      await hears(bo, `official over ${mode}`);
      await say(bo, `own over ${mode}`);
      await hears(ada, `own over ${mode}`);
      assert.equal(await ada.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => name.endsWith("/client.js"))), false);
      assert.deepEqual([...ada.problems, ...bo.problems], []);
    }
  });

  test("the switches on the page choose transport and client", { timeout: 60_000 }, async () => {
    const ada = await tab();
    await enter(ada, "Ada");
    await transport(ada, "websocket");
    await ada.getByLabel("Start with").selectOption("polling");
    await ada.waitForURL(/transport=polling/);
    await ada.locator(".notice", { hasText: "You are in" }).waitFor();
    assert.equal(await ada.getByLabel("Start with").inputValue(), "polling");
    assert.equal(await ada.locator("#transport").textContent(), "polling");
    assert.deepEqual(ada.problems, []);
  });

  for (const colorScheme of ["light", "dark"]) {
    test(`reads well: ${colorScheme}`, { timeout: 60_000 }, async () => {
      const ada = await tab({ colorScheme });
      await accessible(ada);
      await ada.getByLabel("Your name").fill("Ada");
      await picture(ada, `welcome-${colorScheme}`);
      await enter(ada, "Ada", "valley");
      const bo = await tab({ colorScheme, viewport: { width: 390, height: 780 }, deviceScaleFactor: 2 });
      await enter(bo, "Haruki", "valley");
      const cleo = await tab();
      await enter(cleo, "Cleo", "valley");
      await sees(ada, ["Ada", "Cleo", "Haruki"]);
      await sees(bo, ["Ada", "Cleo", "Haruki"]);
      await say(bo, "Yoo-hoo! Is anybody on the other side?");
      await hears(ada, "Yoo-hoo! Is anybody on the other side?");
      await say(ada, "Yes. I came in over polling and was upgraded on the way, without noticing.");
      await hears(cleo, "Yes. I came in over polling and was upgraded on the way, without noticing.");
      await say(cleo, "Same here. Which core owns you?");
      await say(cleo, "No sticky sessions, no shared memory: the connection itself moved to its owner.");
      await hears(bo, "No sticky sessions, no shared memory: the connection itself moved to its owner.");
      await say(bo, "Yamabiko: the echo that answers from the mountain.");
      await hears(ada, "Yamabiko: the echo that answers from the mountain.");
      await say(ada, "Then let's see how many voices fit in here.");
      await types(cleo, "A mi", ada, "Cleo is typing");
      await picture(ada, `chat-${colorScheme}`);
      await picture(bo, `phone-${colorScheme}`);
      await accessible(ada);
      await accessible(bo);
      const wide = await bo.evaluate(() => document.documentElement.scrollWidth > innerWidth);
      assert.equal(wide, false, "nothing is wider than the phone");
      await bo.getByRole("button", { name: /Rooms, people/ }).click();
      await bo.getByRole("link", { name: "lobby" }).waitFor();
      await sleep(300);
      await picture(bo, `phone-menu-${colorScheme}`);
      await accessible(bo);
      await bo.keyboard.press("Escape");
      await bo.getByRole("link", { name: "lobby" }).waitFor({ state: "hidden" });
      assert.deepEqual([...ada.problems, ...bo.problems, ...cleo.problems], []);
    });
  }
});
