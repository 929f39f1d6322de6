//! Connection state recovery: a client that comes back soon gets its socket back, with its id, its rooms,
//! its data, and the events that it missed.
//!
//! Each event that can be recovered carries a [`Serial`] as its last argument, which a client brings along
//! when it returns. Each shard [logs](Log) what it delivers. When a client goes, its shard keeps an
//! [`Absence`] and goes on hearing of its rooms. It may come back to any shard of the node, which
//! [restores](restore) it from there. All of it is in memory and, unless it is asked for, not there at all.

mod absence;
mod course;
mod log;
mod restore;
mod serial;

use std::collections::{HashMap, VecDeque};

use slotmap::SlotMap;
use yamabiko_protocol::engine::SessionId;

use crate::application::SocketKey;
use crate::settings::ConnectionStateRecovery;

use absence::Absence;
pub(crate) use course::Course;
pub(crate) use log::{Content, Log};
pub use restore::Recovered;
use restore::Restoring;
pub(crate) use restore::{Notice, RestoringKey, Return};
pub(crate) use serial::Serial;
use serial::Serials;

/// What one shard keeps for clients that may come back.
pub(crate) struct Recovery {
    /// This shard.
    shard: u8,
    duration_ms: u64,
    absences_max: usize,
    pub(crate) serials: Serials,
    pub(crate) log: Log,
    /// By private id: who is away, and was last here.
    absences: HashMap<SessionId, Absence>,
    /// By private id: who is here.
    present: HashMap<SessionId, SocketKey>,
    /// By private id: the shard that has the client, or its absence. Of the ids that were made here.
    whereabouts: HashMap<SessionId, u8>,
    /// Sockets that wait for what another shard knows of them.
    restorings: SlotMap<RestoringKey, Restoring>,
    /// What is to be let go of, and when, in order.
    expiries: VecDeque<(u64, Expiry)>,
}

/// Something that is kept for the same time as everything else.
enum Expiry {
    Absence(SessionId),
    Backlog(SocketKey),
}

impl Recovery {
    pub(crate) fn new(shard: u8, settings: &ConnectionStateRecovery, unix_ms: u64) -> Self {
        let duration_ms = settings.max_disconnection_duration.as_millis() as u64;
        Self {
            shard,
            duration_ms,
            absences_max: settings.sessions_max,
            serials: Serials::new(shard, unix_ms),
            log: Log::new(duration_ms, settings.log_bytes_max),
            absences: HashMap::new(),
            present: HashMap::new(),
            whereabouts: HashMap::new(),
            restorings: SlotMap::with_key(),
            expiries: VecDeque::new(),
        }
    }
}
