//! A server inside the test's process, for settings and counters that cannot be reached from outside.
//! It ends with the process.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use yamabiko::{App, Config, Core, Handle, Namespace, Ready, Server, ShardMetrics, Socket};

/// A server on threads of the test.
pub(crate) struct Inside {
    ready: Ready,
}

impl Inside {
    /// Starts it with an app that joins rooms and answers after a while.
    pub(crate) fn start(config: Config) -> Self {
        Self::serve(config, |_core| App::new().namespace("/", sleepers()))
    }

    /// Starts it with another app, on a free port.
    pub(crate) fn serve(
        mut config: Config,
        factory: impl Fn(Core) -> App + Clone + Send + 'static,
    ) -> Self {
        config.settings.listen = ([127, 0, 0, 1], 0).into();
        config.settings.pin = false;
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let server = Server::new(config).on_ready(move |ready| sender.send(ready).unwrap());
            server.run(factory).unwrap();
        });
        Self { ready: receiver.recv().expect("it starts") }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.ready.address
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.ready.handle
    }

    /// The sum of one counter over all shards.
    pub(crate) fn count(&self, counter: impl Fn(&Arc<ShardMetrics>) -> u64) -> u64 {
        self.ready.metrics.iter().map(counter).sum()
    }
}

fn sleepers() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| {
            let _ = socket.emit("auth", &());
        })
        .on("ask", async |socket: Socket| {
            let patience = Some(std::time::Duration::from_secs(60));
            let _ = socket.emit_with_raw_ack("question", &(), patience).await;
        })
        .on("join", async |socket: Socket, room: String| {
            let _ = socket.join(&room);
        })
        .on("slow", async |socket: Socket, ms: u64| {
            socket.sleep(std::time::Duration::from_millis(ms)).await;
            (ms,)
        })
}
