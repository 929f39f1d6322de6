//! Files sent in pieces over a socket, each acknowledged before the next is sent, with progress for everybody.
//!
//! `cargo run --example upload`, then <http://localhost:3000/>. What was sent is kept in memory, up to a bound.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use yamabiko::http::StatusCode;
use yamabiko::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use yamabiko::{
    App, Binary, Config, Failure, Html, Json, Namespace, Reject, RequestExt, Socket, serve,
};

const FILE_BYTES_MAX: usize = 8 << 20;
const ALL_BYTES_MAX: usize = 64 << 20;

/// A file that is being sent, by one socket.
struct Upload {
    from: String,
    name: String,
    size: usize,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Files {
    next: u32,
    uploads: HashMap<u32, Upload>,
    done: HashMap<String, Vec<u8>>,
}

/// All cores have the same files.
type Shelf = Arc<Mutex<Files>>;

fn files(shelf: &Shelf) -> MutexGuard<'_, Files> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Serialize)]
struct Progress<'f> {
    upload: u32,
    name: &'f str,
    size: usize,
    received: usize,
}

impl Files {
    fn begin(&mut self, from: &str, name: &str, size: usize) -> Result<u32, Reject> {
        if size == 0 || size > FILE_BYTES_MAX {
            return Err(Reject::new(format!("a file has 1 to {FILE_BYTES_MAX} bytes, not {size}")));
        }
        let kept: usize = self.done.values().map(Vec::len).sum();
        let promised: usize = self.uploads.values().map(|it| it.size).sum();
        if kept + promised + size > ALL_BYTES_MAX {
            return Err("there is no room for it".into());
        }
        self.next += 1;
        let name = self.free_name(name);
        let upload = Upload { from: from.into(), name, size, bytes: Vec::new() };
        self.uploads.insert(self.next, upload);
        Ok(self.next)
    }

    /// A name that can stand in a path and a header, and that no other file has.
    fn free_name(&self, name: &str) -> String {
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain = |char: char| char.is_ascii_alphanumeric() || "._-".contains(char);
        let name: String = last.chars().filter(|it| plain(*it)).take(80).collect();
        let name = name.trim_start_matches('.');
        let name = if name.is_empty() { "file" } else { name };
        let is_taken = |name: &str| {
            self.done.contains_key(name) || self.uploads.values().any(|it| it.name == name)
        };
        let others = (2..).map(|number| format!("{number}-{name}"));
        let mut names = std::iter::once(name.to_owned()).chain(others);
        names.find(|name| !is_taken(name)).unwrap_or_default()
    }

    /// Takes the next piece of a file; one that does not fit ends it.
    fn take(
        &mut self,
        from: &str,
        id: u32,
        at: usize,
        piece: &[u8],
    ) -> Result<Progress<'_>, Reject> {
        let upload = self.uploads.get(&id).filter(|it| it.from == from).ok_or("no such upload")?;
        if at != upload.bytes.len() || at + piece.len() > upload.size {
            self.uploads.remove(&id);
            return Err("that piece does not fit".into());
        }
        let upload = self.uploads.get_mut(&id).ok_or("no such upload")?;
        upload.bytes.extend_from_slice(piece);
        let Upload { name, size, bytes, .. } = upload;
        Ok(Progress { upload: id, name, size: *size, received: bytes.len() })
    }

    /// Puts a whole file on the shelf; its name there.
    fn finish(&mut self, from: &str, id: u32) -> Result<String, Reject> {
        let is_whole = |it: &Upload| it.from == from && it.bytes.len() == it.size;
        self.uploads.get(&id).filter(|it| is_whole(it)).ok_or("it is not complete")?;
        let upload = self.uploads.remove(&id).ok_or("no such upload")?;
        self.done.insert(upload.name.clone(), upload.bytes);
        Ok(upload.name)
    }
}

fn uploads(shelf: &Shelf) -> Namespace {
    let [begun, taken, finished, left] = std::array::from_fn(|_| shelf.clone());
    Namespace::new()
        .on("begin", move |socket: Socket, name: String, size: usize| {
            files(&begun).begin(socket.id(), &name, size)
        })
        // The acknowledgement asks for the next piece, so no more than one is under way.
        .on("piece", move |socket: Socket, id: u32, at: usize, piece: Binary| {
            let mut files = files(&taken);
            let progress = files.take(socket.id(), id, at, &piece.0)?;
            // Who misses one sees the next.
            socket.everyone().volatile().emit("progress", &progress)?;
            Ok::<_, Reject>(progress.received)
        })
        .on("end", move |socket: Socket, id: u32| {
            let name = files(&finished).finish(socket.id(), id)?;
            socket.everyone().emit("file", &(id, &name))?;
            Ok::<_, Reject>(name)
        })
        .on_disconnect(async move |socket: Socket, _| {
            files(&left).uploads.retain(|_, upload| upload.from != socket.id());
        })
}

fn app(shelf: &Shelf) -> App {
    let (listed, read) = (shelf.clone(), shelf.clone());
    App::new()
        .namespace("/", uploads(shelf))
        .get("/", async |_| Html(include_str!("pages/upload.html")))
        .get("/files", async move |_| {
            let mut names: Vec<String> = files(&listed).done.keys().cloned().collect();
            names.sort();
            Json(names)
        })
        .get("/files/{name}", async move |request| -> Result<_, Failure> {
            let name: String = request.param("name")?;
            let bytes = files(&read).done.get(&name).cloned().ok_or(StatusCode::NOT_FOUND)?;
            // Never shown as a page of ours.
            let headers = [
                (CONTENT_TYPE, "application/octet-stream".to_owned()),
                (CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
            ];
            Ok((headers, bytes))
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shelf = Shelf::default();
    serve(Config::from_args()?, move |_core| app(&shelf))?;
    Ok(())
}
