//! The shards' end of the bridge.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use flume::{SendError, Sender};

use super::channel::{Channel, Kind};
use super::courier::Courier;

/// Where Redis is, and how much is put up with.
#[derive(Debug, Clone)]
pub(crate) struct RedisSettings {
    /// `redis://[user[:password]@]host[:port][/database]`, or `unix:` and a path.
    pub(crate) url: String,
    /// Bytes that may wait to be published, while Redis is away or slow.
    pub(crate) waiting_bytes_max: usize,
    /// Time for a connection, and for an answer.
    pub(crate) patience: Duration,
    /// Between two attempts to connect: at first, and at most. Each pause is somewhere between half of it
    /// and all of it, so that nodes do not come back at the same moment.
    pub(crate) pause_min: Duration,
    pub(crate) pause_max: Duration,
}

impl RedisSettings {
    pub(crate) fn of(url: &str) -> Self {
        Self {
            url: url.into(),
            waiting_bytes_max: 64 * 1024 * 1024,
            patience: Duration::from_secs(2),
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(2),
        }
    }
}

/// Who hears what other nodes say. Called on the bridge's thread; what it does there delays what comes next.
pub(crate) trait Listener: Send + 'static {
    /// Something was published. For a pattern, `channel` is the name that matched.
    fn message(&mut self, channel: &str, payload: Bytes);

    /// Channels that it wants from the first moment on.
    fn wants(&self) -> Vec<(Kind, Arc<str>)> {
        Vec::new()
    }

    /// Something that it has to say now: asked after everything that it is told, and every second.
    fn next_words(&mut self) -> Option<Said> {
        None
    }

    /// What it has to say at its end.
    fn farewell(&mut self) -> Option<Said> {
        None
    }

    /// Some time has passed. Also while Redis is away.
    fn look(&mut self) {}

    /// Redis is there, and every channel that is wanted is subscribed to: at the start and after each break.
    fn up(&mut self) {}

    /// Redis is away. What is published meanwhile is not heard here, ever.
    fn down(&mut self) {}
}

/// What is to be published, and where.
pub(crate) struct Said {
    pub(crate) channel: Arc<str>,
    pub(crate) is_sharded: bool,
    pub(crate) payload: Bytes,
}

/// What the bridge counts. Gauges say so.
#[derive(Debug, Default)]
pub(crate) struct LinkMetrics {
    /// Gauge: Redis is there.
    pub(crate) is_up: AtomicBool,
    /// Gauge: bytes that wait to be published.
    pub(crate) waiting_bytes: AtomicUsize,
    /// Messages given to Redis.
    pub(crate) published: AtomicU64,
    /// Messages dropped because too many bytes waited.
    pub(crate) dropped: AtomicU64,
    /// Messages that were on their way when the connection broke: other nodes may have got them or not.
    pub(crate) unsure: AtomicU64,
    /// Messages heard.
    pub(crate) heard: AtomicU64,
    /// Connections made after the first.
    pub(crate) reconnects: AtomicU64,
}

/// The way to Redis. Clones lead to the same thread, which ends when the last is gone.
#[derive(Clone)]
pub(crate) struct Link {
    orders: Sender<Order>,
    metrics: Arc<LinkMetrics>,
    waiting_bytes_max: usize,
}

/// What the thread is told.
pub(super) enum Order {
    Publish {
        channel: Arc<str>,
        is_sharded: bool,
        payload: Bytes,
    },
    Want(Channel),
    Forgo(Channel),
    Count(Channel, OnCount),
    /// The node ends: say so, and then drop this.
    Leave(std::sync::mpsc::Sender<()>),
}

/// Called once with how many hear a channel; `None` if Redis could not tell.
pub(crate) type OnCount = Box<dyn FnOnce(Option<usize>) + Send>;

/// The address of Redis makes no sense, or there is no thread to be had.
#[derive(Debug)]
pub(crate) struct NoLink(pub(super) String);

impl fmt::Display for NoLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for NoLink {}

impl Link {
    /// Starts the thread. Redis need not be there yet.
    pub(crate) fn open(settings: RedisSettings, listener: impl Listener) -> Result<Self, NoLink> {
        let (sender, orders) = flume::unbounded();
        let metrics = Arc::<LinkMetrics>::default();
        let waiting_bytes_max = settings.waiting_bytes_max;
        let courier = Courier::new(settings, orders, Arc::clone(&metrics), Box::new(listener))?;
        thread::Builder::new()
            .name("bridge".into())
            .spawn(move || courier.run())
            .map_err(|error| NoLink(format!("no thread for the bridge: {error}")))?;
        Ok(Self { orders: sender, metrics, waiting_bytes_max })
    }

    pub(crate) fn metrics(&self) -> &LinkMetrics {
        &self.metrics
    }

    /// Has a message published, soon. Messages of one thread are published in order. Returns whether it was
    /// taken: beyond the bound it is dropped and counted.
    pub(crate) fn publish(&self, channel: Arc<str>, is_sharded: bool, payload: Bytes) -> bool {
        let weight = weight(&channel, &payload);
        let waiting = self.metrics.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
        if waiting + weight > self.waiting_bytes_max {
            self.metrics.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
            self.metrics.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.orders.send(Order::Publish { channel, is_sharded, payload }).is_ok()
    }

    /// Has the listener's last words published, and waits for that.
    pub(crate) fn leave(&self, patience: Duration) {
        let (sender, said) = std::sync::mpsc::channel();
        if self.orders.send(Order::Leave(sender)).is_ok() {
            // It ends without a word when the other end is dropped.
            let _ = said.recv_timeout(patience);
        }
    }

    /// Asks how many connections hear a channel. Redis is asked before what is published next.
    pub(crate) fn count(&self, kind: Kind, name: Arc<str>, done: OnCount) {
        if let Err(SendError(Order::Count(_, done))) =
            self.orders.send(Order::Count(Channel { kind, name }, done))
        {
            done(None);
        }
    }

    /// Has a channel subscribed to, until it is forgone as often as it was wanted.
    pub(crate) fn want(&self, kind: Kind, name: Arc<str>) {
        let _ = self.orders.send(Order::Want(Channel { kind, name }));
    }

    /// Takes that back, once.
    pub(crate) fn forgo(&self, kind: Kind, name: Arc<str>) {
        let _ = self.orders.send(Order::Forgo(Channel { kind, name }));
    }
}

/// What a message that waits is counted as.
pub(super) fn weight(channel: &str, payload: &[u8]) -> usize {
    size_of::<Order>() + channel.len() + payload.len()
}
