//! The bridge's thread: it connects to Redis, again and again, sends what is to be published in batches, and
//! passes on what comes.
//!
//! One batch is on its way at a time, and takes all that has gathered meanwhile. So order holds, and the
//! slower Redis is the larger the batches are.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use flume::Receiver;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, Value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::channel::{Channel, Kind, Wanted};
use super::link::{LinkMetrics, Listener, NoLink, Order, RedisSettings, Said, weight};

/// Messages of one batch at most, and their bytes.
const BATCH_MAX: usize = 1024;
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How often the listener is told that time passes.
const SECOND: Duration = Duration::from_secs(1);
/// Channels subscribed to with one command.
const CHANNELS_MAX: usize = 1024;

/// The thread's own.
pub(super) struct Courier {
    settings: RedisSettings,
    client: Client,
    orders: Receiver<Order>,
    metrics: Arc<LinkMetrics>,
    listener: Box<dyn Listener>,
    wanted: Wanted,
    /// Messages that came while Redis was away.
    waiting: VecDeque<Order>,
}

/// Connections to Redis. What is published has its own, so that a flood of what comes does not hold it up.
struct Lines {
    publishing: MultiplexedConnection,
    hearing: MultiplexedConnection,
    pushed: UnboundedReceiver<PushInfo>,
}

/// Why the lines are not used any more.
enum End {
    /// Nobody holds a link.
    Done,
    Broken(RedisError),
}

impl Courier {
    pub(super) fn new(
        settings: RedisSettings,
        orders: Receiver<Order>,
        metrics: Arc<LinkMetrics>,
        listener: Box<dyn Listener>,
    ) -> Result<Self, NoLink> {
        let client = client(&settings.url)?;
        let (mut wanted, waiting) = (Wanted::default(), VecDeque::new());
        for (kind, name) in listener.wants() {
            wanted.want(&Channel { kind, name });
        }
        Ok(Self { settings, client, orders, metrics, listener, wanted, waiting })
    }

    /// Runs until nobody holds a link any more.
    pub(super) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => tracing::error!(%error, "the bridge cannot run"),
        }
    }

    async fn serve(&mut self) {
        let mut pause = self.settings.pause_min;
        let mut has_been_up = false;
        let mut is_told = false;
        loop {
            match self.connect().await {
                Ok(mut lines) => {
                    if has_been_up {
                        self.metrics.reconnects.fetch_add(1, Ordering::Relaxed);
                    }
                    (has_been_up, is_told, pause) = (true, false, self.settings.pause_min);
                    self.metrics.is_up.store(true, Ordering::Relaxed);
                    tracing::info!("connected to Redis");
                    self.listener.up();
                    let end = self.attend(&mut lines).await;
                    self.metrics.is_up.store(false, Ordering::Relaxed);
                    match end {
                        End::Done => return,
                        End::Broken(error) => tracing::warn!(%error, "Redis is away"),
                    }
                    self.listener.down();
                }
                Err(error) if !is_told => {
                    is_told = true;
                    tracing::warn!(%error, "Redis cannot be reached; trying on");
                }
                Err(error) => tracing::debug!(%error, "Redis cannot be reached"),
            }
            if !self.rest(jittered(pause)).await {
                return;
            }
            pause = (pause * 2).min(self.settings.pause_max);
        }
    }

    async fn connect(&self) -> Result<Lines, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.patience))
            .set_response_timeout(Some(self.settings.patience));
        let (sender, pushed) = unbounded_channel();
        let config_for_hearing = config.clone().set_push_sender(sender);
        let publishing = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut hearing =
            self.client.get_multiplexed_async_connection_with_config(&config_for_hearing).await?;
        for kind in [Kind::Plain, Kind::Pattern, Kind::Sharded] {
            let names: Vec<&str> = self.wanted.of_kind(kind).collect();
            for names in names.chunks(CHANNELS_MAX) {
                subscribe(&mut hearing, kind, names).await?;
            }
        }
        Ok(Lines { publishing, hearing, pushed })
    }

    /// Serves as long as the lines hold.
    async fn attend(&mut self, lines: &mut Lines) -> End {
        let mut seconds = interval(SECOND);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.let_speak();
            if let Some(first) = self.waiting.pop_front() {
                match self.carry_out(first, lines).await {
                    Ok(()) => continue,
                    Err(error) => return End::Broken(error),
                }
            }
            let done = tokio::select! {
                biased;
                pushed = lines.pushed.recv() => self.hear(pushed),
                _ = seconds.tick() => {
                    self.listener.look();
                    Ok(())
                }
                order = self.orders.recv_async() => match order {
                    Ok(order) => self.carry_out(order, lines).await,
                    Err(_) => return End::Done,
                },
            };
            if let Err(error) = done {
                return End::Broken(error);
            }
        }
    }

    /// What the listener has to say goes first.
    fn let_speak(&mut self) {
        while let Some(Said { channel, is_sharded, payload }) = self.listener.next_words() {
            let weight = weight(&channel, &payload);
            self.metrics.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
            self.waiting.push_front(Order::Publish { channel, is_sharded, payload });
        }
    }

    fn hear(&mut self, pushed: Option<PushInfo>) -> Result<(), RedisError> {
        let Some(PushInfo { kind, data }) = pushed else { return Err(broken()) };
        let mut data = data.into_iter();
        let message = match kind {
            PushKind::Disconnection => return Err(broken()),
            PushKind::Message | PushKind::SMessage => (data.next(), data.next()),
            // The pattern comes first.
            PushKind::PMessage => (data.nth(1), data.next()),
            _ => return Ok(()),
        };
        if let (Some(Value::BulkString(channel)), Some(Value::BulkString(payload))) = message
            && let Ok(channel) = std::str::from_utf8(&channel)
        {
            self.metrics.heard.fetch_add(1, Ordering::Relaxed);
            self.listener.message(channel, Bytes::from(payload));
        }
        Ok(())
    }

    /// Carries out an order, and with it all messages that wait behind it.
    async fn carry_out(&mut self, order: Order, lines: &mut Lines) -> Result<(), RedisError> {
        match order {
            Order::Publish { .. } => {
                let (batch, rest) = self.gather(order);
                self.publish(batch, lines).await?;
                match rest {
                    Some(order) => self.change(order, lines).await,
                    None => Ok(()),
                }
            }
            other => self.change(other, lines).await,
        }
    }

    /// All that is to be published now, and the order that comes after it, if that is another one.
    fn gather(&mut self, first: Order) -> (Vec<Order>, Option<Order>) {
        let mut bytes = 0;
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX && bytes < BATCH_BYTES_MAX {
            let next = self.waiting.pop_front().or_else(|| self.orders.try_recv().ok());
            let Some(order) = next else { break };
            let Order::Publish { payload, .. } = &order else { return (batch, Some(order)) };
            bytes += payload.len();
            batch.push(order);
        }
        (batch, None)
    }

    async fn publish(&self, batch: Vec<Order>, lines: &mut Lines) -> Result<(), RedisError> {
        let mut pipeline = redis::Pipeline::with_capacity(batch.len());
        let (mut bytes, mut count) = (0, 0);
        for order in &batch {
            let Order::Publish { channel, is_sharded, payload } = order else { continue };
            (bytes, count) = (bytes + weight(channel, payload), count + 1);
            let command = if *is_sharded { "SPUBLISH" } else { "PUBLISH" };
            pipeline.cmd(command).arg(&**channel).arg(&**payload).ignore();
        }
        drop(batch);
        let sent: Result<(), RedisError> = pipeline.query_async(&mut lines.publishing).await;
        self.metrics.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match sent {
            Ok(()) => {
                self.metrics.published.fetch_add(count, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.metrics.unsure.fetch_add(count, Ordering::Relaxed);
                match is_refusal(&error) {
                    // A user that may not publish there, a Redis of an older kind: the line is whole.
                    true => {
                        tracing::warn!(%error, "Redis refused what was to be published");
                        Ok(())
                    }
                    false => Err(error),
                }
            }
        }
    }

    async fn change(&mut self, order: Order, lines: &mut Lines) -> Result<(), RedisError> {
        match order {
            Order::Want(channel) => {
                if self.wanted.want(&channel) {
                    subscribe(&mut lines.hearing, channel.kind, &[&channel.name]).await?;
                }
            }
            Order::Forgo(channel) => {
                if self.wanted.forgo(&channel) {
                    let (_, command) = channel.kind.commands();
                    let mut command = redis::cmd(command);
                    let done = command.arg(&*channel.name).exec_async(&mut lines.hearing).await;
                    tolerate(done)?;
                }
            }
            Order::Count(channel, done) => {
                let command = channel.kind.count();
                let command = redis::cmd("PUBSUB").arg(command).arg(&*channel.name).to_owned();
                let counted: Result<HashMap<String, usize>, RedisError> =
                    command.query_async(&mut lines.publishing).await;
                done(
                    counted.as_ref().ok().and_then(|counted| counted.get(&*channel.name).copied()),
                );
                tolerate(counted.map(drop))?;
            }
            Order::Leave(said) => {
                if let Some(Said { channel, is_sharded, payload }) = self.listener.farewell() {
                    let weight = weight(&channel, &payload);
                    self.metrics.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
                    let last = vec![Order::Publish { channel, is_sharded, payload }];
                    self.publish(last, lines).await?;
                }
                drop(said);
            }
            Order::Publish { .. } => {}
        }
        Ok(())
    }

    /// Waits while Redis is away. Wishes are noted, messages wait. Returns
    /// whether anybody holds a link.
    async fn rest(&mut self, pause: Duration) -> bool {
        sleep(pause).await;
        self.listener.look();
        loop {
            match self.orders.try_recv() {
                Ok(Order::Want(channel)) => drop(self.wanted.want(&channel)),
                Ok(Order::Forgo(channel)) => drop(self.wanted.forgo(&channel)),
                Ok(Order::Count(_, done)) => done(None),
                Ok(Order::Leave(said)) => drop(said),
                Ok(order) => self.waiting.push_back(order),
                Err(flume::TryRecvError::Empty) => break,
                Err(flume::TryRecvError::Disconnected) => return false,
            }
        }
        true
    }
}

async fn subscribe(
    line: &mut MultiplexedConnection,
    kind: Kind,
    names: &[&str],
) -> Result<(), RedisError> {
    let (command, _) = kind.commands();
    tolerate(redis::cmd(command).arg(names).exec_async(line).await)
}

/// What Redis refuses is told; the line is whole.
fn tolerate(done: Result<(), RedisError>) -> Result<(), RedisError> {
    match done {
        Err(error) if is_refusal(&error) => {
            tracing::warn!(%error, "Redis refused a command");
            Ok(())
        }
        other => other,
    }
}

/// Whether it was Redis that said no.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType)
}

fn broken() -> RedisError {
    RedisError::from((ErrorKind::Io, "the connection broke"))
}

/// A client that speaks the protocol in which messages come between answers.
fn client(url: &str) -> Result<Client, NoLink> {
    use redis::IntoConnectionInfo;
    let info = url.into_connection_info().map_err(|error| NoLink(format!("{url}: {error}")))?;
    let redis = info.redis_settings().clone().set_protocol(redis::ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(redis)).map_err(|error| NoLink(format!("{url}: {error}")))
}

/// Somewhere between half of a pause and all of it.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0; 4];
    // Without random numbers nodes come back together, which does no harm but a crowd.
    let _ = getrandom::fill(&mut random);
    let part = f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + part / 2.0)
}
