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
    pub(crate) pid: SessionId,
    /// Where its part of the log begins.
    pub(crate) since: u64,
    /// What it had missed when it came.
    pub(crate) backlog: Vec<Logged>,
    /// The offset that it came with.
    pub(crate) heard: Option<Serial>,
    /// The last event that it was sent.
    pub(crate) last: Option<Serial>,
    /// What the application gets back, if it was restored.
    pub(crate) recovered: Option<Recovered>,
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
    pub(crate) fn new(pid: SessionId, since: u64) -> Self {
        Self { pid, since, backlog: Vec::new(), heard: None, last: None, recovered: None }
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

    /// Forgets what the client must have got by now.
    pub(super) fn drop_backlog(&mut self) {
        if let Some(last) = self.backlog.pop() {
            self.heard = Some(last.serial);
            self.backlog = Vec::new();
        }
    }
}
