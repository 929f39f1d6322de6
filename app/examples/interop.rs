//! The application that official clients are tested against.
//!
//! Environment: `PORT`, `SHARDS`, `PARSER` (`msgpack`), `EIO_PATH`, `ALLOW_EIO3`, `CORS` (an origin or `*`),
//! `COOKIE`, `MAX_HTTP_BUFFER_SIZE`, `OUTBOX_BYTES_MAX`, `RECOVERY`, `HOOKS`, `REDIS` (its URL), `ADAPTER` (a
//! subscription mode: the sharded one), `SPECIFIC`, `LOG`; in milliseconds `PING_INTERVAL`, `PING_TIMEOUT`,
//! `CONNECT_TIMEOUT`, `UPGRADE_TIMEOUT`, `HEADER_TIMEOUT`, `BODY_TIMEOUT`, `KEEP_ALIVE_TIMEOUT`. What else
//! there is has the server's own variables. Prints `ready <port>`.
#![allow(clippy::print_stdout)]

use std::env;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use yamabiko::http::{Cookie, Cors, HeaderValue, Origins, StatusCode};
use yamabiko::{
    AcksFailure, Adapter, App, Binary, Broadcast, Config, ConfigError, ConnectionStateRecovery,
    Core, Event, Failure, Namespace, RawArgs, Redis, Regex, Reject, RequestExt, RequestHead,
    Server, Socket,
};

#[derive(Serialize)]
struct WhoAmI {
    id: String,
    shard: u8,
    transport: &'static str,
}

/// Whom an operation of a cluster is for.
#[derive(Deserialize)]
struct Whom {
    rooms: Vec<String>,
    except: Vec<String>,
    #[serde(default)]
    local: bool,
}

impl Whom {
    fn of(self, socket: &Socket) -> Broadcast {
        let everyone = socket.everyone().except_rooms(self.except);
        let some = match self.rooms.is_empty() {
            true => everyone,
            false => everyone.to_rooms(self.rooms),
        };
        if self.local { some.local() } else { some }
    }
}

/// A socket as it is fetched.
#[derive(Serialize)]
struct Seen {
    id: String,
    rooms: Vec<String>,
    data: Option<serde_json::Value>,
    transport: Option<String>,
    agent: Option<String>,
    token: Option<serde_json::Value>,
}

/// A client's answer with binary data in it.
#[derive(Serialize, Deserialize)]
struct Answer {
    bytes: Binary,
}

/// What `/operations` does: all that one server of a cluster has others do.
fn operations(core: Core) -> Namespace {
    let hearing = core.clone();
    Namespace::new()
        .on("join", |socket: Socket, room: String| -> Result<(), Reject> {
            Ok(socket.join(&room)?)
        })
        .on("set-data", |socket: Socket, data: serde_json::Value| {
            socket.set_data(&data).map_err(|error| Reject::of(&error))
        })
        .on("rooms", |socket: Socket| -> Result<(Vec<String>,), Reject> { Ok((socket.rooms()?,)) })
        .on("fetch", async |socket: Socket, whom: Whom| {
            let fetched = whom.of(&socket).fetch_sockets().await;
            let missing = fetched.missing.clone();
            let seen = fetched.into_iter().map(|it| Seen {
                id: it.id().into(),
                rooms: it.rooms().to_vec(),
                data: it.data(),
                transport: it.handshake().query("transport"),
                agent: it.handshake().header("x-agent"),
                token: it.handshake().auth::<serde_json::Value>().map(|auth| auth["token"].clone()),
            });
            (seen.collect::<Vec<_>>(), missing)
        })
        .on("sockets-join", |socket: Socket, whom: Whom, rooms: Vec<String>| {
            whom.of(&socket).sockets_join(rooms);
        })
        .on("sockets-leave", |socket: Socket, whom: Whom, rooms: Vec<String>| {
            whom.of(&socket).sockets_leave(rooms);
        })
        .on("disconnect-sockets", |socket: Socket, whom: Whom, close: bool| {
            whom.of(&socket).disconnect_sockets(close);
        })
        .on("poll", async |socket: Socket, whom: Whom, ms: u64, what: serde_json::Value| {
            let asked = whom.of(&socket).timeout(Duration::from_millis(ms));
            match asked.emit_with_ack::<serde_json::Value>("question", &(what,)).await {
                Ok(answers) => (answers, 0),
                Err(AcksFailure::Incomplete(some)) => (some.responses, some.missing.len()),
                Err(_) => (Vec::new(), usize::MAX),
            }
        })
        .on("poll-bytes", async |socket: Socket, whom: Whom| {
            let asked = whom.of(&socket).emit_with_ack::<Answer>("question", &("?",)).await;
            asked.map_err(|error| Reject::of(&error))
        })
        .on("tell-servers", async move |_: Socket, what: serde_json::Value| {
            core.server_side_emit("/operations", "told", &(what,)).map_err(|it| Reject::of(&it))
        })
        .on("ask-servers", async |socket: Socket, what: serde_json::Value| {
            let asked = socket.core().server_side_emit_with_ack::<serde_json::Value>(
                "/operations",
                "asked",
                &(what,),
                Duration::from_secs(2),
            );
            match asked.await {
                Ok(answers) => (answers, 0),
                Err(AcksFailure::Incomplete(some)) => (some.responses, some.missing.len()),
                Err(_) => (Vec::new(), usize::MAX),
            }
        })
        .on_server_side("told", async move |(what,): (serde_json::Value,)| {
            if let Some(everyone) = hearing.of("/operations") {
                let _ = everyone.local().emit("told", &(what,));
            }
        })
        .on_server_side(
            "asked",
            async |(what,): (serde_json::Value,)| serde_json::json!({ "yamabiko": what }),
        )
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

fn config() -> Result<Config, ConfigError> {
    let mut config = Config { announce: true, ..Config::from_env()? };
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
    settings.redis = variable::<String>("REDIS").map(|url| {
        let adapter = match variable::<String>("ADAPTER") {
            Some(mode) => Adapter::Sharded(mode.parse().expect("ADAPTER is a subscription mode")),
            None => Adapter::Classic { is_specific: variable("SPECIFIC") == Some(1) },
        };
        Redis { adapter, ..Redis::at(&url) }
    });
    settings.cookie = variable::<String>("COOKIE").map(|_| Cookie::default());
    settings.cors = variable::<String>("CORS").map(|origin| Cors {
        origins: match &*origin {
            "*" => Origins::Any,
            _ => Origins::List(vec![origin]),
        },
        credentials: true,
        ..Cors::default()
    });
    Ok(config)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = variable::<String>("LOG").unwrap_or_else(|| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let refusals = Refusals::default();
    Server::new(config()?).run(move |core| {
        let dynamic = Regex::new("^/dynamic-[0-9]+$").expect("a good pattern");
        let app = App::new()
            .namespace("/", echoes())
            .namespace("/custom", echoes())
            .namespace("/operations", operations(core.clone()))
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
