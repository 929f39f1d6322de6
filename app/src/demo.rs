//! The chat that the `yamabiko` binary serves: one page, and the handlers behind it.
//!
//! It keeps no state but each socket's own: who is in a room is told by the clients to each other, so a
//! room may be spread over every core.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use yamabiko_protocol::http::is_not_modified;
use yamabiko_runtime::HttpRequest;

use crate::app::{App, Response};
use crate::handler::Reject;
use crate::namespace::Namespace;
use crate::socket::Socket;

/// Longest name and room, and longest line, in characters.
const NAME_CHARS_MAX: usize = 32;
const TEXT_CHARS_MAX: usize = 2_000;

/// The page's files, which need no build step.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../demo/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../demo/style.css")),
    ("/chat.js", "text/javascript; charset=utf-8", include_str!("../demo/chat.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("../demo/view.js")),
    ("/client.js", "text/javascript; charset=utf-8", include_str!("../demo/client.js")),
    ("/engine.js", "text/javascript; charset=utf-8", include_str!("../demo/engine.js")),
    ("/packet.js", "text/javascript; charset=utf-8", include_str!("../demo/packet.js")),
    ("/emitter.js", "text/javascript; charset=utf-8", include_str!("../demo/emitter.js")),
];

/// Who a socket is, and where.
#[derive(Debug, Clone, Serialize)]
struct Guest {
    id: String,
    name: String,
    #[serde(skip)]
    room: String,
}

#[derive(Serialize)]
struct Joined {
    you: You,
    room: String,
}

#[derive(Serialize)]
struct You {
    id: String,
    name: String,
    shard: u8,
}

#[derive(Serialize)]
struct Said {
    id: String,
    author: Guest,
    text: String,
    at: u64,
}

#[derive(Serialize)]
struct Receipt {
    id: String,
    at: u64,
}

#[derive(Serialize)]
struct Typing {
    id: String,
    name: String,
    typing: bool,
}


/// The demo as an app for one core.
pub fn app() -> App {
    let page = FILES.iter().fold(App::new(), |app, (path, content_type, text)| {
        app.get(path, move |request| file(request, content_type, text))
    });
    page.namespace("/", chat())
}

fn file(request: &HttpRequest<'_>, content_type: &'static str, text: &'static str) -> Response {
    let etag = concat!("\"", env!("CARGO_PKG_VERSION"), "\"");
    // While the demo is being worked on the version stays and the text does not.
    let etag = format!("{}-{:x}\"", etag.trim_end_matches('"'), fingerprint(text));
    let response = match is_not_modified(request.head.header("if-none-match"), &etag) {
        true => Response::new(304, content_type, ""),
        false => Response::new(200, content_type, text),
    };
    response.with_header("ETag", etag).with_header("Cache-Control", "no-cache")
}

/// FNV-1a: tells versions of a file apart, nothing more.
fn fingerprint(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    text.bytes()
        .fold(start, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn chat() -> Namespace {
    Namespace::new()
        .on("join", async |socket: Socket, name: String, room: String| {
            let name = short(&name, NAME_CHARS_MAX).ok_or("a name is needed")?;
            let room = short(&room, NAME_CHARS_MAX).ok_or("a room is needed")?;
            leave(&socket);
            let guest = Guest { id: socket.id().into(), name: name.clone(), room: room.clone() };
            socket.join(&hall(&room))?;
            socket.to(&hall(&room)).emit("joined", &guest)?;
            socket.set(guest);
            let you = You { id: socket.id().into(), name, shard: socket.shard() };
            Ok::<_, Reject>(Joined { you, room })
        })
        .on("say", async |socket: Socket, text: String| {
            let author = socket.get::<Guest>().ok_or("join a room first")?;
            let text = short(&text, TEXT_CHARS_MAX).ok_or("say something")?;
            let at = now_ms();
            let count = socket.get::<u64>().map_or(0, |count| *count) + 1;
            socket.set(count);
            let id = format!("{}-{count}", socket.id());
            let said = Said { id: id.clone(), author: Guest::clone(&author), text, at };
            socket.to(&hall(&author.room)).emit("said", &said)?;
            Ok::<_, Reject>(Receipt { id, at })
        })
        .on("typing", async |socket: Socket, typing: bool| {
            if let Some(guest) = socket.get::<Guest>() {
                let event = Typing { id: guest.id.clone(), name: guest.name.clone(), typing };
                let _ = socket.to(&hall(&guest.room)).volatile().emit("typing", &event);
            }
        })
        .on("here", async |socket: Socket, to: String| {
            if let Some(guest) = socket.get::<Guest>() {
                let _ = socket.to(&to).emit("here", &*guest);
            }
        })
        .on_disconnect(async |socket: Socket, _reason| leave(&socket))
}

/// Tells the room that the guest is gone.
fn leave(socket: &Socket) {
    if let Some(guest) = socket.get::<Guest>() {
        let _ = socket.to(&hall(&guest.room)).emit("left", &*guest);
        let _ = socket.leave(&hall(&guest.room));
    }
}

/// A room's name, such that nobody's own room can be meant.
fn hall(room: &str) -> String {
    format!("room:{room}")
}

/// Text without white space around it; `None` if there is nothing else. Cut where it is too long.
fn short(text: &str, chars_max: usize) -> Option<String> {
    let text: String = text.trim().chars().take(chars_max).collect();
    (!text.is_empty()).then_some(text)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
