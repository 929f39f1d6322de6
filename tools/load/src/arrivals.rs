//! What has arrived of one sender's numbered messages at one receiver.

/// Tells missing, doubled and late messages of one (sender, receiver) pair.
///
/// In order it costs a comparison; memory is taken only for numbers that were skipped.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Every number below was seen, or is in `skipped`.
    next: u64,
    skipped: Vec<u64>,
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// After all that were sent before it and have come; some may have been skipped.
    First,
    /// After one that was sent later.
    Late,
    /// Again.
    Doubled,
}

impl Arrivals {
    /// Takes note of number `sequence`. The caller knows that it was sent.
    #[inline]
    pub(crate) fn arrived(&mut self, sequence: u64) -> Arrival {
        if sequence == self.next {
            self.next += 1;
            return Arrival::First;
        }
        self.out_of_turn(sequence)
    }

    /// How many of the first `sent` numbers have not come.
    pub(crate) fn missing(&self, sent: u64) -> u64 {
        self.skipped.len() as u64 + sent.saturating_sub(self.next)
    }

    fn out_of_turn(&mut self, sequence: u64) -> Arrival {
        if sequence > self.next {
            self.skipped.extend(self.next..sequence);
            self.next = sequence + 1;
            return Arrival::First;
        }
        match self.skipped.iter().position(|skipped| *skipped == sequence) {
            Some(at) => {
                self.skipped.swap_remove(at);
                Arrival::Late
            }
            None => Arrival::Doubled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arrival::{Doubled, First, Late};
    use super::*;

    fn arrivals(sequences: &[u64]) -> (Arrivals, Vec<Arrival>) {
        let mut it = Arrivals::default();
        let seen = sequences.iter().map(|sequence| it.arrived(*sequence)).collect();
        (it, seen)
    }

    #[test]
    fn in_order_nothing_is_wrong() {
        let (it, seen) = arrivals(&[0, 1, 2, 3]);
        assert_eq!(seen, [First; 4]);
        assert_eq!(it.missing(4), 0);
        assert_eq!(it.missing(6), 2);
    }

    #[test]
    fn a_swap_is_one_late_arrival() {
        let (it, seen) = arrivals(&[1, 0, 2]);
        assert_eq!(seen, [First, Late, First]);
        assert_eq!(it.missing(3), 0);
    }

    #[test]
    fn a_gap_is_missing_until_filled() {
        let (mut it, seen) = arrivals(&[0, 4]);
        assert_eq!(seen, [First, First]);
        assert_eq!(it.missing(5), 3);
        assert_eq!(it.arrived(2), Late);
        assert_eq!(it.missing(5), 2);
    }

    #[test]
    fn a_second_copy_is_doubled_wherever_it_comes() {
        let (it, seen) = arrivals(&[0, 0, 3, 1, 1, 3, 2, 2]);
        assert_eq!(seen, [First, Doubled, First, Late, Doubled, Doubled, Late, Doubled]);
        assert_eq!(it.missing(4), 0);
    }

    #[test]
    fn reversed_batches_are_late_but_one() {
        let (it, seen) = arrivals(&[3, 2, 1, 0, 7, 6, 5, 4]);
        assert_eq!(seen, [First, Late, Late, Late, First, Late, Late, Late]);
        assert_eq!(it.missing(8), 0);
    }
}
