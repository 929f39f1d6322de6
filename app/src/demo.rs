//! The chat that the `yamabiko` binary serves: one page, and the handlers behind it.
//!
//! It keeps no state but each socket's own: who is in a room is told by the clients to each other, so a
//! room may be spread over every core.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use yamabiko_protocol::engine::SessionId;
use yamabiko_protocol::http::is_not_modified;

use crate::answer::Reject;
use crate::app::App;
use crate::http::{Failure, IntoResponse, Request, RequestExt, Response, StatusCode, header};
use crate::namespace::Namespace;
use crate::socket::Socket;

/// Longest name and room, and longest line, in characters.
const NAME_CHARS_MAX: usize = 32;
const TEXT_CHARS_MAX: usize = 2_000;

/// The page's files, which need no build step.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("../demo/index.html")),
    ("/index.html", "text/html; charset=utf-8", include_str!("../demo/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../demo/style.css")),
    ("/chat.js", "text/javascript; charset=utf-8", include_str!("../demo/chat.js")),
    ("/view.js", "text/javascript; charset=utf-8", include_str!("../demo/view.js")),
    ("/client.js", "text/javascript; charset=utf-8", include_str!("../demo/client.js")),
    ("/engine.js", "text/javascript; charset=utf-8", include_str!("../demo/engine.js")),
    ("/packet.js", "text/javascript; charset=utf-8", include_str!("../demo/packet.js")),
    ("/emitter.js", "text/javascript; charset=utf-8", include_str!("../demo/emitter.js")),
];

/// Who a socket is, and where; also what the room is told of it.
#[derive(Debug, Clone, Serialize)]
struct Guest {
    room: String,
    id: String,
    name: String,
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
struct Said<'a> {
    room: &'a str,
    id: &'a str,
    author: Author<'a>,
    text: String,
    at: u64,
}

#[derive(Serialize)]
struct Author<'a> {
    id: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct Receipt {
    id: String,
    at: u64,
}

#[derive(Serialize)]
struct Typing<'a> {
    room: &'a str,
    id: &'a str,
    name: &'a str,
    typing: bool,
}

/// The demo as an app for one core.
pub fn app() -> App {
    let page = FILES.iter().fold(App::new(), |app, (path, content_type, text)| {
        app.get(path, async move |request| file(&request, content_type, text))
    });
    page.namespace("/", chat())
}

fn file(
    request: &Request,
    content_type: &'static str,
    text: &'static str,
) -> Result<Response, Failure> {
    // While the demo is being worked on the version stays and the text does not.
    let etag = format!("\"{}-{:x}\"", env!("CARGO_PKG_VERSION"), fingerprint(text));
    let (status, text) = match is_not_modified(request.header("if-none-match"), &etag) {
        true => (StatusCode::NOT_MODIFIED, ""),
        false => (StatusCode::OK, text),
    };
    let fields = [
        (header::CONTENT_TYPE, content_type),
        (header::ETAG, &*etag),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (status, fields, text).into_response()
}

/// FNV-1a: tells versions of a file apart, nothing more.
fn fingerprint(text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325;
    text.bytes()
        .fold(start, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn chat() -> Namespace {
    Namespace::new()
        .on("join", |socket: Socket, name: String, room: String| {
            let name = checked(&name, NAME_CHARS_MAX).ok_or("a name has 1 to 32 characters")?;
            let room = checked(&room, NAME_CHARS_MAX).ok_or("a room has 1 to 32 characters")?;
            if socket.get::<Guest>().is_some_and(|guest| guest.room != room) {
                leave(&socket);
            }
            let guest = Guest { room: room.clone(), id: socket.id().into(), name: name.clone() };
            socket.join(&hall(&room))?;
            socket.to(&hall(&room)).emit("joined", &guest)?;
            socket.set(guest);
            let you = You { id: socket.id().into(), name, shard: socket.shard() };
            Ok::<_, Reject>(Joined { you, room })
        })
        .on("say", |socket: Socket, text: String| {
            let guest = socket.get::<Guest>().ok_or("join a room first")?;
            let text = checked(&text, TEXT_CHARS_MAX).ok_or("a line has 1 to 2000 characters")?;
            let Count(count) = socket.get::<Count>().map_or(Count(1), |it| Count(it.0 + 1));
            socket.set(Count(count));
            let (id, at) = (format!("{}-{count}", guest.id), now_ms());
            let author = Author { id: &guest.id, name: &guest.name };
            let said = Said { room: &guest.room, id: &id, author, text, at };
            socket.to(&hall(&guest.room)).emit("said", &said)?;
            Ok::<_, Reject>(Receipt { id, at })
        })
        .on("typing", |socket: Socket, typing: bool| {
            if let Some(guest) = socket.get::<Guest>() {
                let Guest { room, id, name } = &*guest;
                let event = Typing { room, id, name, typing };
                let _ = socket.to(&hall(room)).volatile().emit("typing", &event);
            }
        })
        .on("here", |socket: Socket, to: String| {
            // Only a socket may be told, by its id: whoever named a room could speak to it.
            if let Some(guest) = socket.get::<Guest>().filter(|_| SessionId::parse(&to).is_some()) {
                let _ = socket.to(&to).emit("here", &*guest);
            }
        })
        .on_disconnect(async |socket: Socket, _reason| leave(&socket))
}

/// How many lines a socket has said.
struct Count(u64);

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

/// Text without white space around it, if anything is left and it is not too long.
fn checked(text: &str, chars_max: usize) -> Option<String> {
    let text = text.trim();
    (1..=chars_max).contains(&text.chars().count()).then(|| text.into())
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
