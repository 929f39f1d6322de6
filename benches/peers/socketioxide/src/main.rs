//! socketioxide on axum, as the peers' comparison starts it.
//!
//! `PORT` and `CORES` in the environment say where it listens and how many threads tokio has.

use std::env;
use std::error::Error;

use rmpv::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{AckSender, Data, SocketRef};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::var("PORT").unwrap_or_else(|_| "3000".into()).parse()?;
    let cores: usize = env::var("CORES").unwrap_or_else(|_| "1".into()).parse()?;
    let mut builder = match cores {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if cores > 1 {
        builder.worker_threads(cores);
    }
    builder.enable_all().build()?.block_on(serve(port))
}

async fn serve(port: u16) -> Result<(), Box<dyn Error>> {
    let (layer, io) = SocketIo::new_layer();
    io.ns("/", on_connect);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    // axum leaves Nagle's algorithm on, which would make echo wait.
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        let _ = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, axum::Router::new().layer(layer)).await?)
}

/// What every peer does.
async fn on_connect(socket: SocketRef) {
    socket.on("echo", async |Data::<Value>(data), ack: AckSender| {
        ack.send(&data).ok();
    });
    socket.on("join", async |socket: SocketRef, Data::<String>(room), ack: AckSender| {
        socket.join(room);
        ack.send(&()).ok();
    });
    socket.on("say", async |io: SocketIo, Data::<(String, Value)>((room, payload))| {
        io.to(room).emit("said", &payload).await.ok();
    });
}
