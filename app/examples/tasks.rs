//! What an application does beside its handlers: it starts, ticks, works on other threads, and stops without
//! losing anything.
//!
//! Environment, in milliseconds: `STOP_MS` is how long stopping takes, `SAVE_MS` how long saving a diary takes.
//! For the rest see `yamabiko --help`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use std::{env, thread};

use yamabiko::{
    Actor, App, Config, Core, DisconnectReason, Events, Namespace, Reject, Socket, blocking, serve,
};

/// Keeps what a client writes, and saves it when the client leaves.
struct Diary {
    socket: Socket,
    lines: Vec<String>,
}

impl Actor for Diary {
    type Shared = ();

    async fn connect(socket: Socket, _: Rc<()>) -> Result<Self, Reject> {
        Ok(Self { socket, lines: Vec::new() })
    }

    fn events(events: Events<Self>) -> Events<Self> {
        events.on("write", |diary: &mut Self, line: String| {
            diary.lines.push(line);
            diary.lines.len()
        })
    }

    /// The server waits for this before it ends.
    async fn disconnected(self, reason: DisconnectReason) -> Result<(), Reject> {
        let text = self.lines.join(", ");
        // A disk would be slow, too.
        let saved = blocking(move || {
            thread::sleep(milliseconds("SAVE_MS"));
            text
        });
        tracing::info!(id = self.socket.id(), %reason, "saved: {}", saved.await);
        Ok(())
    }
}

fn app(core: Core) -> App {
    let uptime = Rc::new(Cell::new(0));
    let (ticking, asked) = (Rc::clone(&uptime), uptime);
    let diaries = Namespace::new()
        .actor::<Diary>(())
        .on_connect(async |socket: Socket| socket.emit("auth", &()))
        .on("uptime", move |_: Socket| asked.get())
        // A ticker of this client, which ends with it.
        .on("tick-me", |socket: Socket, ms: u64| {
            let mut every = socket.core().interval(Duration::from_millis(ms));
            let ticked = socket.clone();
            socket.spawn(async move {
                loop {
                    every.tick().await;
                    ticked.emit_volatile("tick", &()).ok();
                }
            });
        });
    App::new()
        .namespace("/", diaries)
        .on_start(async move |core: Core| {
            let mut every = core.interval(Duration::from_millis(100));
            loop {
                every.tick().await;
                ticking.set(ticking.get() + 1);
            }
        })
        .on_stop(async move |_| {
            // Once on the node, to the clients of all cores.
            if let Some(everyone) = core.of("/").filter(|_| core.shard() == 0) {
                everyone.emit("back soon", &()).ok();
            }
            core.sleep(milliseconds("STOP_MS")).await;
            tracing::info!(core = core.shard(), "stopped");
        })
}

fn milliseconds(name: &str) -> Duration {
    let ms = env::var(name).ok().and_then(|ms| ms.parse().ok());
    Duration::from_millis(ms.unwrap_or(0))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    serve(Config::from_args()?, app)?;
    Ok(())
}
