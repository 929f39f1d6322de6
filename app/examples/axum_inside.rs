//! An API on axum and sockets on Yamabiko in one server: what is there already stays as it is.
//!
//! `cargo run --features tower --example axum_inside`, then <http://localhost:3000/>. Options as for the server
//! itself, also as `YAMABIKO_NAME`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use yamabiko::{App, Config, Core, Handle, Html, Namespace, Server, Socket};

/// What all cores share has to be shared on purpose.
type Notes = Arc<Mutex<Vec<String>>>;

/// What an API of axum has as its state: the notes, and a way to the clients.
#[derive(Clone)]
struct Api {
    notes: Notes,
    clients: Arc<Mutex<Option<Handle>>>,
}

impl Api {
    /// As it may be in any axum program; it does not know where it is mounted.
    fn router(self) -> axum::Router {
        axum::Router::new()
            .route("/notes", get(list).post(add))
            .route("/notes/{index}", get(one))
            .with_state(self)
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn list(State(api): State<Api>) -> Json<Vec<String>> {
    Json(api.notes().clone())
}

async fn one(State(api): State<Api>, Path(index): Path<usize>) -> Result<String, StatusCode> {
    api.notes().get(index).cloned().ok_or(StatusCode::NOT_FOUND)
}

/// What comes by HTTP is told to every socket, on whatever core.
async fn add(State(api): State<Api>, Json(note): Json<String>) -> StatusCode {
    api.notes().push(note.clone());
    let clients = api.clients.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match clients.map(|clients| clients.of("/").emit("note", &note)) {
        Some(Ok(())) => StatusCode::CREATED,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn app(core: &Core, api: &Api) -> App {
    let (notes, told) = (Arc::clone(&api.notes), Arc::clone(&api.notes));
    let shard = core.shard();
    let namespace = Namespace::new()
        .on_connect(async move |socket: Socket| {
            let notes = told.lock().unwrap_or_else(PoisonError::into_inner).clone();
            socket.emit("notes", &(notes,))
        })
        .on("add", move |socket: Socket, note: String| {
            notes.lock().unwrap_or_else(PoisonError::into_inner).push(note.clone());
            tracing::debug!(shard, "a note");
            socket.everyone().emit("note", &note)
        });
    App::new()
        .namespace("/", namespace)
        .service("/api", api.clone().router())
        .get("/", async |_| Html(include_str!("pages/axum_inside.html")))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_args()?;
    let api = Api { notes: Notes::default(), clients: Arc::default() };
    let clients = Arc::clone(&api.clients);
    let server = Server::new(config).on_ready(move |ready| {
        *clients.lock().unwrap_or_else(PoisonError::into_inner) = Some(ready.handle);
    });
    server.run(move |core| app(&core, &api))?;
    Ok(())
}
