//! The server as its peers are compared with it: the public API, the default build, the default settings.
//!
//! `PORT` and `CORES` in the environment say where it listens and how many shards it runs. Any option of
//! the server can stand there as well, as `YAMABIKO_NAME`, to see what it changes.

use std::env;
use std::error::Error;

use serde_json::value::RawValue;
use yamabiko::{App, Config, JoinError, Namespace, RawArgs, Socket, serve};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::from_env()?;
    config.settings.listen = ([127, 0, 0, 1], number("PORT", 3000)?).into();
    config.settings.shards = Some(number("CORES", 1)?.into());
    serve(config, |_core| App::new().namespace("/", contract()))?;
    Ok(())
}

/// What every peer does.
fn contract() -> Namespace {
    Namespace::new()
        .on("echo", |_: Socket, args: RawArgs| args)
        .on("join", |socket: Socket, room: String| -> Result<(), JoinError> { socket.join(&room) })
        .on("say", |socket: Socket, room: String, payload: Box<RawValue>| {
            // Arguments that came as JSON can be sent again.
            let _ = socket.everyone().to(&room).emit("said", &payload);
        })
}

fn number(name: &str, default: u16) -> Result<u16, Box<dyn Error>> {
    match env::var(name) {
        Ok(value) => value.parse().map_err(|_| format!("{name} is no number: '{value}'").into()),
        Err(_) => Ok(default),
    }
}
