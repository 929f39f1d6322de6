//! The server as its peers are compared with it: the public API, the default build, the default settings.
//!
//! `PORT` and `CORES` in the environment say where it listens and how many shards it runs. Any option of
//! the server can stand there as well, as `YAMABIKO_NAME`, to see what it changes. With `REDIS_PAIR=1` it is
//! two nodes of a cluster on one port, with a `redis-server` of their own.

use std::env;
use std::error::Error;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::value::RawValue;
use yamabiko::{App, Config, JoinError, Namespace, RawArgs, Socket, serve};

fn main() -> Result<(), Box<dyn Error>> {
    if env::var("REDIS_PAIR").is_ok_and(|value| value == "1") {
        return pair();
    }
    let mut config = Config::from_env()?;
    config.settings.listen = ([127, 0, 0, 1], number("PORT", 3000)?).into();
    config.settings.shards = Some(number("CORES", 1)?.into());
    serve(config, |_core| App::new().namespace("/", contract()))?;
    Ok(())
}

/// Starts both nodes and waits for them. Whoever ends this ends its children, too.
fn pair() -> Result<(), Box<dyn Error>> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--port"])
        .arg(port.to_string())
        .stdout(Stdio::null())
        .spawn()?;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        sleep(Duration::from_millis(20));
    }
    let mut node = Command::new(env::current_exe()?);
    node.env("REDIS_PAIR", "0").env("YAMABIKO_REDIS", format!("redis://127.0.0.1:{port}"));
    let (mut one, mut other) = (node.spawn()?, node.spawn()?);
    one.wait()?;
    other.wait()?;
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
