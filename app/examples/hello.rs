//! The README's app.

use yamabiko::{App, Config, Namespace, Reject, Socket, serve};

fn chat() -> Namespace {
    Namespace::new()
        .on_connect(async |socket: Socket| {
            socket.join("lobby").ok();
        })
        .on("say", async |socket: Socket, room: String, text: String| -> Result<usize, Reject> {
            socket.to(&room).emit("said", &(socket.id(), &text))?; // every core
            Ok(text.len()) // the client's acknowledgement
        })
        .on_disconnect(async |socket: Socket, reason| {
            tracing::info!(id = socket.id(), %reason, "left");
        })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve(Config::from_args()?, |_core| App::new().namespace("/", chat()))?;
    Ok(())
}
