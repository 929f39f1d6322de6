//! The application that official clients are tested against.
//!
//! Environment: `PORT`, `SHARDS`, `PARSER` (`msgpack`), `EIO_PATH`, `ALLOW_EIO3`, `CORS` (an origin or `*`),
//! `COOKIE`, `MAX_HTTP_BUFFER_SIZE`, `OUTBOX_BYTES_MAX`, `RECOVERY`, `HOOKS`, `REDIS` (its URL), `LOG`; in milliseconds `PING_INTERVAL`, `PING_TIMEOUT`,
//! `CONNECT_TIMEOUT`, `UPGRADE_TIMEOUT`, `HEADER_TIMEOUT`, `BODY_TIMEOUT`, `KEEP_ALIVE_TIMEOUT`. Prints
//! `ready <port>`.
#![allow(clippy::print_stdout)]

use std::env;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use yamabiko::http::{Cookie, Cors, HeaderValue, Origins, StatusCode};
use yamabiko::{
    App, Config, ConnectionStateRecovery, Core, Event, Failure, Namespace, RawArgs, Redis, Regex,
    Reject, RequestExt, RequestHead, Server, Socket,
};

#[derive(Serialize)]
struct WhoAmI {
    id: String,
    shard: u8,
    transport: &'static str,
}

/// What `/`, `/custom` and all of `/dynamic-1`, `/dynamic-2`, … do.
fn echoes() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| {
            let auth = socket.handshake().ok().and_then(|it| it.auth::<serde_json::Value>());
            let _ = socket.emit("auth", &(auth,));
        })
        .on("message", |socket: Socket, args: RawArgs| {
            let _ = socket.emit("message-back", &args);
        })
        .on("message-with-ack", |_: Socket, args: RawArgs| args)
        .on("join", |socket: Socket, room: String| -> Result<(), Reject> {
            Ok(socket.join(&room)?)
        })
        .on("leave", |socket: Socket, room: String| -> Result<(), Reject> {
            Ok(socket.leave(&room)?)
        })
        .on("rooms", |socket: Socket| -> Result<(Vec<String>,), Reject> { Ok((socket.rooms()?,)) })
        .on("say", |socket: Socket, room: String, what: serde_json::Value| {
            let _ = socket.to(&room).emit("said", &(what,));
        })
        .on("say-all", |socket: Socket, args: RawArgs| {
            let _ = socket.everyone().emit("said", &args);
        })
        .on("shout", |socket: Socket, args: RawArgs| {
            let _ = socket.broadcast().emit("said", &args);
        })
        .on("say-volatile", async |socket: Socket, args: RawArgs| {
            let _ = socket.everyone().volatile().emit("said", &args);
        })
        .on("ask", async |socket: Socket, question: serde_json::Value| {
            let patience = Some(Duration::from_secs(5));
            let answer = socket.emit_with_raw_ack("question", &(question,), patience).await;
            answer.map_err(|error| Reject::of(&error))
        })
        .on("slow", async |socket: Socket, ms: u64, value: serde_json::Value| {
            socket.sleep(Duration::from_millis(ms)).await;
            (value,)
        })
        .on("bye", async |socket: Socket, close: bool| {
            let _ = socket.disconnect(close);
        })
        .on("boom", async |socket: Socket| -> () {
            panic!("{} asked for it", socket.id());
        })
        .on("boom-later", async |socket: Socket| -> () {
            socket.sleep(Duration::from_millis(5)).await;
            panic!("{} asked for it", socket.id());
        })
        .on("namespace", |socket: Socket| String::from(socket.namespace()))
        .on("whoami", async |socket: Socket| -> Result<WhoAmI, Reject> {
            let transport = socket.transport()?;
            Ok(WhoAmI { id: socket.id().into(), shard: socket.shard(), transport })
        })
}

fn denied() -> Namespace {
    Namespace::new().guard(async |socket: Socket| -> Result<(), Reject> {
        // Late, so that what a client sends meanwhile has to wait.
        socket.sleep(Duration::from_millis(20)).await;
        Err(Reject::new("nope").with_data(&serde_json::json!({ "code": 7 })))
    })
}

/// Admits after a while: what is sent at once must wait, not be lost.
fn late() -> Namespace {
    let guarded = Namespace::new().guard(async |socket: Socket| {
        socket.sleep(Duration::from_millis(100)).await;
        Ok(())
    });
    guarded.on("message", |socket: Socket, args: RawArgs| {
        let _ = socket.emit("message-back", &args);
    })
}

/// Refuses one event and says so.
fn strict() -> Namespace {
    Namespace::new()
        .middleware(|_: &Socket, event: &Event<'_>| match &*event.name {
            "forbidden" => Err("not you"),
            _ => Ok(()),
        })
        .on_error(|socket, _, error| {
            let _ = socket.emit("problem", &error.to_string());
        })
        .on("forbidden", |socket: Socket| {
            let _ = socket.emit("problem", "it was not refused");
        })
        .on("message-with-ack", |_: Socket, args: RawArgs| args)
}

/// What was refused on any core, in order: `code message`.
type Refusals = Arc<Mutex<Vec<String>>>;

/// With `HOOKS=1`: refuses, late, whose query asks for it, adds headers, and remembers what was refused.
fn with_hooks(app: App, core: Core, refusals: Refusals) -> App {
    let noted = Arc::clone(&refusals);
    let told = Namespace::new()
        .on("refusals", move |_: Socket| {
            refusals.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
        .on("upgraded", |socket: Socket| socket.upgraded())
        .on("big", |socket: Socket, bytes: usize, compress: bool| {
            socket.compress(compress).emit("said", &"x".repeat(bytes))
        })
        .on_upgrade(async |socket: Socket| socket.emit("said", &"upgrade"));
    app.namespace("/hooks", told)
        .allow_request(async move |request: &RequestHead| {
            core.sleep(Duration::from_millis(5)).await;
            request.query("refuse").map_or(Ok(()), |message| Err(message.into()))
        })
        .initial_headers(|_, headers| {
            headers.insert("x-initial", HeaderValue::from_static("1"));
        })
        .headers(|_, headers| {
            headers.insert("x-every", HeaderValue::from_static("1"));
        })
        .on_connection_error(move |error| {
            let text = format!("{} {}", error.code(), error.message());
            noted.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        })
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok()?.parse().ok()
}

fn config() -> Config {
    let mut config = Config { announce: true, ..Config::default() };
    let settings = &mut config.settings;
    settings.listen = ([127, 0, 0, 1], variable("PORT").unwrap_or(0)).into();
    settings.shards = variable("SHARDS");
    if let Some(parser) = variable("PARSER") {
        settings.parser = parser;
    }
    settings.allow_eio3 = variable("ALLOW_EIO3") == Some(1);
    if let Some(path) = variable("EIO_PATH") {
        settings.path = path;
    }
    for (name, time) in [
        ("PING_INTERVAL", &mut settings.ping_interval),
        ("PING_TIMEOUT", &mut settings.ping_timeout),
        ("CONNECT_TIMEOUT", &mut settings.connect_timeout),
        ("UPGRADE_TIMEOUT", &mut settings.upgrade_timeout),
        ("HEADER_TIMEOUT", &mut settings.limits.header_timeout),
        ("BODY_TIMEOUT", &mut settings.limits.body_timeout),
        ("KEEP_ALIVE_TIMEOUT", &mut settings.limits.keep_alive_timeout),
    ] {
        if let Some(ms) = variable(name) {
            *time = Duration::from_millis(ms);
        }
    }
    if let Some(bytes) = variable("MAX_HTTP_BUFFER_SIZE") {
        settings.max_http_buffer_size = bytes;
    }
    if let Some(bytes) = variable("OUTBOX_BYTES_MAX") {
        settings.limits.outbox_bytes_max = bytes;
    }
    settings.connection_state_recovery =
        (variable("RECOVERY") == Some(1)).then(ConnectionStateRecovery::default);
    settings.redis = variable::<String>("REDIS").map(|url| Redis::at(&url));
    settings.cookie = variable::<String>("COOKIE").map(|_| Cookie::default());
    settings.cors = variable::<String>("CORS").map(|origin| Cors {
        origins: match &*origin {
            "*" => Origins::Any,
            _ => Origins::List(vec![origin]),
        },
        credentials: true,
        ..Cors::default()
    });
    config
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = variable::<String>("LOG").unwrap_or_else(|| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let refusals = Refusals::default();
    Server::new(config()).run(move |core| {
        let dynamic = Regex::new("^/dynamic-[0-9]+$").expect("a good pattern");
        let app = App::new()
            .namespace("/", echoes())
            .namespace("/custom", echoes())
            .namespace("/denied", denied())
            .namespace("/late", late())
            .namespace("/strict", strict())
            .namespace_matching(dynamic, echoes())
            // Reads its body before it says that there is nothing.
            .post("/anywhere", async |mut request| {
                request.bytes().await?;
                Err::<(), _>(Failure::from(StatusCode::NOT_FOUND))
            });
        match variable("HOOKS") == Some(1) {
            true => with_hooks(app, core, Arc::clone(&refusals)),
            false => app,
        }
    })?;
    Ok(())
}
