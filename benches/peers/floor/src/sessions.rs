//! The polling sessions of all threads: a session's GET and POST may come to different ones.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mail::Place;
use crate::sid::Sid;

/// Parts packets of one body (Engine.IO 4).
pub(crate) const SEPARATOR: u8 = 0x1e;
/// One lock for as many sessions as share the low six bits of their first character.
const SHARDS: usize = 64;

/// All sessions by id.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Mutex<HashMap<Sid, Session>>; SHARDS],
}

#[derive(Debug, Default)]
struct Session {
    /// Packets that wait for a GET.
    queue: Vec<u8>,
    /// The GET that waits for packets.
    waiting: Option<Place>,
}

/// What became of a GET.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Unknown,
    /// It was given what had waited.
    Answered,
    /// It is answered when there is something.
    Waits,
}

/// What became of a POST's answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    Unknown,
    /// They wait for the next GET.
    Queued,
    /// The GET at this place waited for them, and is now to be given them.
    Awaited(Place),
}

impl Default for Sessions {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Sessions {
    pub(crate) fn open(&self, sid: Sid) {
        self.shard(&sid).insert(sid, Session::default());
    }

    pub(crate) fn close(&self, sid: &Sid) {
        self.shard(sid).remove(sid);
    }

    /// Gives what waits to `packets`, or lets the GET at `place` wait.
    pub(crate) fn poll(&self, sid: &Sid, place: Place, packets: &mut Vec<u8>) -> Polled {
        let mut shard = self.shard(sid);
        let Some(session) = shard.get_mut(sid) else { return Polled::Unknown };
        if session.queue.is_empty() {
            session.waiting = Some(place);
            return Polled::Waits;
        }
        packets.append(&mut session.queue);
        Polled::Answered
    }

    /// Finds a taker for the answers to a POST, if there are any.
    pub(crate) fn post(&self, sid: &Sid, answers: &[u8]) -> Posted {
        let mut shard = self.shard(sid);
        let Some(session) = shard.get_mut(sid) else { return Posted::Unknown };
        if answers.is_empty() {
            return Posted::Queued;
        }
        if let Some(place) = session.waiting.take() {
            return Posted::Awaited(place);
        }
        if !session.queue.is_empty() {
            session.queue.push(SEPARATOR);
        }
        session.queue.extend_from_slice(answers);
        Posted::Queued
    }

    /// The connection at `place` is gone. A session ends with the GET that waited for it.
    pub(crate) fn abandon(&self, sid: &Sid, place: Place) {
        let mut shard = self.shard(sid);
        if shard.get(sid).is_some_and(|session| session.waiting == Some(place)) {
            shard.remove(sid);
        }
    }

    fn shard(&self, sid: &Sid) -> MutexGuard<'_, HashMap<Sid, Session>> {
        let shard = &self.shards[usize::from(sid[0]) % SHARDS];
        shard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &Sid = b"abcdefghijklmnopAAAA";
    const HERE: Place = Place { thread: 0, slot: 1, serial: 1 };
    const THERE: Place = Place { thread: 1, slot: 1, serial: 1 };

    #[test]
    fn answers_wait_for_a_get_and_a_get_for_answers() {
        let sessions = Sessions::default();
        let mut packets = Vec::new();
        assert_eq!(sessions.post(SID, b"x"), Posted::Unknown);
        assert_eq!(sessions.poll(SID, HERE, &mut packets), Polled::Unknown);
        sessions.open(*SID);
        assert_eq!(sessions.post(SID, b"one"), Posted::Queued);
        assert_eq!(sessions.post(SID, b""), Posted::Queued);
        assert_eq!(sessions.post(SID, b"two"), Posted::Queued);
        assert_eq!(sessions.poll(SID, HERE, &mut packets), Polled::Answered);
        assert_eq!(packets, b"one\x1etwo");
        assert_eq!(sessions.poll(SID, HERE, &mut packets), Polled::Waits);
        assert_eq!(sessions.post(SID, b""), Posted::Queued);
        assert_eq!(sessions.post(SID, b"three"), Posted::Awaited(HERE));
        assert_eq!(sessions.post(SID, b"four"), Posted::Queued);
    }

    #[test]
    fn a_session_ends_with_its_close_or_its_waiting_get() {
        let sessions = Sessions::default();
        sessions.open(*SID);
        sessions.close(SID);
        assert_eq!(sessions.post(SID, b"x"), Posted::Unknown);
        sessions.open(*SID);
        sessions.poll(SID, HERE, &mut Vec::new());
        sessions.abandon(SID, THERE);
        assert_eq!(sessions.post(SID, b""), Posted::Queued);
        sessions.abandon(SID, HERE);
        assert_eq!(sessions.post(SID, b""), Posted::Unknown);
    }
}
