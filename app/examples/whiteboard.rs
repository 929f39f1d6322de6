//! A whiteboard for many: what is being drawn is shown at once and may be lost, what was drawn is not.
//!
//! `cargo run --example whiteboard`, then <http://localhost:3000/> in two tabs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use yamabiko::{App, Config, Html, Namespace, Reject, Socket, serve};

/// Strokes that are kept for who comes late; the oldest go first.
const STROKES_MAX: usize = 2_000;
/// Points of one stroke.
const POINTS_MAX: usize = 4_000;

/// A line from point to point. Places are parts of the board's width and height.
#[derive(Clone, Serialize, Deserialize)]
struct Stroke {
    color: String,
    points: Vec<(f64, f64)>,
}

impl Stroke {
    /// Nobody's page is to be broken by what another one sends.
    fn is_sane(&self) -> bool {
        let is_inside = |(x, y): &(f64, f64)| (0.0..=1.0).contains(x) && (0.0..=1.0).contains(y);
        (1..=POINTS_MAX).contains(&self.points.len())
            && self.points.iter().all(is_inside)
            && self.color.len() == 7
            && self.color.strip_prefix('#').is_some_and(|it| u32::from_str_radix(it, 16).is_ok())
    }
}

/// The picture is one for all cores, so it is shared on purpose.
type Picture = Arc<Mutex<Vec<Stroke>>>;

fn strokes(picture: &Picture) -> MutexGuard<'_, Vec<Stroke>> {
    picture.lock().unwrap_or_else(PoisonError::into_inner)
}

fn board(picture: Picture) -> Namespace {
    let (drawn, cleared) = (picture.clone(), picture.clone());
    Namespace::new()
        .on_connect(async move |socket: Socket| {
            let strokes = strokes(&picture).clone();
            socket.emit("picture", &(strokes,))
        })
        // Many times a second: who is not ready for one gets the next.
        .on("drawing", |socket: Socket, part: Stroke| -> Result<(), Reject> {
            if part.is_sane() {
                socket.broadcast().volatile().emit("drawing", &(socket.id(), &part))?;
            }
            Ok(())
        })
        .on("stroke", move |socket: Socket, stroke: Stroke| -> Result<(), Reject> {
            if !stroke.is_sane() {
                return Err("that is no stroke".into());
            }
            let mut strokes = strokes(&drawn);
            if strokes.len() == STROKES_MAX {
                strokes.remove(0);
            }
            strokes.push(stroke.clone());
            // Under the lock, so that all see them in the order of the picture.
            Ok(socket.broadcast().emit("stroke", &(socket.id(), &stroke))?)
        })
        .on("clear", move |socket: Socket| -> Result<(), Reject> {
            let mut strokes = strokes(&cleared);
            strokes.clear();
            Ok(socket.everyone().emit("clear", &())?)
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = Picture::default();
    serve(Config::from_args()?, move |_core| {
        App::new()
            .namespace("/", board(picture.clone()))
            .get("/", async |_| Html(include_str!("pages/whiteboard.html")))
    })?;
    Ok(())
}
