//! Private messages: people have several tabs, go out of reach for a moment, and come back.
//!
//! Whoever is cut off shortly gets what was missed by connection state recovery, on whatever core; who comes
//! back later, the history. `cargo run --example messages`, then <http://localhost:3000/> in two browsers.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use yamabiko::{App, Config, ConnectionStateRecovery, Html, Namespace, Reject, Server, Socket};

/// Messages that are kept.
const HISTORY_MAX: usize = 1_000;

/// What a client says when it connects: who it is, or the secret that it was given before.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    name: String,
    secret: String,
}

/// Somebody, as the socket knows it.
#[derive(Clone, Serialize)]
struct Person {
    name: String,
}

#[derive(Clone, Serialize)]
struct Message {
    from: String,
    to: String,
    text: String,
}

#[derive(Default)]
struct House {
    /// Names by secrets.
    names: HashMap<String, String>,
    history: VecDeque<Message>,
}

/// One house for all cores.
type Shared = Arc<Mutex<House>>;

fn house(shared: &Shared) -> MutexGuard<'_, House> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl House {
    /// Who that is, and the secret by which they are known from now on.
    fn let_in(&mut self, auth: &Auth, secret: &str) -> Result<(Person, String), Reject> {
        if let Some(name) = self.names.get(&auth.secret) {
            return Ok((Person { name: name.clone() }, auth.secret.clone()));
        }
        let name = auth.name.trim();
        if name.is_empty() || name.len() > 40 {
            return Err("please tell us your name".into());
        }
        if self.names.values().any(|other| other == name) {
            return Err("somebody has that name".into());
        }
        self.names.insert(secret.into(), name.into());
        Ok((Person { name: name.into() }, secret.into()))
    }
}

/// The room of all tabs of one person. No other room is called like it.
fn room(name: &str) -> String {
    format!("person {name}")
}

fn messages(shared: &Shared) -> Namespace {
    let [entered, greeted, sent] = std::array::from_fn(|_| shared.clone());
    Namespace::new()
        // What a guard finds out is kept with the socket.
        .guard(async move |socket: Socket| -> Result<(Person, String), Reject> {
            let auth: Auth = socket.handshake()?.auth().unwrap_or_default();
            // Nobody can guess an id of a socket, and this one is told to nobody else.
            house(&entered)
                .let_in(&auth, &format!("{}{}", socket.id(), socket.handshake()?.issued()))
        })
        .on_connect(async move |socket: Socket| -> Result<(), Reject> {
            let (me, secret) = &*socket.get::<(Person, String)>().ok_or("nobody let it in")?;
            // Who was cut off for a moment is in its rooms already, and has had what it missed.
            if socket.recovered() {
                return Ok(());
            }
            socket.join(&room(&me.name))?;
            socket.emit("session", &(me, secret))?;
            let is_mine = |it: &&Message| it.from == me.name || it.to == me.name;
            let history: Vec<_> = house(&greeted).history.iter().filter(is_mine).cloned().collect();
            socket.emit("history", &(history,))?;
            Ok(socket.broadcast().emit("came", me)?)
        })
        .on("say", move |socket: Socket, to: String, text: String| -> Result<(), Reject> {
            let (me, _) = &*socket.get::<(Person, String)>().ok_or("nobody let it in")?;
            if text.is_empty() || text.len() > 2_000 {
                return Err("a message has 1 to 2000 bytes".into());
            }
            let message = Message { from: me.name.clone(), to, text };
            let mut house = house(&sent);
            if !house.names.values().any(|name| *name == message.to) {
                return Err("there is nobody of that name".into());
            }
            house.history.truncate(HISTORY_MAX - 1);
            house.history.push_front(message.clone());
            // To all tabs of both, the one it comes from left out: it has the acknowledgement.
            let both = socket.to(&room(&message.to)).to(&room(&message.from));
            Ok(both.emit("said", &message)?)
        })
        .on("who", async |socket: Socket, name: String| {
            !socket.everyone().to(&room(&name)).fetch_sockets().await.sockets.is_empty()
        })
        .on_disconnect(async |socket: Socket, _| -> Result<(), Reject> {
            let (me, _) = &*socket.get::<(Person, String)>().ok_or("nobody let it in")?;
            // Gone with the last tab, on whatever core that was.
            let tabs = socket.everyone().to(&room(&me.name)).fetch_sockets().await;
            if tabs.sockets.is_empty() {
                socket.everyone().emit("went", me)?;
            }
            Ok(())
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = Config::from_args()?;
    config.settings.connection_state_recovery.get_or_insert_with(ConnectionStateRecovery::default);
    // Who comes back is let in by its secret again, so that the socket has what the guard finds.
    if let Some(recovery) = &mut config.settings.connection_state_recovery {
        recovery.skip_middlewares = false;
    }
    let shared = Shared::default();
    Server::new(config).run(move |_core| {
        App::new()
            .namespace("/", messages(&shared))
            .get("/", async |_| Html(include_str!("pages/messages.html")))
    })?;
    Ok(())
}
