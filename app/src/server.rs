//! Starting a node with an app on every core.

use std::rc::Rc;

use yamabiko_runtime::{Application, Ready, ServeError, Shard};

use crate::app::{App, Running};
use crate::config::Config;
use crate::serve_client::Bundle;

/// Where a factory finds itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Core {
    /// The shard's number, from 0.
    pub shard: u8,
    /// How many shards the node has.
    pub shards: usize,
}

/// A server that is about to run.
pub struct Server {
    config: Config,
    on_ready: Box<dyn FnOnce(Ready)>,
}

impl Server {
    /// A server with this configuration.
    pub fn new(config: Config) -> Self {
        Self { config, on_ready: Box::new(|_| ()) }
    }

    /// Called when every shard accepts connections, with the address and the counters of all shards.
    pub fn on_ready(mut self, call: impl FnOnce(Ready) + 'static) -> Self {
        self.on_ready = Box::new(call);
        self
    }

    /// Runs until SIGTERM or SIGINT, then shuts down cleanly: no new connections, what waits is written,
    /// every transport is closed (without a DISCONNECT packet, so that clients reconnect by themselves).
    ///
    /// `factory` makes the app once on each core; it is the only thing here that must be `Send`.
    ///
    /// # Errors
    /// It could not start; the text says why and what to do.
    pub fn run(
        self,
        factory: impl Fn(Core) -> App + Clone + Send + 'static,
    ) -> Result<(), ServeError> {
        let Config { settings, serve_client, announce, .. } = self.config;
        let bundle = match serve_client {
            Some(directory) => Some(
                Bundle::load(&directory)
                    .map_err(|error| ServeError::Settings(format!("serve-client: {error}")))?,
            ),
            None => Bundle::find().map(|(place, bundle)| {
                tracing::info!(directory = %place.display(), "serving the official client");
                bundle
            }),
        };
        let on_ready = self.on_ready;
        let make = move |shard: Shard| -> Rc<dyn Application> {
            let core = Core { shard: shard.id(), shards: shard.shards() };
            let app = factory(core).serve_client(bundle.clone());
            Rc::new(Running::new(app, shard))
        };
        yamabiko_runtime::serve(settings, make, move |ready| {
            if announce {
                announce_port(ready.address.port());
            }
            on_ready(ready);
        })
    }
}

/// Runs an app on every core until SIGTERM or SIGINT. See [`Server`].
///
/// # Errors
/// It could not start; the text says why and what to do.
pub fn serve(
    config: Config,
    factory: impl Fn(Core) -> App + Clone + Send + 'static,
) -> Result<(), ServeError> {
    Server::new(config).run(factory)
}

#[allow(clippy::print_stdout)]
fn announce_port(port: u16) {
    println!("ready {port}");
}
