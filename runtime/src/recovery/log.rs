//! What a shard has delivered, or would have to those who are away.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use yamabiko_protocol::engine::SessionId;

use super::Serial;
use crate::application::NamespaceId;
use crate::broadcast::{Broadcast, own_id};
use crate::packet::Encoded;

/// An event that can be recovered.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) serial: Serial,
    pub(crate) content: Content,
}

/// What was sent, and to whom.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    Broadcast(Arc<Broadcast>),
    Direct { namespace: NamespaceId, to: SessionId, encoded: Encoded },
}

/// A shard's events, in the order in which it delivered them, for a time. Positions count from the first.
pub(crate) struct Log {
    entries: VecDeque<(u64, Logged)>,
    /// The position of the first entry that is still there.
    first: u64,
    /// Where each shard's events are. A shard's numbers grow, so each list is in order.
    places: HashMap<u8, VecDeque<(u64, u64)>>,
    bytes: usize,
    bytes_max: usize,
    age_max_ms: u64,
}

impl Log {
    pub(crate) fn new(age_max_ms: u64, bytes_max: usize) -> Self {
        let (entries, places) = (VecDeque::new(), HashMap::new());
        Self { entries, first: 0, places, bytes: 0, bytes_max, age_max_ms }
    }

    /// Keeps an event. Returns how many others had to go for it before their time.
    pub(crate) fn push(&mut self, now_ms: u64, serial: Serial, content: Content) -> u64 {
        self.trim(now_ms);
        let place = (serial.number, self.end());
        self.places.entry(serial.shard).or_default().push_back(place);
        self.bytes += content.weight();
        self.entries.push_back((now_ms, Logged { serial, content }));
        let mut dropped = 0;
        while self.bytes > self.bytes_max && self.drop_first() {
            dropped += 1;
        }
        dropped
    }

    /// Lets go of what is too old.
    pub(crate) fn trim(&mut self, now_ms: u64) {
        while self.entries.front().is_some_and(|(at, _)| at + self.age_max_ms < now_ms) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) -> bool {
        let Some((_, Logged { serial, content })) = self.entries.pop_front() else { return false };
        self.first += 1;
        self.bytes -= content.weight();
        if let Some(places) = self.places.get_mut(&serial.shard) {
            places.pop_front();
            if places.is_empty() {
                self.places.remove(&serial.shard);
            }
        }
        true
    }

    /// The position of the next event.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    /// Whether everything from this position on is there.
    pub(crate) fn reaches(&self, position: u64) -> bool {
        self.first <= position
    }

    /// Where the event of this serial is.
    pub(crate) fn position(&self, serial: Serial) -> Option<u64> {
        let places = self.places.get(&serial.shard)?;
        let index = places.binary_search_by_key(&serial.number, |(number, _)| *number).ok()?;
        Some(places[index].1)
    }

    /// The events from a position on.
    pub(crate) fn since(&self, position: u64) -> impl Iterator<Item = &Logged> {
        let skipped = position.saturating_sub(self.first) as usize;
        self.entries.iter().skip(skipped).map(|(_, logged)| logged)
    }
}

impl Content {
    pub(crate) fn encoded(&self) -> &Encoded {
        match self {
            Content::Broadcast(broadcast) => &broadcast.encoded,
            Content::Direct { encoded, .. } => encoded,
        }
    }

    fn weight(&self) -> usize {
        size_of::<(u64, Logged)>() + self.encoded().weight()
    }

    /// Whether it is for the socket of that id in these rooms.
    pub(crate) fn is_for(&self, space: NamespaceId, id: SessionId, rooms: &[String]) -> bool {
        match self {
            Content::Direct { namespace, to, .. } => (*namespace, *to) == (space, id),
            Content::Broadcast(broadcast) => {
                let target = &broadcast.target;
                let is_in = |room: &String| own_id(room) == Some(id) || rooms.contains(room);
                broadcast.namespace == space
                    && (target.rooms.is_empty() || target.rooms.iter().any(is_in))
                    && !target.except.iter().any(is_in)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broadcast::Target;

    const MAIN: NamespaceId = NamespaceId { slot: 0, generation: 0 };

    fn id(text: &str) -> SessionId {
        SessionId::parse(text).unwrap()
    }

    fn to(rooms: &[&str], except: &[&str]) -> Content {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let target = Target { rooms: names(rooms), except: names(except), ..Target::default() };
        let encoded = Encoded::json(br#"2["x"]"#, Vec::new());
        Content::Broadcast(Arc::new(Broadcast { namespace: MAIN, target, encoded, serial: None }))
    }

    fn serial(shard: u8, number: u64) -> Serial {
        Serial { number, shard }
    }

    #[test]
    fn events_are_found_by_their_serials_until_they_are_too_old() {
        let mut log = Log::new(100, usize::MAX);
        for (at, shard, number) in [(0, 1, 5), (10, 2, 3), (20, 1, 9), (120, 2, 4)] {
            assert_eq!(log.push(at, serial(shard, number), to(&[], &[])), 0);
        }
        // What is just as old as it may be is still there.
        let place = |log: &Log, shard, number| log.position(serial(shard, number));
        assert_eq!((place(&log, 1, 5), place(&log, 2, 3)), (None, None));
        assert_eq!((place(&log, 1, 9), place(&log, 2, 4)), (Some(2), Some(3)));
        assert_eq!((place(&log, 1, 8), place(&log, 3, 9)), (None, None));
        assert_eq!(log.since(3).count(), 1);
        assert_eq!(log.since(0).count(), 2);
        assert!(log.reaches(2) && !log.reaches(1));
        log.trim(1_000);
        assert_eq!((log.end(), log.bytes, log.places.len()), (4, 0, 0));
    }

    #[test]
    fn the_oldest_go_first_where_there_are_too_many() {
        let weight = to(&[], &[]).weight();
        let mut log = Log::new(100, weight * 3);
        let dropped: u64 = (0..5).map(|number| log.push(0, serial(0, number), to(&[], &[]))).sum();
        assert_eq!((dropped, log.end(), log.first), (2, 5, 2));
        assert_eq!(log.position(serial(0, 1)), None);
        assert_eq!(log.position(serial(0, 2)), Some(2));
    }

    #[test]
    fn an_event_is_for_whom_a_broadcast_would_have_reached() {
        let me = id("AAAAAAAAAAAAAAAAAAAA");
        let rooms = vec!["a".to_string(), "b".to_string()];
        let other = NamespaceId { slot: 1, generation: 0 };
        assert!(to(&[], &[]).is_for(MAIN, me, &rooms));
        assert!(!to(&[], &[]).is_for(other, me, &rooms));
        assert!(to(&["x", "b"], &[]).is_for(MAIN, me, &rooms));
        assert!(!to(&["x"], &[]).is_for(MAIN, me, &rooms));
        assert!(!to(&["a"], &["b"]).is_for(MAIN, me, &rooms));
        assert!(to(&[me.as_str()], &[]).is_for(MAIN, me, &rooms));
        assert!(!to(&[], &[me.as_str()]).is_for(MAIN, me, &rooms));
        let encoded = Encoded::json(br#"2["x"]"#, Vec::new());
        let direct = Content::Direct { namespace: MAIN, to: me, encoded };
        assert!(direct.is_for(MAIN, me, &[]));
        assert!(!direct.is_for(MAIN, id("BBBBBBBBBBBBBBBBBBBB"), &rooms));
    }
}
