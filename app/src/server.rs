//! Starting a node with an app on every core.

use std::fmt;
use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use yamabiko_runtime::{
    Application, EmitArgs, EmitError, NamespaceId, ServeError, Shard, ShardMetrics,
};

use crate::app::{App, with_slash};
use crate::broadcast::{Broadcast, gathering};
use crate::config::{Config, ServeClient};
use crate::handle::Handle;
use crate::responses::{AcksFailure, complete};
use crate::running::Running;
use crate::serve_client::Bundle;

/// The core that a factory makes an app for. Clones are the same core; handlers and routes may keep one to
/// reach a namespace's sockets without having one of them.
///
/// ```no_run
/// use yamabiko::{App, Config, Failure, Namespace, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// Server::new(Config::from_env()?).run(|core| {
///     App::new().namespace("/news", Namespace::new()).post("/ring", async move |_| {
///         let readers = core.of("/news").expect("it is declared above");
///         readers.emit("bell", &())?;
///         Ok::<_, Failure>("rung")
///     })
/// })?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Core {
    pub(crate) shard: Shard,
}

impl Core {
    pub(crate) fn new(shard: Shard) -> Self {
        Self { shard }
    }

    /// The shard's number, from 0.
    pub fn shard(&self) -> u8 {
        self.shard.id()
    }

    /// How many shards the node has.
    pub fn shards(&self) -> usize {
        self.shard.shards()
    }

    /// Everybody in a namespace, on all cores. `None` if there is no such namespace: the app does not
    /// declare it, it is dynamic and nobody has come to it, or the factory has not returned the app yet.
    pub fn of(&self, namespace: &str) -> Option<Broadcast> {
        Some(Broadcast::everyone(self.shard.clone(), self.id_of(namespace)?))
    }

    pub(crate) fn id_of(&self, namespace: &str) -> Option<NamespaceId> {
        self.shard.namespace(&with_slash(namespace))
    }

    /// Sends an event to the same namespace's handlers on all other cores and nodes:
    /// [`Namespace::on_server_side`](crate::Namespace::on_server_side). Socket.IO's `serverSideEmit`.
    ///
    /// # Errors
    /// There is no such namespace (as [`EmitError::Gone`]), or the arguments cannot be put into JSON.
    pub fn server_side_emit<T: EmitArgs + ?Sized>(
        &self,
        namespace: &str,
        event: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        let id = self.id_of(namespace).ok_or(EmitError::Gone)?;
        self.shard.server_side_emit(id, event, args).map_err(EmitError::Encode)
    }

    /// The same, and waits for the first value of each other core's answer, and of each other node's.
    ///
    /// # Errors
    /// [`AcksFailure`]: it could not be sent, or not every core and node has answered in time.
    pub fn server_side_emit_with_ack<R: DeserializeOwned + 'static>(
        &self,
        namespace: &str,
        event: &str,
        args: &dyn EmitArgs,
        timeout: Duration,
    ) -> impl Future<Output = Result<Vec<R>, AcksFailure<R>>> + use<R> {
        let (done, gathered) = gathering();
        let sent = self.id_of(namespace).ok_or(EmitError::Gone).and_then(|id| {
            let asked = self.shard.server_side_ask(id, event, args, timeout, done);
            asked.map_err(EmitError::Encode)
        });
        async move {
            sent.map_err(AcksFailure::Emit)?;
            complete(gathered.await)
        }
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        self.shard.sleep(time).await;
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut core = f.debug_struct("Core");
        core.field("shard", &self.shard()).field("shards", &self.shards()).finish()
    }
}

/// What is known as soon as every shard accepts connections.
#[derive(Debug, Clone)]
pub struct Ready {
    /// The address it listens on, with the real port.
    pub address: SocketAddr,
    /// The address at which other nodes pass connections on, with the real port.
    pub cluster_address: Option<SocketAddr>,
    /// Each shard's counters, in order of their ids.
    pub metrics: Vec<Arc<ShardMetrics>>,
    /// The way to the sockets from any thread.
    pub handle: Handle,
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
    /// `factory` makes the app once on each core, and again if a core had to be restarted; it is the only
    /// thing here that must be `Send`.
    ///
    /// # Errors
    /// It could not start; the text says why and what to do.
    pub fn run(
        self,
        factory: impl Fn(Core) -> App + Clone + Send + 'static,
    ) -> Result<(), ServeError> {
        let Config { settings, serve_client, announce, unknown_variables, .. } = self.config;
        for text in unknown_variables {
            tracing::warn!("{text}");
        }
        let bundle = bundle(serve_client)?;
        let on_ready = self.on_ready;
        let make = move |shard: Shard| -> Rc<dyn Application> {
            let app = factory(Core::new(shard.clone()));
            Rc::new(Running::new(app, bundle.clone(), shard))
        };
        let parser = settings.parser;
        yamabiko_runtime::serve(settings, make, move |ready| {
            if announce {
                // Whoever asked for it may have gone; the server has not.
                let mut stdout = io::stdout();
                let _ = writeln!(stdout, "ready {}", ready.address.port());
                let _ = stdout.flush();
            }
            let yamabiko_runtime::Ready { address, cluster_address, metrics, outside } = ready;
            let handle = Handle::new(outside, parser);
            on_ready(Ready { address, cluster_address, metrics, handle });
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

/// The official client's files, read before any shard runs.
fn bundle(wanted: ServeClient) -> Result<Option<Bundle>, ServeError> {
    match wanted {
        ServeClient::Off => Ok(None),
        ServeClient::From(directory) => Bundle::load(&directory)
            .map(Some)
            .map_err(|error| ServeError::Settings(format!("serve-client: {error}"))),
        ServeClient::Find => Ok(Bundle::find().map(|(place, bundle)| {
            tracing::info!(directory = %place.display(), "serving the official client");
            bundle
        })),
    }
}
