//! How a client that comes back gets its socket, from whichever shard has kept it.
//!
//! The shard to which it came (the *host*) asks the one that made the private id (the *home*), which
//! passes the question on to the one that keeps the absence (the *keeper*). Told of id and rooms, the host
//! joins them, and then asks every shard for a mark: what a shard sends before its mark it may still have
//! sent to the keeper alone, what it sends after it reaches the host. When the keeper has every mark, it
//! hands over what was missed. What both have heard of meanwhile is known by its serial and sent once.

use serde::Deserialize;
use yamabiko_protocol::engine::SessionId;

use super::absence::{hold_own, release_own};
use super::log::Logged;
use super::{Course, Serial};
use crate::application::{DisconnectReason, NamespaceId, SocketKey};
use crate::interest::ShardSet;
use crate::packet::Gone;
use crate::shard::{Errand, Shard, State, Timer};
use crate::socket::Admission;

/// How long a host waits before the client gets a new socket instead.
const PATIENCE_MS: u64 = 5_000;

slotmap::new_key_type! {
    /// Names one socket that is being restored.
    pub(crate) struct RestoringKey;
}

/// What a client says that comes back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Return {
    pid: SessionId,
    seen: Serial,
}

/// A socket that waits for what was kept of it.
pub(crate) struct Restoring {
    socket: SocketKey,
    back: Return,
    until_ms: u64,
    /// Where the host's log was when it had joined the rooms.
    found: Option<(Found, u64)>,
}

/// What was kept of a socket.
#[derive(Debug)]
pub(crate) struct Found {
    pub(super) id: SessionId,
    pub(super) namespace: NamespaceId,
    pub(super) rooms: Vec<String>,
    pub(super) data: Option<Box<str>>,
}

/// What the application gets back of a socket that was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What [`Application::data`](crate::Application::data) said of it when it went.
    pub data: Option<Box<str>>,
}

/// What shards tell each other of clients that come and go.
#[derive(Debug)]
pub(crate) enum Notice {
    /// To the home, then to the keeper: who is this?
    Sought { by: u8, key: RestoringKey, namespace: NamespaceId, back: Return, is_home: bool },
    /// To the host: this one, or nobody that is known.
    Found { key: RestoringKey, keeper: u8, found: Option<Found> },
    /// To every shard: give the keeper your mark.
    Mark { pid: SessionId, keeper: u8, key: RestoringKey },
    /// To the keeper: the mark.
    Marked { pid: SessionId, key: RestoringKey, from: u8 },
    /// To the host: what was missed. The keeper keeps nothing any more.
    Missed { key: RestoringKey, missed: Vec<Logged> },
    /// To the home: that shard has the client now.
    Moved { pid: SessionId, to: u8 },
    /// To the home: nobody has it any more.
    Forgotten { pid: SessionId },
}

impl DisconnectReason {
    /// Whether a client that went for this reason may come back: neither side has ended it on purpose.
    pub(crate) fn is_recoverable(self) -> bool {
        !matches!(self, Self::ClientNamespaceDisconnect | Self::ServerNamespaceDisconnect)
    }
}

impl Return {
    /// Reads what a client brings along with its CONNECT packet, if it comes back.
    pub(crate) fn read(auth: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Brought<'a> {
            #[serde(borrow)]
            pid: Option<std::borrow::Cow<'a, str>>,
            #[serde(borrow)]
            offset: Option<std::borrow::Cow<'a, str>>,
        }
        let brought: Brought<'_> = serde_json::from_str(auth).ok()?;
        Some(Self { pid: SessionId::parse(&brought.pid?)?, seen: Serial::parse(&brought.offset?)? })
    }
}

/// At the host.
impl Shard {
    /// Looks for the socket of a client that has come back, and asks the application afterwards.
    pub(crate) fn restore(&self, socket: SocketKey, namespace: NamespaceId, back: Return) {
        let by = self.0.id;
        self.with(|state| {
            let until_ms = state.now_ms + PATIENCE_MS;
            let Some(recovery) = &mut state.recovery else { return };
            let found = None;
            let key = recovery.restorings.insert(Restoring { socket, back, until_ms, found });
            state.wheel.file(Timer::Restoring(key), until_ms);
            let sought = Notice::Sought { by, key, namespace, back, is_home: true };
            state.notify(back.pid.owner().shard, sought);
        });
    }

    /// The time of a search has come up in the wheel.
    pub(crate) fn restoring_timer(&self, key: RestoringKey) {
        let is_over = self.with(|state| {
            let now_ms = state.now_ms;
            let restorings = state.recovery.as_ref().map(|it| &it.restorings);
            let Some(restoring) = restorings.and_then(|it| it.get(key)) else { return false };
            let until_ms = restoring.until_ms;
            if now_ms < until_ms {
                state.wheel.file(Timer::Restoring(key), until_ms);
            }
            now_ms >= until_ms
        });
        if is_over {
            tracing::debug!("what was kept of a client did not come in time");
            self.found(key, self.0.id, None);
        }
    }

    /// What was kept of a client is known, or that nothing is.
    fn found(&self, key: RestoringKey, keeper: u8, found: Option<Found>) {
        let socket = match found {
            None => self.with(|state| state.give_up(key)),
            Some(found) => {
                self.with(|state| state.make_ready(key, keeper, found));
                self.tell_room_news();
                None
            }
        };
        if let Some(socket) = socket {
            self.tell_room_news();
            self.ask_about(socket);
        }
    }

    /// What the client has missed is here: the application can have its socket.
    fn missed(&self, key: RestoringKey, missed: Vec<Logged>) {
        if let Some(socket) = self.with(|state| state.restored(key, missed)) {
            self.metrics().recovered.add(1);
            self.ask_about(socket);
        }
    }

    fn ask_about(&self, socket: SocketKey) {
        let asked = self.with(|state| {
            let entry = state.sockets.get(socket)?;
            matches!(entry.admission, Admission::Pending(_))
                .then(|| (entry.namespace, entry.auth.clone()))
        });
        if let Some((namespace, auth)) = asked {
            self.ask_application(socket, namespace, auth.as_deref());
        }
    }

    /// What the application gets back of a socket, if its client has come back and the socket was restored.
    ///
    /// # Errors
    /// The socket is no longer there.
    pub fn recovered(&self, socket: SocketKey) -> Result<Option<Recovered>, Gone> {
        self.with(|state| {
            let entry = state.sockets.get(socket).ok_or(Gone)?;
            Ok(entry.course.as_ref().and_then(|course| course.recovered.clone()))
        })
    }
}

impl State {
    fn pending(&self, socket: SocketKey) -> bool {
        let entry = self.sockets.get(socket);
        entry.is_some_and(|entry| matches!(entry.admission, Admission::Pending(_)))
    }

    /// Takes the place of the socket that went, but for what it has missed.
    fn make_ready(&mut self, key: RestoringKey, keeper: u8, found: Found) {
        let Some(recovery) = &mut self.recovery else { return };
        let (shard, since) = (recovery.shard, recovery.log.end());
        let Some(restoring) = recovery.restorings.get(key) else { return };
        let (socket, pid) = (restoring.socket, restoring.back.pid);
        // Who has gone again leaves everything as it was.
        let is_there = self.pending(socket) && self.namespaces.get(found.namespace).is_some();
        if !is_there {
            self.recovery.as_mut().map(|it| it.restorings.remove(key));
            return;
        }
        self.rename_socket(socket, found.id);
        for room in &found.rooms {
            self.join_room(socket, room);
        }
        // Its own id stays held for as long as it is here.
        hold_own(&mut self.rooms, found.namespace, found.id, shard);
        self.rooms.hold(found.namespace, None);
        if let Some(restoring) = self.recovery.as_mut().and_then(|it| it.restorings.get_mut(key)) {
            restoring.found = Some((found, since));
        }
        if keeper == shard {
            // It has heard of the rooms all the time.
            return self.notify(shard, Notice::Marked { pid, key, from: shard });
        }
        for other in (0..self.shards as u8).filter(|other| *other != keeper) {
            self.notify(other, Notice::Mark { pid, keeper, key });
        }
    }

    /// The client gets a new socket: too much is lost, or nobody answers.
    fn give_up(&mut self, key: RestoringKey) -> Option<SocketKey> {
        let recovery = self.recovery.as_mut()?;
        let shard = recovery.shard;
        let Restoring { socket, found, .. } = recovery.restorings.remove(key)?;
        if let Some((found, _)) = found {
            self.rooms.release(found.namespace, None);
            release_own(&mut self.rooms, found.namespace, found.id, shard);
            if self.pending(socket) {
                self.leave_rooms(socket);
            }
        }
        if !self.pending(socket) {
            return None;
        }
        let id = self.identities.next();
        self.rename_socket(socket, id);
        Some(socket)
    }

    /// Everything is here. Returns the socket, unless its client has gone again.
    fn restored(&mut self, key: RestoringKey, missed: Vec<Logged>) -> Option<SocketKey> {
        let recovery = self.recovery.as_mut()?;
        let shard = recovery.shard;
        let Restoring { socket, back, found, .. } = recovery.restorings.remove(key)?;
        let (found, since) = found?;
        let Return { pid, seen } = back;
        let recovered = Recovered { data: found.data.clone() };
        let course = Course::new(pid, since).resumed(seen, missed, recovered);
        self.notify(pid.owner().shard, Notice::Moved { pid, to: shard });
        let namespace = found.namespace;
        let is_pending = self.pending(socket);
        if is_pending {
            self.sockets[socket].course = Some(Box::new(course));
        } else {
            release_own(&mut self.rooms, namespace, found.id, shard);
            self.keep_absence(found, course);
        }
        self.rooms.release(namespace, None);
        is_pending.then_some(socket)
    }
}

/// At the home and at the keeper, and what all do.
impl Shard {
    pub(crate) fn notice(&self, notice: Notice) {
        match notice {
            Notice::Sought { by, key, namespace, back, is_home } => {
                self.sought((by, key), namespace, back, is_home);
            }
            Notice::Found { key, keeper, found } => self.found(key, keeper, found),
            Notice::Mark { pid, keeper, key } => {
                let from = self.0.id;
                self.with(|state| state.notify(keeper, Notice::Marked { pid, key, from }));
            }
            Notice::Marked { pid, key, from } => {
                self.with(|state| state.marked(pid, key, from));
            }
            Notice::Missed { key, missed } => self.missed(key, missed),
            Notice::Moved { pid, to } => self.with(|state| {
                state.recovery.as_mut().map(|it| it.whereabouts.insert(pid, to));
            }),
            Notice::Forgotten { pid } => self.with(|state| {
                state.recovery.as_mut().map(|it| it.whereabouts.remove(&pid));
            }),
        }
    }

    fn sought(
        &self,
        (by, key): (u8, RestoringKey),
        namespace: NamespaceId,
        back: Return,
        is_home: bool,
    ) {
        self.with(|state| {
            let Some(recovery) = &mut state.recovery else { return };
            let (shard, pid) = (recovery.shard, back.pid);
            let keeper = match is_home {
                true => recovery.whereabouts.get(&pid).copied(),
                false => Some(shard),
            };
            if let Some(keeper) = keeper.filter(|keeper| *keeper != shard) {
                let is_home = false;
                let sought = Notice::Sought { by, key, namespace, back, is_home };
                return state.notify(keeper, sought);
            }
            // A client often knows that its connection broke before we do.
            if let Some(socket) = recovery.present.remove(&pid)
                && let Some(entry) = state.sockets.get(socket)
            {
                let session = entry.session;
                let sought = Notice::Sought { by, key, namespace, back, is_home: false };
                state.errands.insert(0, Errand::Notice(Box::new(sought)));
                state.close_session(session, DisconnectReason::TransportClose);
                return;
            }
            let others = (0..state.shards as u8).filter(|other| *other != shard);
            let awaited = match by == shard {
                true => ShardSet::only(shard),
                false => others.map(ShardSet::only).fold(ShardSet::default(), ShardSet::union),
            };
            let found = recovery.lend((pid, namespace, back.seen), (by, key), awaited);
            state.notify(by, Notice::Found { key, keeper: shard, found });
        });
    }
}

/// At the keeper.
impl State {
    fn marked(&mut self, pid: SessionId, key: RestoringKey, from: u8) {
        let Some(recovery) = &mut self.recovery else { return };
        if let Some(claim) = recovery.absences.get_mut(&pid).and_then(|it| it.claim.as_mut())
            && claim.key == key
        {
            claim.awaited = claim.awaited.without(from);
        }
        if let Some((by, key, missed)) = recovery.fulfil(pid) {
            self.take_absence(pid);
            self.notify(by, Notice::Missed { key, missed });
        }
    }
}
