//! What one socket may have been sent on its shard, and so may have missed.

use std::collections::HashSet;

use yamabiko_protocol::engine::SessionId;

use super::log::{Log, Logged};
use super::{Recovered, Serial};
use crate::application::NamespaceId;

/// The events of one socket on its shard: those it was given when it came back, then its part of the shard's
/// log.
pub(crate) struct Course {
    /// The secret by which its client comes back, on whatever shard.
    pub(super) pid: SessionId,
    /// Where its part of the log begins.
    since: u64,
    /// What it had missed when it came.
    pub(super) backlog: Vec<Logged>,
    /// The newest of that from each shard.
    newest: Vec<Serial>,
    /// The offset that it came with.
    heard: Option<Serial>,
    /// The last event that it was sent.
    pub(super) last: Option<Serial>,
    /// What the application gets back, if it was restored.
    pub(super) recovered: Option<Recovered>,
}

/// Where the events begin that a client has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At this index of the backlog.
    Backlog(usize),
    /// At this position of the log.
    Log(u64),
}

impl Course {
    /// That of a client that begins here and now.
    pub(super) fn new(pid: SessionId, since: u64) -> Self {
        let (backlog, newest, heard, last, recovered) = Default::default();
        Self { pid, since, backlog, newest, heard, last, recovered }
    }

    /// That of a client that has come back, with what it has missed.
    pub(super) fn resumed(self, heard: Serial, backlog: Vec<Logged>, recovered: Recovered) -> Self {
        let mut newest: Vec<Serial> = Vec::new();
        for Logged { serial, .. } in backlog.iter().rev() {
            if newest.iter().all(|other| other.shard != serial.shard) {
                newest.push(*serial);
            }
        }
        Self { backlog, newest, heard: Some(heard), recovered: Some(recovered), ..self }
    }

    /// Finds what follows the last event that the client has seen, if all of that is still there. `gone`
    /// is the log's end when it went.
    pub(super) fn locate(&self, seen: Serial, log: &Log, gone: u64) -> Option<Start> {
        // Even an old event will do, if it was the last.
        let start = if self.last == Some(seen) {
            Start::Log(gone)
        } else if let Some(index) = self.backlog.iter().position(|it| it.serial == seen) {
            Start::Backlog(index + 1)
        } else if let Some(position) = log.position(seen).filter(|at| *at >= self.since) {
            Start::Log(position + 1)
        } else if self.heard == Some(seen) {
            Start::Backlog(0)
        } else {
            return None;
        };
        let from = match start {
            Start::Backlog(_) => self.since,
            Start::Log(position) => position,
        };
        log.reaches(from).then_some(start)
    }

    /// The events from there on that are for the socket of that id in these rooms.
    pub(super) fn events<'a>(
        &'a self,
        start: Start,
        log: &'a Log,
        (namespace, id, rooms): (NamespaceId, SessionId, &'a [String]),
    ) -> impl Iterator<Item = &'a Logged> {
        let (index, position) = match start {
            Start::Backlog(index) => (index, self.since),
            Start::Log(position) => (self.backlog.len(), position),
        };
        // While it was on its way from one shard to the other, both have heard of some events.
        let twice: HashSet<Serial> = self.backlog.iter().map(|it| it.serial).collect();
        let here = log.since(position).filter(move |logged| {
            logged.content.is_for(namespace, id, rooms) && !twice.contains(&logged.serial)
        });
        self.backlog[index..].iter().chain(here)
    }

    /// Whether the socket had this event when it came: its shard may hear of it only now. What a shard sends
    /// comes in order, so all that is no newer than the backlog's newest is old.
    pub(super) fn has_had(&self, serial: Serial) -> bool {
        let newest = self.newest.iter().find(|newest| newest.shard == serial.shard);
        newest.is_some_and(|newest| serial.number <= newest.number)
    }

    /// Whether the client knows an offset, without which it cannot come back.
    pub(super) fn is_known_to_client(&self) -> bool {
        self.last.is_some() || self.heard.is_some()
    }

    /// Forgets what the client must have got by now.
    pub(super) fn drop_backlog(&mut self) {
        if let Some(last) = self.backlog.pop() {
            self.heard = Some(last.serial);
            (self.backlog, self.newest) = Default::default();
        }
    }
}
