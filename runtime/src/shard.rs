//! What one core owns, and its turn.
//!
//! A turn: enter the ring (submit what was queued, reap what is done) → completions to connections →
//! parcels from the mesh → what the application left to do → flush outboxes and the mesh. Nothing in it
//! waits. Timers are moved on between turns.
//!
//! All state is in one cell. It is never borrowed while the application runs, so handlers may call back
//! into their [`Shard`] freely.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustc_hash::FxHashMap;
use slotmap::SlotMap;
use yamabiko_protocol::engine::{Effect, PathPrefix, SessionId};
use yamabiko_protocol::limits::WebSocketLimits;
use yamabiko_protocol::socket::Spares;

use crate::application::{Application, EngineApplication, NamespaceId, SocketKey};
use crate::catalog::Catalog;
use crate::cluster::Voice;
use crate::compressor::Compressing;
use crate::connection::{Connection, ConnectionKey, key_of};
use crate::decision::Decided;
use crate::ending::Ending;
use crate::engine_hooks::EngineHooks;
use crate::entrance::{Entrance, Entrances};
use crate::gathering::{Gathering, InquiryKey};
use crate::heart::Heart;
use crate::identity::Identities;
use crate::interest::Directory;
use crate::membership::RoomNews;
use crate::mesh::{MeshEnd, Parcel};
use crate::metrics::ShardMetrics;
use crate::nodes::Roll;
use crate::operation::{Joining, JoiningKey};
use crate::outbox::Pool;
use crate::outgoing::Outgoing;
use crate::outside::Outside;
use crate::overtaken::Overtaken;
use crate::recovery::{Notice, Recovery, RestoringKey};
use crate::registry::Registry;
use crate::relay::Trust;
use crate::ring::{Completion, Doorbell, Ring, RingSizes, Sleep};
use crate::room::Rooms;
use crate::session::{SessionEntry, SessionKey};
use crate::settings::Settings;
use crate::socket::{EarlyEvent, SocketEntry};
use crate::wheel::{RESTING_STEP_MS, STEP_MS, Wheel};

/// Completions handled before the loop lets other tasks run.
const BATCH_MAX: usize = 1024;

/// How often spare buffers are freed that nobody needs.
const TRIM_EVERY_MS: u64 = 1_000;

/// What a shard is given when it starts.
pub(crate) struct Place {
    pub(crate) id: u8,
    pub(crate) shards: usize,
    pub(crate) listener: OwnedFd,
    pub(crate) cluster_listener: Option<OwnedFd>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) registry: Arc<Registry>,
    /// Those of all shards.
    pub(crate) metrics: Arc<[Arc<ShardMetrics>]>,
    pub(crate) mesh: MeshEnd,
    pub(crate) doorbell: Doorbell,
    pub(crate) voice: Option<Arc<Voice>>,
    pub(crate) roll: Arc<Roll>,
    pub(crate) outside: Outside,
}

/// The shard that the current thread runs. Clones are handles to the same one; it cannot leave its
/// thread.
#[derive(Clone)]
pub struct Shard(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    pub(crate) id: u8,
    pub(crate) shards: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<ShardMetrics>,
    /// Those of all shards.
    pub(crate) node_metrics: Arc<[Arc<ShardMetrics>]>,
    pub(crate) state: RefCell<State>,
    application: OnceCell<Rc<dyn Application>>,
    engine_application: OnceCell<Rc<dyn EngineApplication>>,
    hooks: Cell<EngineHooks>,
    doorbell: Doorbell,
    outside: Outside,
    pub(crate) ending: Ending,
    completions: RefCell<Vec<Completion>>,
    next_tick_ms: Cell<u64>,
    turning: Cell<bool>,
    started: Instant,
    ended: Cell<bool>,
}

/// Whose deadline an entry in the wheel is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Timer {
    Connection(ConnectionKey),
    Session(SessionKey),
    /// A socket waits for this acknowledgement until this time.
    Ack(SocketKey, u64, u64),
    /// A shard waits for answers.
    Inquiry(InquiryKey),
    /// A shard waits for what others have kept of a socket.
    Restoring(RestoringKey),
}

/// Everything the shard owns.
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Arc<ShardMetrics>,
    pub(crate) ring: Ring,
    pub(crate) mesh: MeshEnd,
    pub(crate) wheel: Wheel<Timer>,
    pub(crate) connections: SlotMap<ConnectionKey, Connection>,
    pub(crate) sessions: SlotMap<SessionKey, SessionEntry>,
    // The keys of both are made here, with random bits: a quick hash cannot be turned against them.
    pub(crate) session_ids: FxHashMap<SessionId, SessionKey>,
    pub(crate) sockets: SlotMap<SocketKey, SocketEntry>,
    pub(crate) socket_ids: FxHashMap<(NamespaceId, SessionId), SocketKey>,
    pub(crate) namespaces: Catalog,
    pub(crate) rooms: Rooms,
    pub(crate) identities: Identities,
    pub(crate) overtaken: Overtaken,
    /// Orders to join that other shards have not carried out yet.
    pub(crate) joinings: SlotMap<JoiningKey, Joining>,
    /// Questions to other shards that are not answered yet.
    pub(crate) inquiries: SlotMap<InquiryKey, Gathering>,
    /// The way to other nodes, if there may be some.
    pub(crate) voice: Option<Arc<Voice>>,
    /// The nodes of the cluster: whose an id is.
    pub(crate) roll: Arc<Roll>,
    /// Who may pass connections on to this node.
    pub(crate) trust: Trust,
    /// What is kept for clients that may come back, if that is asked for.
    pub(crate) recovery: Option<Box<Recovery>>,
    /// Spare write buffers.
    pub(crate) pool: Pool,
    trim_at_ms: u64,
    /// Connections with something to write at the end of this turn.
    pub(crate) dirty: Vec<ConnectionKey>,
    /// Polling sessions with something to say at the end of this turn.
    pub(crate) chatty: Vec<SessionKey>,
    /// Things to do as soon as the state is not borrowed.
    pub(crate) errands: Vec<Errand>,
    /// What the application has yet to be told of rooms.
    pub(crate) room_news: Vec<RoomNews>,
    /// The application watches what is sent to some sockets.
    pub(crate) watches_outgoing: bool,
    /// What was sent to them.
    pub(crate) outgoing: Vec<Outgoing>,
    /// What is sent right now may be compressed.
    pub(crate) compress: bool,
    /// Answers to polls that are to be compressed, and what with.
    pub(crate) compressing: Compressing,
    /// Reused by every call into a session.
    pub(crate) effects: Vec<Effect<ConnectionKey>>,
    /// Reused by every encoder.
    pub(crate) scratch: Vec<u8>,
    pub(crate) scratch_attachments: Vec<Bytes>,
    /// Reused by binary packets.
    pub(crate) spares: Spares,
    /// Distinguishes broadcasts, so that each socket gets each once.
    pub(crate) broadcast_stamp: u64,
    /// Distinguishes requests of the application, so that none is taken for another of its connection.
    pub(crate) exchange_stamp: u64,
    /// Monotonic milliseconds since the shard started.
    pub(crate) now_ms: u64,
    /// How many shards the node has.
    pub(crate) shards: usize,
    pub(crate) engine_settings: Arc<yamabiko_protocol::engine::Settings>,
    pub(crate) websocket_limits: WebSocketLimits,
    pub(crate) path: PathPrefix,
    pub(crate) header_timeout_ms: u64,
    pub(crate) finish_timeout_ms: u64,
    pub(crate) draining: bool,
    /// The application speaks Engine.IO alone.
    pub(crate) is_engine_only: bool,
    drain_deadline_ms: u64,
    entrances: Entrances,
}

/// Something that needs the application, or a fresh look, and so cannot be done inside a borrow.
pub(crate) enum Errand {
    /// Bytes of this connection can be parsed on.
    Parse(ConnectionKey),
    /// This session is over: its sockets must hear of it.
    Bury(SessionKey),
    /// This socket was accepted and has events that came before that.
    Replay(SocketKey, Vec<EarlyEvent>),
    /// What somebody waits for has come, or will not come.
    Wake(Waker),
    /// This shard tells itself something about a client that comes or goes.
    Notice(Box<Notice>),
    /// A request may begin a session, or not.
    Decided(Decided),
    /// Answers to polls wait to be compressed.
    Compress,
}

impl Shard {
    /// Sets everything up on the executor's thread and begins to accept.
    pub(crate) fn start(
        place: Place,
        factory: impl Fn(Shard) -> Rc<dyn Application>,
    ) -> Result<Self, String> {
        let Place { id, shards, listener, settings, directory, registry, mesh, doorbell, .. } =
            place;
        let (node_metrics, outside, voice) = (place.metrics, place.outside, place.voice);
        let (roll, entrances) = (place.roll, Entrances::new(listener, place.cluster_listener));
        let metrics = Arc::clone(&node_metrics[usize::from(id)]);
        let sizes = RingSizes {
            entries: settings.ring.entries,
            buffers: settings.ring.buffers,
            buffer_bytes: settings.ring.buffer_bytes,
        };
        let ring = Ring::new(sizes, &doorbell).map_err(|error| format!("io_uring: {error}"))?;
        let state = State {
            settings: Arc::clone(&settings),
            metrics: Arc::clone(&metrics),
            ring,
            mesh,
            wheel: Wheel::new(0),
            connections: SlotMap::with_key(),
            sessions: SlotMap::with_key(),
            session_ids: FxHashMap::default(),
            sockets: SlotMap::with_key(),
            socket_ids: FxHashMap::default(),
            namespaces: Catalog::new(registry, id, settings.cleanup_empty_child_namespaces),
            rooms: Rooms::new(id, directory, voice.clone()),
            identities: Identities::new(Arc::clone(&roll), id),
            overtaken: Overtaken::default(),
            joinings: SlotMap::with_key(),
            inquiries: SlotMap::with_key(),
            voice,
            roll,
            trust: Trust::new(&settings),
            recovery: settings
                .connection_state_recovery
                .as_ref()
                .map(|settings| Box::new(Recovery::new(id, settings, unix_ms()))),
            pool: Pool::default(),
            trim_at_ms: 0,
            dirty: Vec::new(),
            chatty: Vec::new(),
            errands: Vec::new(),
            room_news: Vec::new(),
            watches_outgoing: false,
            outgoing: Vec::new(),
            compress: true,
            compressing: Compressing::default(),
            effects: Vec::new(),
            scratch: Vec::new(),
            scratch_attachments: Vec::new(),
            spares: Spares::default(),
            broadcast_stamp: 0,
            exchange_stamp: 0,
            now_ms: 0,
            shards,
            engine_settings: Arc::new(settings.engine()),
            websocket_limits: settings.websocket(),
            path: PathPrefix::new(&settings.path, settings.add_trailing_slash),
            header_timeout_ms: settings.limits.header_timeout.as_millis() as u64,
            finish_timeout_ms: settings.limits.header_timeout.as_millis() as u64,
            draining: false,
            is_engine_only: false,
            drain_deadline_ms: u64::MAX,
            entrances,
        };
        let shard = Shard(Rc::new(Inner {
            id,
            shards,
            settings,
            metrics,
            node_metrics,
            state: RefCell::new(state),
            application: OnceCell::new(),
            engine_application: OnceCell::new(),
            hooks: Cell::default(),
            doorbell,
            outside,
            ending: Ending::default(),
            completions: RefCell::default(),
            next_tick_ms: Cell::new(0),
            turning: Cell::new(false),
            started: Instant::now(),
            ended: Cell::new(false),
        }));
        shard.put_on(factory(shard.clone()))?;
        Ok(shard)
    }

    /// Puts the application on, and begins to accept.
    fn put_on(&self, application: Rc<dyn Application>) -> Result<(), String> {
        if let Some(engine) = application.engine() {
            let _ = self.0.engine_application.set(engine);
        }
        self.0.hooks.set(application.engine_hooks());
        for name in application.namespaces() {
            self.with(|state| state.declare_namespace(&name))?;
            self.with(|state| state.hear(&name));
        }
        let set = self.0.application.set(application);
        assert!(set.is_ok(), "the application is set once");
        self.application().start();
        self.with(|state| {
            state.is_engine_only = self.0.engine_application.get().is_some();
            state.listen();
        });
        Ok(())
    }

    /// This shard's number, from 0.
    pub fn id(&self) -> u8 {
        self.0.id
    }

    /// How many shards the node has.
    pub fn shards(&self) -> usize {
        self.0.shards
    }

    /// The way to all shards from any thread.
    pub fn outside(&self) -> &Outside {
        &self.0.outside
    }

    /// This shard's counters, readable from any thread.
    pub fn metrics(&self) -> Arc<ShardMetrics> {
        Arc::clone(&self.0.metrics)
    }

    /// The settings the node runs with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn application(&self) -> &Rc<dyn Application> {
        self.0.application.get().expect("set before the first turn")
    }

    pub(crate) fn has_application(&self) -> bool {
        self.0.application.get().is_some()
    }

    pub(crate) fn engine_application(&self) -> Option<&Rc<dyn EngineApplication>> {
        self.0.engine_application.get()
    }

    pub(crate) fn hooks(&self) -> EngineHooks {
        self.0.hooks.get()
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.0.state.borrow_mut())
    }

    /// One turn of the loop. Returns whether it found anything to do.
    pub(crate) fn turn(&self) -> io::Result<bool> {
        self.0.turning.set(true);
        let mut completions = std::mem::take(&mut *self.0.completions.borrow_mut());
        let (reaped, has_errands) = self.with(|state| {
            state.now_ms = self.now_ms();
            let reaped = state.ring.enter()?;
            state.ring.take_completions(&mut completions);
            io::Result::Ok((reaped, !state.errands.is_empty()))
        })?;
        if has_errands {
            // A task has left them: events that came before its socket was accepted are among them, and
            // come before those that have come now.
            self.run_errands();
        }
        let mut handled = 0;
        for completion in completions.drain(..) {
            self.complete(completion);
            handled += 1;
            if handled % BATCH_MAX == 0 {
                self.flush();
            }
        }
        *self.0.completions.borrow_mut() = completions;
        let parcels = self.take_parcels();
        self.drain_if_stopped();
        self.run_errands();
        let flushed = self.flush();
        self.0.turning.set(false);
        let busy = reaped > 0 || parcels > 0 || flushed;
        if busy {
            self.0.metrics.turns.add(1);
        }
        Ok(busy)
    }

    fn complete(&self, completion: Completion) {
        match completion {
            Completion::Received { token, result, armed } => {
                self.received(key_of(token), result, armed)
            }
            Completion::Sent { token, result } => self.with(|state| {
                let key = key_of(token);
                state.sent(key, result);
                state.continue_hand_off(key, false);
            }),
            Completion::Accepted { token, result, armed } => self.with(|state| {
                let entrance = Entrance::of(token);
                match result {
                    Ok(fd) => state.accepted(fd, entrance),
                    Err(error) => state.accept_failed(&error),
                }
                if !armed {
                    state.entrances.paused(entrance);
                }
            }),
            Completion::Connected { token, result } => {
                self.with(|state| state.relay_connected(key_of(token), result));
            }
        }
    }

    fn take_parcels(&self) -> usize {
        let mut count = 0;
        while count < BATCH_MAX
            && let Some(batch) = self.with(|state| state.mesh.take())
        {
            for parcel in batch {
                count += 1;
                self.take_parcel(parcel);
            }
        }
        count
    }

    fn take_parcel(&self, parcel: Parcel) {
        match parcel {
            Parcel::Connection(moved) => self.take_in(moved),
            Parcel::Broadcast(broadcast) => self.with(|state| state.deliver(&broadcast)),
            Parcel::Order(order) => self.carry_out(&order),
            Parcel::Joined { by, key } => self.with(|state| state.joined(by, key)),
            Parcel::Inquiry(inquiry) => self.respond(&inquiry),
            Parcel::News(news) => self.hear(news),
            Parcel::Notice(notice) => self.notice(*notice),
            Parcel::Call(call) => call.run(self),
            Parcel::Drain => self.stop(),
        }
    }

    /// Does what could not be done inside a borrow, including what that leads to.
    pub(crate) fn run_errands(&self) {
        while let Some(errand) = self.with(|state| state.errands.pop()) {
            match errand {
                Errand::Parse(connection) => self.parse_on(connection),
                Errand::Bury(session) => self.bury(session),
                Errand::Replay(socket, early) => self.replay_early_events(socket, early),
                Errand::Wake(waker) => waker.wake(),
                Errand::Notice(notice) => self.notice(*notice),
                Errand::Decided(decided) => self.decided(decided),
                Errand::Compress => self.compress(),
            }
        }
        self.tell_outgoing();
    }

    /// Hands this turn's output to the kernel and the mesh.
    fn flush(&self) -> bool {
        self.with(|state| {
            state.flush_sessions();
            let wrote = state.flush();
            let posted = state.mesh.flush();
            wrote || posted || !state.errands.is_empty() || !state.outgoing.is_empty()
        })
    }

    /// Moves the timers on, every few milliseconds.
    pub(crate) fn tick_if_due(&self, heart: &Heart) {
        let now = self.with(|state| state.now_ms);
        if now < self.0.next_tick_ms.get() {
            return;
        }
        let rests = self.has_nobody();
        heart.rest(rests);
        self.0.next_tick_ms.set(now + if rests { RESTING_STEP_MS } else { STEP_MS });
        self.tick(now);
    }

    fn tick(&self, now: u64) {
        self.0.metrics.ticks.add(1);
        let mut due = Vec::new();
        self.with(|state| {
            state.wheel.advance(now, &mut due);
            state.overtaken.forget_old(now);
            state.forget_old_joinings();
            state.expire_absences();
            if now >= state.trim_at_ms {
                state.trim_at_ms = now + TRIM_EVERY_MS;
                state.pool.trim();
            }
            state.listen();
        });
        for timer in &due {
            match *timer {
                Timer::Connection(key) => self.connection_timer(key),
                Timer::Session(key) => self.session_timer(key),
                Timer::Ack(socket, id, at_ms) => self.ack_timer(socket, id, at_ms),
                Timer::Inquiry(key) => self.inquiry_timer(key),
                Timer::Restoring(key) => self.restoring_timer(key),
            }
        }
        self.run_errands();
    }

    /// Whether there is no client, no task and no end to look after.
    fn has_nobody(&self) -> bool {
        self.0.metrics.tasks.value() == 0
            && !self.0.ending.is_stopping()
            && self.with(|state| {
                state.connections.is_empty() && state.sessions.is_empty() && !state.draining
            })
    }

    /// Where to sleep.
    pub(crate) fn place_to_sleep(&self) -> Sleep {
        match self.0.metrics.tasks.value() {
            0 => Sleep::InRing,
            _ => Sleep::InExecutor,
        }
    }

    /// Whether there is really nothing to do, asked after the doorbell was told of the sleep.
    pub(crate) fn may_sleep(&self) -> bool {
        self.with(|state| !state.mesh.has_work() && !state.has_output() && !state.ring.has_queued())
    }

    /// Sleeps in the ring until something is done or the next tick is due.
    pub(crate) fn sleep_in_ring(&self) -> io::Result<()> {
        self.with(|state| state.ring.wait(self.until_tick()))
    }

    /// Makes the ring call the executor. Returns whether that may be waited for.
    pub(crate) fn signal(&self) -> io::Result<bool> {
        self.with(|state| state.ring.signal(self.until_tick()))
    }

    fn until_tick(&self) -> Duration {
        Duration::from_millis(self.0.next_tick_ms.get().saturating_sub(self.now_ms()))
    }

    /// Wakes the loop if a task of the application has left something to write. Within a turn, that is
    /// done by its end anyway.
    pub(crate) fn nudge(&self) {
        if !self.0.turning.get() {
            self.0.doorbell.ring();
        }
    }

    fn now_ms(&self) -> u64 {
        self.0.started.elapsed().as_millis() as u64
    }

    /// Closes every transport after what waits is written.
    pub(crate) fn drain(&self) {
        let sessions: Vec<_> = self.with(|state| {
            state.draining = true;
            state.sessions.keys().collect()
        });
        for session in sessions {
            self.shut_down_session(session);
        }
        self.run_errands();
        self.with(|state| {
            let keys: Vec<_> = state.connections.keys().collect();
            for key in keys {
                state.drain_relay(key);
                if !state.drain_exchange(key) && !state.drain_compressing(key) {
                    state.finish(key);
                }
            }
        });
    }

    /// Whether the end has been reached: everything written and closed, or out of patience.
    pub(crate) fn has_drained(&self) -> bool {
        self.with(|state| {
            let is_done = || state.connections.is_empty() && !self.0.ending.is_held();
            state.draining && (is_done() || state.now_ms >= state.drain_deadline_ms)
        })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.ended.get()
    }

    /// Lets go of everything that peers can see. What the kernel may still read from stays allocated.
    pub(crate) fn end(&self) {
        self.0.ended.set(true);
        let Ok(mut state) = self.0.state.try_borrow_mut() else { return };
        for (_, connection) in state.connections.drain() {
            connection.forget();
        }
        let _ = state.ring.enter();
        state.mesh.close();
        state.rooms.close_all();
        state.namespaces.close();
        let metrics = &state.metrics;
        let gauges = [
            &metrics.connections,
            &metrics.relays,
            &metrics.sessions,
            &metrics.sockets,
            &metrics.namespaces,
        ];
        for gauge in gauges {
            gauge.sub(gauge.value());
        }
    }
}

impl State {
    /// No new connections, and an end in `patience_ms` at the latest. Returns the time, if this is the
    /// beginning.
    pub(crate) fn begin_ending(&mut self, patience_ms: u64) -> Option<u64> {
        if !self.entrances.close(&mut self.ring) {
            return None;
        }
        self.drain_deadline_ms = self.now_ms + patience_ms;
        Some(self.now_ms)
    }

    fn listen(&mut self) {
        self.entrances.open(&mut self.ring);
    }

    /// Accepting failed; it goes on with the next tick, not at once, so that a lack of descriptors does
    /// not make the loop spin.
    fn accept_failed(&mut self, error: &io::Error) {
        if error.raw_os_error() != Some(libc::ECANCELED) {
            self.metrics.connections_refused.add(1);
            tracing::warn!(%error, "a connection could not be accepted");
        }
    }

    fn has_output(&self) -> bool {
        !self.dirty.is_empty()
            || !self.chatty.is_empty()
            || !self.errands.is_empty()
            || !self.outgoing.is_empty()
    }
}

/// Milliseconds since 1970, for what Socket.IO shows to people (`handshake.issued`).
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}
