//! One sender's messages that are on their way, and how many more it may send.

/// A window of numbered messages: when each was sent, and how many copies have yet to come.
///
/// A message that never comes back holds its place. Others overtake it until the window is used up, then
/// the sender stands still: a loss costs a rate, never memory.
#[derive(Debug)]
pub(crate) struct Flights {
    /// The oldest message that is not wholly back; `next` if all are.
    oldest: u64,
    next: u64,
    outstanding: usize,
    outstanding_max: usize,
    /// Message `n` at `n % ring.len()`, a power of two.
    ring: Box<[Flight]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    sent_at: u64,
    copies: u32,
}

impl Flights {
    /// Room for `outstanding_max` messages at once, and as many as 16 times that between the oldest and
    /// the newest.
    pub(crate) fn new(outstanding_max: usize) -> Self {
        let window = (outstanding_max * 16).next_power_of_two();
        let ring = vec![Flight::default(); window].into_boxed_slice();
        Self { oldest: 0, next: 0, outstanding: 0, outstanding_max, ring }
    }

    /// How many were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.next
    }

    /// How many are not wholly back.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Numbers the next message, sent at `now`, that `copies` receivers are to get; `None` if no more may
    /// be sent now. Times are in any unit.
    #[inline]
    pub(crate) fn depart(&mut self, now: u64, copies: u32) -> Option<u64> {
        let window_used = self.next - self.oldest;
        if self.outstanding >= self.outstanding_max || window_used >= self.ring.len() as u64 {
            return None;
        }
        let sequence = self.next;
        self.next += 1;
        self.outstanding += 1;
        *self.at(sequence) = Flight { sent_at: now, copies };
        Some(sequence)
    }

    /// Was this number given, so that it may arrive?
    #[inline]
    pub(crate) fn was_sent(&self, sequence: u64) -> bool {
        sequence < self.next
    }

    /// One more copy of message `sequence` has come, for the first time at its receiver. When it was sent.
    #[inline]
    pub(crate) fn arrived(&mut self, sequence: u64) -> u64 {
        assert!(sequence >= self.oldest && sequence < self.next, "each copy arrives once");
        let flight = self.at(sequence);
        flight.copies -= 1;
        let Flight { sent_at, copies } = *flight;
        if copies == 0 {
            self.outstanding -= 1;
            while self.oldest < self.next && self.at(self.oldest).copies == 0 {
                self.oldest += 1;
            }
        }
        sent_at
    }

    #[inline]
    fn at(&mut self, sequence: u64) -> &mut Flight {
        let mask = self.ring.len() - 1;
        &mut self.ring[sequence as usize & mask]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_outstanding_as_allowed() {
        let mut flights = Flights::new(2);
        assert_eq!(flights.depart(10, 1), Some(0));
        assert_eq!(flights.depart(11, 1), Some(1));
        assert_eq!(flights.depart(12, 1), None);
        assert!(flights.was_sent(1) && !flights.was_sent(2));
        assert_eq!(flights.arrived(0), 10);
        assert_eq!(flights.depart(12, 1), Some(2));
        assert_eq!((flights.outstanding(), flights.sent()), (2, 3));
    }

    #[test]
    fn a_broadcast_is_back_when_every_copy_is() {
        let mut flights = Flights::new(1);
        assert_eq!(flights.depart(5, 3), Some(0));
        for _ in 0..2 {
            assert_eq!(flights.arrived(0), 5);
            assert_eq!(flights.depart(6, 3), None);
        }
        flights.arrived(0);
        assert_eq!(flights.depart(6, 3), Some(1));
    }

    #[test]
    fn a_lost_message_stops_its_sender_when_the_window_is_used_up() {
        let mut flights = Flights::new(2);
        assert_eq!(flights.depart(0, 1), Some(0)); // never comes back
        let mut sent = 0;
        while let Some(sequence) = flights.depart(sent, 1) {
            assert_eq!(flights.arrived(sequence), sent);
            sent += 1;
        }
        assert_eq!(sent, 31);
        flights.arrived(0);
        assert!(flights.depart(0, 1).is_some());
        assert_eq!(flights.outstanding(), 1);
    }
}
