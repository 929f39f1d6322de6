//! A site of several parts: pages, an API with sockets of its own, server-sent events, uploads, and the same
//! chat mounted twice, once for admins alone.
//!
//! `cargo run --example site`, then <http://localhost:3000/>. Environment: `PORT`, `SHARDS`, `PUBLIC` (a
//! directory to serve). Prints `ready <port>`.

use std::cell::RefCell;
use std::env;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use yamabiko::http::StatusCode;
use yamabiko::{
    App, Body, Config, Core, Failure, Files, Html, IntoResponse, Json, Namespace, Next, Request,
    RequestExt, Response, Router, Server, Socket, Sse, SseEvent, compression,
};

/// What an upload may have in all: far more than a core could keep.
const UPLOAD_BYTES_MAX: u64 = 1 << 40;

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    from: String,
    text: String,
}

/// A chat over HTTP and over sockets. It does not know where it is mounted, nor how often.
fn chat(core: Core) -> App {
    let lines: Rc<RefCell<Vec<Line>>> = Rc::default();
    let (said, recent) = (Rc::clone(&lines), Rc::clone(&lines));
    let place: Rc<RefCell<String>> = Rc::default();
    let name = Rc::clone(&place);
    let namespace = Namespace::new().on("say", move |socket: Socket, text: String| {
        let line = Line { from: socket.id().into(), text };
        let told = socket.everyone().emit("said", &line);
        lines.borrow_mut().push(line);
        told.map_err(yamabiko::Reject::of)
    });
    App::new()
        .namespace("/", namespace)
        .on_mount(move |path| *name.borrow_mut() = path.into())
        .get("/recent", async move |_| Json(recent.borrow().clone()))
        .post("/say", async move |mut request| -> Result<_, Failure> {
            let line: Line = request.json().await?;
            if let Some(everyone) = core.of(&place.borrow()) {
                everyone.emit("said", &line)?;
            }
            said.borrow_mut().push(line);
            Ok(StatusCode::CREATED)
        })
        .on_error(async |failure, _| {
            (failure.status(), Json(serde_json::json!({ "error": failure.message() })))
        })
}

async fn admins_only(request: Request, next: Next) -> Result<Response, Failure> {
    match request.header("authorization") {
        Some("Bearer open sesame") => next.run(request).await,
        _ => Err(StatusCode::UNAUTHORIZED.into()),
    }
}

fn tools(core: Core) -> Router {
    let clock = core.clone();
    Router::new()
        .get("/wait/{ms}", async move |request| -> Result<_, Failure> {
            let ms = request.param("ms")?;
            core.sleep(Duration::from_millis(ms)).await;
            Ok(format!("waited {ms} ms"))
        })
        .get("/clock", async move |_| {
            let (events, answer) = Sse::channel();
            let core = clock.clone();
            clock.spawn(async move {
                for tick in 0_u64.. {
                    let event = SseEvent::data(tick.to_string()).id(&tick.to_string());
                    if events.send(event).await.is_err() {
                        break;
                    }
                    core.sleep(Duration::from_millis(100)).await;
                }
            });
            answer
        })
        .put("/count", async |mut request: Request| -> Result<_, Failure> {
            request.body_mut().set_limit(UPLOAD_BYTES_MAX);
            let mut bytes = 0;
            while let Some(piece) = request.body_mut().next().await {
                bytes += piece?.len();
            }
            Ok(Json(bytes))
        })
        // What comes in goes out, piece by piece; neither side has to wait for the other's end.
        .post("/echo", async |request| {
            let mut body: Body = request.into_body();
            body.set_limit(UPLOAD_BYTES_MAX);
            body
        })
}

fn site(core: Core) -> App {
    let public = env::var("PUBLIC").unwrap_or_else(|_| "app/demo".into());
    App::new()
        .layer(compression())
        .files("/public", Files::new(public))
        .get("/", async |_| Html("<h1>Site</h1><p><a href=public/>Files</a>"))
        .nest("/tools", tools(core.clone()))
        .mount("/chat", chat(core.clone()))
        .mount("/admin", App::new().layer(admins_only).mount("/chat", chat(core)))
        .not_found(async |request| {
            let text = format!("there is nothing at {}\n", request.original_url());
            (StatusCode::NOT_FOUND, text).into_response()
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("warn").with_writer(std::io::stderr).init();
    let mut config = Config { announce: true, ..Config::default() };
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(3000);
    config.settings.listen = ([127, 0, 0, 1], port).into();
    config.settings.shards = env::var("SHARDS").ok().and_then(|shards| shards.parse().ok());
    Server::new(config).run(site)?;
    Ok(())
}
