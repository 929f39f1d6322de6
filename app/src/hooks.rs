//! What an application does when its core starts, and before it stops.

use std::future::Future;
use std::pin::Pin;

use yamabiko_runtime::Shard;

use crate::app::App;
use crate::server::Core;

type Hook = Box<dyn FnOnce(Core) -> Pin<Box<dyn Future<Output = ()>>>>;

/// The hooks of an application, in the order in which they were declared.
#[derive(Default)]
pub(crate) struct Hooks {
    on_start: Vec<Hook>,
    on_stop: Vec<Hook>,
}

/// Starting and stopping. Both happen **on each core**, as the app does; what is to happen once on the node is
/// done where [`Core::shard`] is 0.
///
/// ```
/// # use std::{cell::Cell, rc::Rc, time::Duration};
/// # use yamabiko::{App, Core, Namespace, Socket};
/// # async fn save(_: u32) {}
/// fn app() -> App {
///     let hits = Rc::new(Cell::new(0));
///     let (counted, saved) = (Rc::clone(&hits), Rc::clone(&hits));
///     App::new()
///         .namespace("/", Namespace::new().on("hit", move |_: Socket| hits.set(hits.get() + 1)))
///         .on_start(async move |core: Core| {
///             let mut every = core.interval(Duration::from_secs(1));
///             loop {
///                 every.tick().await;
///                 let Some(everyone) = core.of("/") else { return };
///                 everyone.volatile().emit("hits", &counted.get()).ok();
///             }
///         })
///         .on_stop(async move |core: Core| {
///             let Some(everyone) = core.of("/") else { return };
///             everyone.emit("back soon", &()).ok();
///             save(saved.get()).await;
///         })
/// }
/// # app();
/// ```
impl App {
    /// Runs a future when the app is on its core: its first part, up to where it first waits, before the core
    /// accepts connections; the rest beside the handlers, for as long as it takes. It runs again on a core
    /// that had to be started again. A panic in it is logged, and ends it alone.
    pub fn on_start<F>(mut self, hook: F) -> Self
    where
        F: AsyncFnOnce(Core) + 'static,
    {
        self.hooks.on_start.push(boxed(hook));
        self
    }

    /// Runs a future when the server is asked to end. No new connections come then, but clients are still
    /// there and are served, so they can be told. They are closed when the hooks of the core have ended; a
    /// core waits for no other. All of them have four fifths of `shutdown-timeout` (10 seconds); then clients
    /// are closed all the same.
    ///
    /// A panic in it is logged, and ends it alone. It is not called on a core that dies.
    pub fn on_stop<F>(mut self, hook: F) -> Self
    where
        F: AsyncFnOnce(Core) + 'static,
    {
        self.hooks.on_stop.push(boxed(hook));
        self
    }
}

impl Hooks {
    /// Those of an app that is mounted here come after those that are here already.
    pub(crate) fn take_in(&mut self, mounted: Hooks) {
        self.on_start.extend(mounted.on_start);
        self.on_stop.extend(mounted.on_stop);
    }

    pub(crate) fn start(&mut self, shard: &Shard) {
        for hook in self.on_start.drain(..) {
            let core = Core::new(shard.clone());
            shard.run(None, async move { hook(core).await });
        }
    }

    pub(crate) fn stop(&mut self, shard: &Shard) {
        for hook in self.on_stop.drain(..) {
            let (core, hold) = (Core::new(shard.clone()), shard.hold_end());
            shard.run(None, async move {
                hook(core).await;
                drop(hold);
            });
        }
    }
}

fn boxed<F>(hook: F) -> Hook
where
    F: AsyncFnOnce(Core) + 'static,
{
    Box::new(|core| Box::pin(async move { hook(core).await }))
}
