//! A chat with rooms: who enters one is told what was said there, and everybody sees who is typing.
//!
//! `cargo run --example chat`, then <http://localhost:3000/> in two tabs. What was said is kept in memory, for
//! all cores, up to a bound.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use yamabiko::{App, Config, Html, Namespace, Reject, Socket, serve};

/// Lines of one room, and rooms, that are kept.
const LINES_MAX: usize = 100;
const ROOMS_MAX: usize = 1_000;

#[derive(Clone, Serialize)]
struct Line {
    name: String,
    text: String,
}

type Histories = Arc<Mutex<HashMap<String, VecDeque<Line>>>>;

fn all(histories: &Histories) -> MutexGuard<'_, HashMap<String, VecDeque<Line>>> {
    histories.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a socket is, and who it is there. Kept with the socket.
struct Guest {
    room: String,
    name: String,
}

fn guest(socket: &Socket) -> Result<std::rc::Rc<Guest>, Reject> {
    socket.get::<Guest>().ok_or_else(|| "enter a room first".into())
}

fn checked(text: &str, bytes_max: usize) -> Result<String, Reject> {
    let text = text.trim();
    match (1..=bytes_max).contains(&text.len()) {
        true => Ok(text.into()),
        false => Err(Reject::new(format!("that has to have 1 to {bytes_max} bytes"))),
    }
}

/// Nobody enters another one's own room, whose name is its id.
fn hall(room: &str) -> String {
    format!("hall {room}")
}

fn chat(histories: &Histories) -> Namespace {
    let [entered, said] = std::array::from_fn(|_| histories.clone());
    Namespace::new()
        .on("enter", move |socket: Socket, room: String, name: String| {
            let guest = Guest { room: checked(&room, 40)?, name: checked(&name, 40)? };
            leave(&socket)?;
            // Under the lock: what is said meanwhile comes after what is told here, and not twice.
            let histories = all(&entered);
            socket.join(&hall(&guest.room))?;
            socket.to(&hall(&guest.room)).emit("entered", &guest.name)?;
            let lines = histories.get(&guest.room).cloned().unwrap_or_default();
            socket.set(guest);
            Ok::<_, Reject>((lines,))
        })
        .on("say", move |socket: Socket, text: String| -> Result<(), Reject> {
            let guest = guest(&socket)?;
            let line = Line { name: guest.name.clone(), text: checked(&text, 2_000)? };
            let mut histories = all(&said);
            if histories.len() == ROOMS_MAX && !histories.contains_key(&guest.room) {
                return Err("there are too many rooms".into());
            }
            let lines = histories.entry(guest.room.clone()).or_default();
            if lines.len() == LINES_MAX {
                lines.pop_front();
            }
            lines.push_back(line.clone());
            Ok(socket.everyone().to(&hall(&guest.room)).emit("said", &line)?)
        })
        // Worth nothing a moment later, so it may be lost.
        .on("typing", |socket: Socket| -> Result<(), Reject> {
            let guest = guest(&socket)?;
            Ok(socket.to(&hall(&guest.room)).volatile().emit("typing", &guest.name)?)
        })
        .on_disconnect(async |socket: Socket, _| leave(&socket))
}

fn leave(socket: &Socket) -> Result<(), Reject> {
    if let Some(guest) = socket.remove::<Guest>() {
        socket.to(&hall(&guest.room)).emit("left", &guest.name)?;
        // One that has disconnected is in no room any more.
        socket.leave(&hall(&guest.room)).ok();
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let histories = Histories::default();
    serve(Config::from_args()?, move |_core| {
        App::new()
            .namespace("/", chat(&histories))
            .get("/", async |_| Html(include_str!("pages/chat.html")))
    })?;
    Ok(())
}
