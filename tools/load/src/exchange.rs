//! One client's questions and the answers to it, each with its number.

use crate::arrivals::{Arrival, Arrivals};
use crate::flights::Flights;
use crate::tally::Tally;

/// The questions of one client. The number of a question is the id of its acknowledgement.
#[derive(Debug)]
pub(crate) struct Exchange {
    flights: Flights,
    arrivals: Arrivals,
}

impl Exchange {
    /// Nothing asked; at most `outstanding_max` at a time.
    pub(crate) fn new(outstanding_max: usize) -> Self {
        Self { flights: Flights::new(outstanding_max), arrivals: Arrivals::default() }
    }

    /// The number of a question that is asked at `now`; `None` if no more may be asked.
    #[inline]
    pub(crate) fn ask(&mut self, now: u64) -> Option<u64> {
        self.flights.depart(now, 1)
    }

    /// Was this question asked?
    #[inline]
    pub(crate) fn was_asked(&self, sequence: u64) -> bool {
        self.flights.was_sent(sequence)
    }

    /// Takes the right answer to a question that was asked.
    #[inline]
    pub(crate) fn answered(&mut self, sequence: u64, now: u64, tally: &mut Tally) {
        match self.arrivals.arrived(sequence) {
            Arrival::First => {}
            Arrival::Late => tally.out_of_order += 1,
            Arrival::Doubled => {
                tally.doubled += 1;
                return;
            }
        }
        let asked_at = self.flights.arrived(sequence);
        tally.delivered(now - asked_at);
    }

    /// Questions without an answer so far.
    pub(crate) fn outstanding(&self) -> usize {
        self.flights.outstanding()
    }

    /// Questions that got no answer.
    pub(crate) fn missing(&self) -> u64 {
        self.arrivals.missing(self.flights.sent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_each_answer_once() {
        let (mut it, mut tally) = (Exchange::new(3), Tally::new());
        for now in 0..3 {
            assert_eq!(it.ask(now), Some(now));
        }
        assert_eq!(it.ask(3), None);
        for sequence in [0, 2, 2, 1] {
            it.answered(sequence, 10, &mut tally);
        }
        assert_eq!((tally.messages, tally.doubled, tally.out_of_order), (3, 1, 1));
        assert_eq!((it.outstanding(), it.missing()), (0, 0));
        assert_eq!(it.ask(11), Some(3));
        assert!(it.was_asked(3) && !it.was_asked(4));
        assert_eq!((it.outstanding(), it.missing()), (1, 1));
    }
}
