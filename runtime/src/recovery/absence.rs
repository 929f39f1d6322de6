//! Clients that are away and may come back.

use yamabiko_protocol::engine::{Revision, SessionId};

use super::course::Start;
use super::log::{Content, Logged};
use super::restore::{Found, RestoringKey};
use super::{Course, Expiry, Notice, Recovery, Serial};
use crate::application::{DisconnectReason, NamespaceId, SocketKey};
use crate::interest::ShardSet;
use crate::packet::Encoded;
use crate::room::Rooms;
use crate::shard::{Errand, State};

/// One socket whose client is away.
pub(crate) struct Absence {
    id: SessionId,
    pub(super) namespace: NamespaceId,
    rooms: Vec<String>,
    data: Option<Box<str>>,
    course: Course,
    /// The log's end when it went.
    gone: u64,
    until_ms: u64,
    pub(super) claim: Option<Claim>,
}

/// A shard to which the client has come back, and which makes ready for it.
pub(super) struct Claim {
    pub(super) by: u8,
    pub(super) key: RestoringKey,
    start: Start,
    /// Shards that may still send here what belongs there.
    pub(super) awaited: ShardSet,
}

impl Absence {
    /// The events that the client has not seen.
    pub(super) fn missed(&self, start: Start, recovery: &Recovery) -> Vec<Logged> {
        let socket = (self.namespace, self.id, &self.rooms[..]);
        self.course.events(start, &recovery.log, socket).cloned().collect()
    }

    fn hold(&self, rooms: &mut Rooms, shard: u8) {
        rooms.hold(self.namespace, None);
        for room in &self.rooms {
            rooms.hold(self.namespace, Some(room));
        }
        hold_own(rooms, self.namespace, self.id, shard);
    }

    fn release(&self, rooms: &mut Rooms, shard: u8) {
        rooms.release(self.namespace, None);
        for room in &self.rooms {
            rooms.release(self.namespace, Some(room));
        }
        release_own(rooms, self.namespace, self.id, shard);
    }
}

/// An id leads to the shard that made it. Where that is another, this one says that it has the socket now.
pub(super) fn hold_own(rooms: &mut Rooms, namespace: NamespaceId, id: SessionId, shard: u8) {
    if id.owner().shard != shard {
        rooms.hold(namespace, Some(id.as_str()));
    }
}

/// Takes that back.
pub(super) fn release_own(rooms: &mut Rooms, namespace: NamespaceId, id: SessionId, shard: u8) {
    if id.owner().shard != shard {
        rooms.release(namespace, Some(id.as_str()));
    }
}

/// Being here.
impl State {
    /// The serial for an event, if it can be recovered.
    pub(crate) fn next_serial(&mut self, is_recoverable: bool) -> Option<Serial> {
        self.recovery.as_mut().filter(|_| is_recoverable).map(|it| it.serials.next())
    }

    /// Logs an event that is delivered on this shard.
    pub(crate) fn log(&mut self, serial: Serial, content: Content) {
        let now_ms = self.now_ms;
        if let Some(recovery) = &mut self.recovery {
            let dropped = recovery.log.push(now_ms, serial, content);
            self.metrics.recovery_dropped.add(dropped);
        }
    }

    /// Whether a socket had this event when it came.
    pub(crate) fn has_had(&self, socket: SocketKey, serial: Serial) -> bool {
        let course = self.sockets.get(socket).and_then(|it| it.course.as_ref());
        course.is_some_and(|course| course.has_had(serial))
    }

    /// Notes what a socket was sent last.
    pub(crate) fn sent_last(&mut self, socket: SocketKey, serial: Serial) {
        if let Some(course) = self.sockets.get_mut(socket).and_then(|it| it.course.as_mut()) {
            course.last = Some(serial);
        }
    }

    /// Sends an event to one socket, so that it can be recovered.
    pub(crate) fn log_direct(&mut self, socket: SocketKey, serial: Serial, encoded: &Encoded) {
        let Some(entry) = self.sockets.get(socket) else { return };
        let (namespace, to) = (entry.namespace, entry.id);
        self.log(serial, Content::Direct { namespace, to, encoded: encoded.clone() });
        self.sent_last(socket, serial);
    }

    /// Begins the course of a socket that is being admitted, or sends it what it has missed. Returns its
    /// private id, which goes into the CONNECT packet that must follow.
    pub(crate) fn begin_course(&mut self, socket: SocketKey) -> Option<SessionId> {
        let recovery = self.recovery.as_mut()?;
        let entry = self.sockets.get_mut(socket)?;
        let session = entry.session;
        if self.sessions.get(session)?.engine.revision() == Revision::V3 {
            return None;
        }
        let Some(course) = &entry.course else {
            let pid = self.identities.next();
            entry.course = Some(Box::new(Course::new(pid, recovery.log.end())));
            recovery.whereabouts.insert(pid, recovery.shard);
            recovery.present.insert(pid, socket);
            return Some(pid);
        };
        let pid = course.pid;
        recovery.present.insert(pid, socket);
        let (namespace, id) = (entry.namespace, entry.id);
        let names = entry.memberships.iter().filter_map(|own| self.rooms.name(own.room));
        let rooms: Vec<String> = names.map(String::from).collect();
        let events = course.events(Start::Backlog(0), &recovery.log, (namespace, id, &rooms));
        let events: Vec<Logged> = events.cloned().collect();
        if !course.backlog.is_empty() {
            let until_ms = self.now_ms + recovery.duration_ms;
            recovery.expiries.push_back((until_ms, Expiry::Backlog(socket)));
        }
        for event in events {
            self.send_encoded(session, event.content.encoded());
            self.sent_last(socket, event.serial);
        }
        Some(pid)
    }
}

/// Going, and being away.
impl State {
    /// A socket goes, whose rooms are still known. Its client may come back if it did not mean to leave.
    pub(crate) fn end_course(
        &mut self,
        socket: SocketKey,
        reason: DisconnectReason,
        data: Option<Box<str>>,
    ) {
        let Some(recovery) = &mut self.recovery else { return };
        let Some(entry) = self.sockets.get_mut(socket) else { return };
        let Some(course) = entry.course.take() else { return };
        let (namespace, id, pid) = (entry.namespace, entry.id, course.pid);
        recovery.present.remove(&pid);
        release_own(&mut self.rooms, namespace, id, recovery.shard);
        if !reason.is_recoverable() || !course.is_known_to_client() || self.draining {
            return self.notify(pid.owner().shard, Notice::Forgotten { pid });
        }
        let names = entry.memberships.iter().filter_map(|own| self.rooms.name(own.room));
        let rooms = names.map(String::from).collect();
        // One that was restored but not admitted yet has the data that it came with.
        let data = data.or_else(|| course.recovered.as_ref()?.data.clone());
        self.keep_absence(Found { id, namespace, rooms, data }, *course);
    }

    /// Keeps a place for a client that is away.
    pub(super) fn keep_absence(&mut self, found: Found, course: Course) {
        let Some(recovery) = &mut self.recovery else { return };
        let Found { id, namespace, rooms, data } = found;
        let pid = course.pid;
        let (until_ms, gone) = (self.now_ms + recovery.duration_ms, recovery.log.end());
        let claim = None;
        let absence = Absence { id, namespace, rooms, data, course, gone, until_ms, claim };
        absence.hold(&mut self.rooms, recovery.shard);
        recovery.expiries.push_back((until_ms, Expiry::Absence(pid)));
        recovery.absences.insert(pid, absence);
        self.metrics.recoverable.add(1);
        if recovery.absences.len() > recovery.absences_max {
            self.metrics.recovery_dropped.add(1);
            self.expire_first_absence();
        }
    }

    fn expire_first_absence(&mut self) {
        while let Some((_, expiry)) = self.recovery.as_mut().and_then(|it| it.expiries.pop_front())
        {
            match expiry {
                Expiry::Absence(pid) if self.forget_absence(pid) => return,
                Expiry::Absence(_) => {}
                Expiry::Backlog(socket) => self.drop_backlog(socket),
            }
        }
    }

    /// Lets go of everything whose time is over.
    pub(crate) fn expire_absences(&mut self) {
        let now_ms = self.now_ms;
        while let Some(recovery) = &mut self.recovery {
            recovery.log.trim(now_ms);
            if recovery.expiries.front().is_none_or(|(until, _)| *until > now_ms) {
                return;
            }
            match recovery.expiries.pop_front().map(|(_, expiry)| expiry) {
                // It may have come and gone again since.
                Some(Expiry::Absence(pid)) => {
                    if recovery.absences.get(&pid).is_some_and(|it| it.until_ms <= now_ms) {
                        self.forget_absence(pid);
                    }
                }
                Some(Expiry::Backlog(socket)) => self.drop_backlog(socket),
                None => return,
            }
        }
    }

    fn forget_absence(&mut self, pid: SessionId) -> bool {
        if self.take_absence(pid).is_none() {
            return false;
        }
        self.notify(pid.owner().shard, Notice::Forgotten { pid });
        true
    }

    pub(super) fn take_absence(&mut self, pid: SessionId) -> Option<Absence> {
        let recovery = self.recovery.as_mut()?;
        let absence = recovery.absences.remove(&pid)?;
        absence.release(&mut self.rooms, recovery.shard);
        self.metrics.recoverable.sub(1);
        Some(absence)
    }

    fn drop_backlog(&mut self, socket: SocketKey) {
        if let Some(course) = self.sockets.get_mut(socket).and_then(|it| it.course.as_mut()) {
            course.drop_backlog();
        }
    }

    /// Tells a shard, or this one, something about a client that comes or goes.
    pub(crate) fn notify(&mut self, shard: u8, notice: Notice) {
        let Some(recovery) = &self.recovery else { return };
        match shard == recovery.shard {
            true => self.errands.push(Errand::Notice(Box::new(notice))),
            false if usize::from(shard) < self.shards => {
                let parcel = crate::mesh::Parcel::Notice(Box::new(notice));
                self.mesh.post(shard, parcel, &self.metrics);
            }
            false => {}
        }
    }
}

/// Coming back.
impl Recovery {
    /// Lends what is kept of a client that is away to the shard to which it has come back. From now on it
    /// waits until nothing can come here any more that the other does not get. `None` if too much is lost.
    pub(super) fn lend(
        &mut self,
        (pid, namespace, seen): (SessionId, NamespaceId, Serial),
        (by, key): (u8, RestoringKey),
        awaited: ShardSet,
    ) -> Option<Found> {
        let absence = self.absences.get_mut(&pid).filter(|it| it.namespace == namespace)?;
        let start = absence.course.locate(seen, &self.log, absence.gone)?;
        absence.claim = Some(Claim { by, key, start, awaited });
        Some(Found {
            id: absence.id,
            namespace,
            rooms: absence.rooms.clone(),
            data: absence.data.clone(),
        })
    }

    /// Whether a claim waits for nobody any more; then what was missed.
    pub(super) fn fulfil(&self, pid: SessionId) -> Option<(u8, RestoringKey, Vec<Logged>)> {
        let absence = self.absences.get(&pid)?;
        let claim = absence.claim.as_ref().filter(|claim| claim.awaited.is_empty())?;
        Some((claim.by, claim.key, absence.missed(claim.start, self)))
    }
}
