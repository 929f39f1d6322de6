/**
 * The conversation: between the page (view.js) and a Socket.IO client, ours or the official one.
 *
 * What client and server say to each other
 *
 *   to the server
 *     join(name, room, ack)   ack({ you: { id, name, shard }, room }) or ack({ error })
 *                             leaves the room joined before; the same room again renames
 *     say(text, ack)          ack({ id, at }) or ack({ error })
 *     typing(boolean)
 *     here(to)                answers a newcomer: "I am here as well"
 *
 *   from the server, each to everybody else in the room and naming it
 *     joined { room, id, name }
 *     left   { room, id, name }
 *     said   { room, id, author: { id, name }, text, at }
 *     typing { room, id, name, typing }
 *   and to the socket `to` alone
 *     here   { room, id, name }
 *
 *   `id` of people is their socket's id, `id` of messages any unique string, `at` milliseconds
 *   since 1970, `shard` the number of the core that owns the connection. Names and rooms have 1 to
 *   32 characters after trimming, texts 1 to 2000.
 *
 * The server keeps no list of members, as no core shares memory with another: whoever sees
 * somebody join says `here` to them, and everybody keeps their own list. Nor does it keep what was
 * said: a room shows what is said from now on.
 */
import * as view from "./view.js";

const TRANSPORTS = {
  upgrade: ["polling", "websocket"],
  websocket: ["websocket"],
  polling: ["polling"],
};
const ANSWER_MS_MAX = 10_000;
/** While we write, others are reminded this often, and forget us after a little more. */
const TYPING_REPEAT_MS = 3_000;
const TYPING_FORGET_MS = 5_000;
/** A newcomer to a crowd is not greeted by all of it. */
const GREETERS_MAX = 200;

const params = new URLSearchParams(location.search);
const mode = Object.hasOwn(TRANSPORTS, params.get("transport")) ? params.get("transport") : "upgrade";
const client = params.get("client") === "official" ? "official" : "own";
const { io } = await load();
const socket = io({ transports: TRANSPORTS[mode] });

async function load() {
  if (client === "official") {
    try {
      return await import("/socket.io/socket.io.esm.min.js");
    } catch {
      view.refuse("This server does not hand out the official client; the page uses its own.");
    }
  }
  return import("./client.js");
}

/** What is remembered for the next load of this tab; browsers may forbid remembering. */
const memory = {
  get(key) {
    try {
      return sessionStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      sessionStorage.setItem(key, value);
    } catch {
      // Then the visitor types it again.
    }
  },
};

let name = memory.get("name") ?? "";
let room = roomInAddress() ?? "lobby";
let you = null;
const members = new Map();
const writing = new Map();
const rooms = new Set(["lobby", room, ...JSON.parse(memory.get("rooms") ?? "[]")]);

function roomInAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim() || null;
  } catch {
    return null;
  }
}

/* ---- the connection ---- */

function show(state, detail) {
  const transport = socket.connected ? socket.io.engine?.transport?.name : "";
  view.connection({ state, detail, transport, shard: you?.shard, id: socket.id });
}

socket.on("connect", () => {
  show("connected");
  // The same event in both clients; `once`, as each connection is a new engine.
  socket.io.engine.once("upgrade", () => show("connected"));
  if (name !== "") join();
});

socket.on("disconnect", (reason) => {
  outside();
  show(socket.active ? "reconnecting" : "disconnected");
  if (reason === "io server disconnect") view.notice("The server closed the connection.");
});

socket.on("connect_error", (error) => {
  if (socket.active) show("reconnecting", `Cannot connect (${error.message}), trying again…`);
  else show("disconnected", `Refused: ${error.message}`);
});

// Leaving the page is leaving the room; a page brought back from the browser's cache returns.
addEventListener("pagehide", () => socket.disconnect());
addEventListener("pageshow", (event) => {
  if (event.persisted) socket.connect();
});

view.switches({ transport: mode, client }, (key, value) => {
  params.set(key, value);
  location.search = params;
});

/* ---- entering and changing rooms ---- */

async function join() {
  const [wantedName, wantedRoom] = [name, room];
  outside();
  let answer;
  try {
    answer = await socket.timeout(ANSWER_MS_MAX).emitWithAck("join", wantedName, wantedRoom);
  } catch (error) {
    // After a lost connection the next "connect" joins again.
    if (socket.connected) view.refuse(`The server did not answer: ${error.message}`);
    return;
  }
  if (wantedName !== name || wantedRoom !== room) return;
  if (answer.error) {
    name = "";
    return view.refuse(answer.error);
  }
  inside(answer);
}

function inside(answer) {
  you = answer.you;
  rooms.add(room);
  memory.set("name", name);
  memory.set("rooms", JSON.stringify([...rooms]));
  if (roomInAddress() !== room) history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  members.set(you.id, you.name);
  const again = view.room(room, [...rooms]);
  view.people(members, you.id);
  view.notice(again ? "You are back." : `You are in # ${room} as ${you.name}. You see what is said from now on.`);
  view.writable(true);
  show("connected");
}

function outside() {
  you = null;
  members.clear();
  for (const id of writing.keys()) stoppedTyping(id);
  stopTyping();
  view.people(members);
  view.writable(false);
}

function go(to) {
  const trimmed = to.trim();
  if (trimmed === "" || trimmed === room) return;
  room = trimmed;
  if (socket.connected && name !== "") join();
}

view.welcome({ name, room }, (newName, newRoom) => {
  name = newName.trim();
  room = newRoom.trim() || "lobby";
  if (name === "") return view.refuse("Please choose a name.");
  if (socket.connected) join();
});
view.onRoomWanted(go);
addEventListener("hashchange", () => go(roomInAddress() ?? "lobby"));

/* ---- who is here ---- */

/** Hears `event` of the room we are in; what was under way while we changed rooms is not for us. */
function hear(event, listener) {
  socket.on(event, (news) => {
    if (news.room === room) listener(news);
  });
}

hear("joined", (person) => {
  const before = members.get(person.id);
  present(person);
  if (before === undefined) view.notice(`${person.name} joined`);
  else if (before !== person.name) view.notice(`${before} is now ${person.name}`);
  // Even before the answer to our own "join": the server has us in the room, or we did not hear this.
  if (members.size <= GREETERS_MAX) socket.emit("here", person.id);
});

hear("here", present);

hear("left", ({ id }) => {
  const before = members.get(id);
  if (before === undefined) return;
  members.delete(id);
  stoppedTyping(id);
  view.people(members, you?.id);
  view.notice(`${before} left`);
});

function present({ id, name }) {
  if (members.get(id) === name) return;
  members.set(id, name);
  view.people(members, you?.id);
}

/* ---- messages ---- */

hear("said", ({ author, text, at }) => {
  present(author);
  stoppedTyping(author.id);
  view.message({ author, text, at });
});

function say(text) {
  stopTyping();
  const started = performance.now();
  const fate = view.message({ author: you, text, at: Date.now(), own: true });
  socket.timeout(ANSWER_MS_MAX).emit("say", text, (error, answer) => {
    const reason = error?.message ?? answer.error;
    if (reason) fate.failed(reason, () => (you ? say(text) : view.notice("Still not connected.")));
    else fate.delivered(Math.max(1, Math.round(performance.now() - started)));
  });
}

/* ---- typing ---- */

let typingSince = 0;
let typingEnds;

view.composer(say, (something) => {
  if (!you) return;
  if (!something) return stopTyping();
  clearTimeout(typingEnds);
  typingEnds = setTimeout(stopTyping, TYPING_REPEAT_MS);
  if (Date.now() - typingSince < TYPING_REPEAT_MS) return;
  typingSince = Date.now();
  // Volatile: a hint that cannot leave now is worth nothing later.
  socket.volatile.emit("typing", true);
});

function stopTyping() {
  clearTimeout(typingEnds);
  if (typingSince > 0 && socket.connected) socket.emit("typing", false);
  typingSince = 0;
}

hear("typing", ({ id, name, typing }) => {
  stoppedTyping(id);
  if (typing) writing.set(id, { name, timer: setTimeout(stoppedTyping, TYPING_FORGET_MS, id) });
  showTyping();
});

function stoppedTyping(id) {
  clearTimeout(writing.get(id)?.timer);
  if (writing.delete(id)) showTyping();
}

function showTyping() {
  view.typing([...writing.values()].map((each) => each.name));
}
