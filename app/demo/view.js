/**
 * The page: what is shown, and what the visitor does. Knows nothing of sockets.
 *
 * Whatever people wrote goes in as text (`textContent`, `append`), never as HTML.
 */
const $ = (id) => document.getElementById(id);

/** Older messages leave the page, so that a tab left open for a week stays light. */
const MESSAGES_MAX = 500;
const FOLLOWS_WITHIN_MS = 120_000;
const TITLE = "Yamabiko chat";

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
let unread = 0;
let last = null;

function element(tag, className, ...content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content);
  return node;
}

/** A disc with the initial, of one colour per name, so that it stays through a reconnection. */
function avatar(name) {
  const node = element("span", "avatar", ([...name][0] ?? "?").toUpperCase());
  let hash = 0x811c9dc5;
  for (const char of name) hash = Math.imul(hash ^ char.codePointAt(0), 0x01000193);
  node.style.setProperty("--hue", (hash >>> 8) % 360);
  node.setAttribute("aria-hidden", "true");
  return node;
}

/* ---- the connection ---- */

const STATES = {
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  disconnected: "Disconnected",
};

/** `state` is a key of STATES; `detail` explains it, `transport` and `shard` are shown when known. */
export function connection({ state, detail = "", transport = "", shard, id }) {
  $("status").dataset.state = state;
  $("status-text").textContent = detail || STATES[state];
  $("status-transport").textContent = transport;
  $("status-transport").hidden = transport === "";
  $("status-shard").textContent = `shard ${shard}`;
  $("status-shard").hidden = shard === undefined;
  $("transport").textContent = transport || "–";
  $("shard").textContent = shard ?? "–";
  $("socket-id").textContent = $("socket-id").title = id ?? "–";
}

/** Shows the switches as they are set and calls back with a name and a value when one is moved. */
export function switches(values, onSwitch) {
  for (const [name, value] of Object.entries(values)) {
    const select = $("switches").elements[name];
    select.value = value;
    select.addEventListener("change", () => onSwitch(name, select.value));
  }
}

/* ---- entering ---- */

export function welcome({ name, room }, onEnter) {
  // What was typed while the page was still loading stays.
  $("name").value ||= name;
  $("first-room").value = room;
  $("enter-button").disabled = false;
  $("enter").addEventListener("submit", (event) => {
    event.preventDefault();
    onEnter($("name").value, $("first-room").value);
  });
}

/** Shows why the visitor could not enter. */
export function refuse(problem) {
  $("enter-problem").textContent = problem;
  $("enter-problem").hidden = false;
  $("welcome").hidden = false;
  $("chat").hidden = $("menu").hidden = true;
}

/** Opens a room, empty unless it is the one that was open (then true); `rooms` is the choice. */
export function room(name, rooms) {
  const entering = $("chat").hidden;
  const again = $("room-title").textContent === `# ${name}` && !entering;
  $("welcome").hidden = true;
  $("chat").hidden = $("menu").hidden = false;
  $("room-title").textContent = `# ${name}`;
  $("rooms").replaceChildren(
    ...rooms.map((each) => {
      const link = element("a", "", each);
      link.href = `#${encodeURIComponent(each)}`;
      if (each === name) link.setAttribute("aria-current", "page");
      return element("li", "", link);
    }),
  );
  if (!again) $("log").replaceChildren();
  last = null;
  typing([]);
  side(false);
  if (entering) $("text").focus();
  return again;
}

export function people(members, ownId) {
  const sorted = [...members].sort(([, a], [, b]) => a.localeCompare(b));
  $("people-count").textContent = sorted.length;
  $("people").replaceChildren(
    ...sorted.map(([id, name]) => {
      const item = element("li", "", avatar(name), element("span", "name", name));
      if (id === ownId) item.append(element("span", "you", "you"));
      return item;
    }),
  );
}

export function onRoomWanted(callback) {
  $("add-room").addEventListener("submit", (event) => {
    event.preventDefault();
    callback($("new-room").value);
    $("new-room").value = "";
  });
}

function side(open) {
  $("side").classList.toggle("open", open);
  $("menu").setAttribute("aria-expanded", open);
}

$("menu").addEventListener("click", () => side(!$("side").classList.contains("open")));
$("log").addEventListener("pointerdown", () => side(false));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !$("side").classList.contains("open")) return;
  side(false);
  $("menu").focus();
});

$("share").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    $("share").textContent = "Copied";
  } catch {
    $("share").textContent = "Copy it from the address bar";
  }
  setTimeout(() => ($("share").textContent = "Copy link"), 2_000);
});

/* ---- messages ---- */

export function notice(text) {
  last = null;
  add(element("p", "notice", text));
}

/** Shows a message. For one's own it returns what to call when its fate is known. */
export function message({ author, text, at, own = false }) {
  const follows = last !== null && last.id === author.id && at - last.at < FOLLOWS_WITHIN_MS;
  last = { id: author.id, at };
  const time = element("time", "", clock.format(at));
  time.dateTime = new Date(at).toISOString();
  const meta = element("p", "meta", element("span", "author", author.name), time);
  const body = element("div", "body", meta, element("p", "text", text));
  const node = element("div", "message", avatar(author.name), body);
  node.classList.toggle("own", own);
  node.classList.toggle("follows", follows);
  add(node, own);
  if (!own && document.hidden) title(unread + 1);
  return own ? fate(node, body, time.textContent) : undefined;
}

function fate(node, body, time) {
  const line = element("p", "delivery", `${time} · sending…`);
  body.append(line);
  return {
    delivered(ms) {
      line.textContent = `${time} · echo after ${ms} ms`;
    },
    failed(reason, retry) {
      const button = element("button", "", "Try again");
      button.type = "button";
      button.addEventListener("click", () => {
        node.remove();
        retry();
      });
      line.classList.add("failed");
      line.replaceChildren(`Not sent: ${reason}. `, button);
    },
  };
}

function add(node, always = false) {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  log.append(node);
  while (log.childElementCount > MESSAGES_MAX) log.firstElementChild.remove();
  if (always || atEnd) toEnd();
  else $("newer").hidden = false;
}

function toEnd() {
  $("log").scrollTop = $("log").scrollHeight;
  $("newer").hidden = true;
}

$("newer").addEventListener("click", toEnd);
$("log").addEventListener("scroll", () => {
  const { scrollHeight, scrollTop, clientHeight } = $("log");
  if (scrollHeight - scrollTop - clientHeight < 80) $("newer").hidden = true;
});

function title(count) {
  unread = count;
  document.title = count > 0 ? `(${count}) ${TITLE}` : TITLE;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) title(0);
});

/* ---- writing ---- */

/** `onText` gets each message, `onTyping` whether there is something in the making. */
export function composer(onText, onTyping) {
  const field = $("text");
  const submit = () => {
    const text = field.value.trim();
    if (text === "" || $("send").disabled) return;
    field.value = "";
    field.focus();
    onText(text);
  };
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  field.addEventListener("keydown", (event) => {
    // While an input method is composing, Enter picks a word.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => onTyping(field.value.trim() !== ""));
}

export function writable(yes) {
  $("send").disabled = !yes;
}

export function typing(names) {
  $("typing").classList.toggle("active", names.length > 0);
  if (names.length === 0) $("typing").textContent = "";
  else if (names.length === 1) $("typing").textContent = `${names[0]} is typing`;
  else if (names.length === 2) $("typing").textContent = `${names[0]} and ${names[1]} are typing`;
  else $("typing").textContent = `${names.length} people are typing`;
}
