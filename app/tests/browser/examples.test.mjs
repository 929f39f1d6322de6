// The examples with pages in Chromium, two tabs each.
//   EXAMPLES      folder of the built examples; without it they are not tested
//   SCREENSHOTS   folder for pictures of the pages (default: none are taken)
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, watch } from "./chromium.mjs";

const { EXAMPLES, SCREENSHOTS } = process.env;
const CLIENT = fileURLToPath(new URL("node_modules/socket.io/client-dist", import.meta.url));

describe("examples", { skip: !EXAMPLES, timeout: 120_000 }, () => {
  const servers = [];
  let browser;
  let folder;

  async function start(name) {
    const child = spawn(join(EXAMPLES, name), [], {
      env: { ...process.env, YAMABIKO_PORT: "0", YAMABIKO_SHARDS: "2", YAMABIKO_ANNOUNCE: "true", YAMABIKO_LOG: "warn", YAMABIKO_SERVE_CLIENT: CLIENT },
      stdio: ["ignore", "pipe", "inherit"],
    });
    servers.push(child);
    const port = await new Promise((resolve) => {
      createInterface(child.stdout).on("line", (line) => {
        const found = /^ready (\d+)$/.exec(line);
        if (found) resolve(found[1]);
      });
    });
    return `http://127.0.0.1:${port}/`;
  }
  async function tab(url, options = {}) {
    const page = await (await browser.newContext({ viewport: { width: 900, height: 700 }, ...options })).newPage();
    page.setDefaultTimeout(15_000);
    page.problems = watch(page);
    await page.goto(url);
    await page.waitForFunction("socket.connected");
    return page;
  }
  async function picture(page, name) {
    if (!SCREENSHOTS) return;
    mkdirSync(SCREENSHOTS, { recursive: true });
    await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
  }
  const isDrawn = (x, y) => `board.getContext("2d").getImageData(${x} * board.width, ${y} * board.height, 1, 1).data[3] > 0`;

  before(async () => {
    browser = await launch();
    folder = await mkdtemp(join(tmpdir(), "yamabiko-"));
  });
  after(async () => {
    await browser?.close();
    for (const child of servers) child.kill("SIGKILL");
    if (folder) await rm(folder, { recursive: true });
  });

  test("whiteboard: strokes are seen while they are drawn, afterwards, and by who comes late", async () => {
    const url = await start("whiteboard");
    const [one, other] = [await tab(url), await tab(url, { colorScheme: "dark" })];
    const box = await one.locator("#board").boundingBox();
    const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
    await one.mouse.move(...at(0.2, 0.5));
    await one.mouse.down();
    await one.mouse.move(...at(0.5, 0.5), { steps: 20 });
    // The pen is still down.
    await other.waitForFunction(isDrawn(0.3, 0.5));
    await one.mouse.move(...at(0.8, 0.2), { steps: 20 });
    await one.mouse.up();
    await other.waitForFunction("picture.length === 1 && drafts.size === 0");
    assert.deepEqual(await other.evaluate("picture"), await one.evaluate("picture"));
    const late = await tab(url);
    await late.waitForFunction(isDrawn(0.4, 0.5));
    await picture(one, "whiteboard");
    await picture(other, "whiteboard-dark");
    await late.click("#clear");
    for (const page of [one, other, late]) await page.waitForFunction(`picture.length === 0 && !(${isDrawn(0.4, 0.5)})`);
    for (const nonsense of [{ color: "red", points: [[0, 0]] }, { color: "#000000", points: [] }, { color: "#000000", points: [[2, 0]] }]) {
      const answer = await one.evaluate((stroke) => socket.emitWithAck("stroke", stroke), nonsense);
      assert.deepEqual(answer, { error: "that is no stroke" });
    }
    for (const page of [one, other, late]) assert.deepEqual(page.problems, []);
  });

  test("upload: a file in pieces, its progress for everybody, and what is refused", async () => {
    const url = await start("upload");
    const [one, other] = [await tab(url), await tab(url, { colorScheme: "dark" })];
    const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, at) => (at * 7 + (at >> 8)) & 255));
    writeFileSync(join(folder, "a \"file\".bin"), bytes);
    const seen = other.evaluate(() => new Promise((done) => {
      const progress = [];
      socket.on("progress", ({ received, size }) => progress.push([received, size]));
      socket.on("file", (upload, name) => done({ name, progress }));
    }));
    await one.setInputFiles("#file", join(folder, "a \"file\".bin"));
    await one.click("button");
    const { name, progress } = await seen;
    assert.equal(name, "afile.bin");
    assert.ok(progress.length > 1, "there is progress on the way");
    for (const [at, [received, size]] of progress.entries()) {
      assert.equal(size, bytes.length);
      assert.ok(at === 0 || received > progress[at - 1][0]);
    }
    await other.waitForSelector("text=afile.bin");
    const response = await fetch(`${url}files/afile.bin`);
    assert.match(response.headers.get("content-disposition"), /^attachment; filename="afile.bin"$/);
    assert.ok(Buffer.from(await response.arrayBuffer()).equals(bytes));
    assert.equal((await fetch(`${url}files/nothing`)).status, 404);
    await picture(one, "upload");
    // A second one of that name, and one that is too large.
    await one.click("button");
    await other.waitForSelector("text=2-afile.bin");
    writeFileSync(join(folder, "large"), Buffer.alloc((8 << 20) + 1));
    await one.setInputFiles("#file", join(folder, "large"));
    await one.click("button");
    await one.waitForSelector("text=a file has 1 to 8388608 bytes, not 8388609");
    const refused = await one.evaluate(async () => [
      await socket.emitWithAck("piece", 1e6, 0, new Uint8Array(1)),
      await socket.emitWithAck("end", 1e6),
      await socket.emitWithAck("piece", await socket.emitWithAck("begin", "../../x", 2), 1, new Uint8Array(1)),
    ]);
    assert.deepEqual(refused.map(({ error }) => error), ["no such upload", "it is not complete", "that piece does not fit"]);
    for (const page of [one, other]) assert.deepEqual(page.problems, []);
  });

  test("chat: rooms, who is typing, and what was said before", async () => {
    const url = await start("chat");
    const [ada, bob] = [await tab(url), await tab(url, { colorScheme: "dark" })];
    const enter = async (page, room, name) => {
      await page.fill("#room", room);
      await page.fill("#name", name);
      await page.click("#enter button");
      await page.waitForFunction(`here?.[0] === ${JSON.stringify(room)}`);
    };
    const say = async (page, text) => {
      await page.fill("#text", text);
      await page.click("#say button");
      await page.waitForFunction(`document.getElementById("text").value === ""`);
    };
    await enter(ada, "lobby", "Ada");
    await say(ada, "is <i>anybody</i> here?");
    await enter(bob, "lobby", "Bob");
    await bob.waitForSelector("text=is <i>anybody</i> here?");
    await ada.waitForSelector("text=Bob has come");
    await bob.locator("#text").pressSequentially("me");
    await ada.waitForSelector("text=Bob is typing");
    await picture(ada, "chat-example");
    await say(bob, "me");
    await ada.waitForSelector("text=Bob: me");
    // Another room is another talk, and the first one is as it was for who comes back.
    await enter(bob, "kitchen", "Bob");
    await ada.waitForSelector("text=Bob has left");
    await say(bob, "nobody here");
    await enter(bob, "lobby", "Bob");
    await bob.waitForSelector("text=Bob: me");
    assert.equal(await bob.locator("text=nobody here").count(), 0);
    assert.equal(await ada.locator("text=nobody here").count(), 0);
    await ada.fill("#text", " ");
    await ada.click("#say button");
    await ada.waitForSelector("text=that has to have 1 to 2000 bytes");
    for (const page of [ada, bob]) assert.deepEqual(page.problems, []);
  });

  test("messages and ask: their pages do what they say", async () => {
    const messages = await start("messages");
    const page = async (name) => {
      const context = await browser.newContext();
      const page = await context.newPage();
      page.problems = watch(page);
      await page.goto(messages);
      await page.fill("#name", name);
      await page.click("#enter button");
      await page.waitForSelector("#say:visible");
      return page;
    };
    const [ada, bob] = [await page("Ada"), await page("Bob")];
    await ada.fill("#to", "Bob");
    await ada.fill("#text", "<b>hello</b>");
    await ada.click("#say button");
    await bob.waitForSelector("text=<b>hello</b>");
    await picture(bob, "messages");
    // The page again: the same person, with what was said.
    await bob.reload();
    await bob.waitForSelector("text=<b>hello</b>");
    await ada.waitForSelector("text=Bob is here");
    const ask = await start("ask");
    const [one, other] = [await tab(ask), await tab(ask)];
    await one.click("#sum button");
    await one.waitForSelector('text={"sum":6.5,"mean":2.1666666666666665}');
    await one.click("#poll button");
    await other.click("text=yes");
    await one.waitForSelector('text="yes":1,"no":0');
    await picture(one, "ask");
    for (const page of [ada, bob, one, other]) assert.deepEqual(page.problems, []);
  });
});
