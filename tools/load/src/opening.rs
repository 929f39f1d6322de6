//! Bringing many connections up: how many at a time, and when to give up.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// So long may no handshake finish while some are under way.
const PATIENCE: Duration = Duration::from_secs(15);

/// How far a crowd of connections is.
#[derive(Debug)]
pub(crate) struct Opening {
    asked: usize,
    opened: usize,
    /// Handshakes that may be under way.
    at_once: usize,
    since: Instant,
}

impl Opening {
    /// None of `asked` is open, of which `at_once` may be on their way.
    pub(crate) fn of(asked: usize, at_once: usize) -> Self {
        Self { asked, opened: 0, at_once, since: Instant::now() }
    }

    /// May one more be dialled, besides those that were?
    pub(crate) fn may_dial(&self, dialled: usize) -> bool {
        dialled < self.asked && dialled - self.opened < self.at_once
    }

    /// Until then the next has to be open.
    pub(crate) fn deadline(&self) -> Instant {
        self.since + PATIENCE
    }

    /// Takes note of how many are open: is it all?
    ///
    /// # Errors
    /// If none has opened for too long.
    pub(crate) fn is_over(&mut self, opened: usize) -> Result<bool, Failure> {
        let Self { asked, at_once, .. } = *self;
        if opened > self.opened {
            *self = Self { asked, opened, at_once, since: Instant::now() };
        } else if self.since.elapsed() >= PATIENCE {
            return Err(Failure::Stalled { opened, asked, seconds: PATIENCE.as_secs() });
        }
        Ok(opened == asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dials_ahead_but_not_far() {
        let mut opening = Opening::of(200, 128);
        assert!(opening.may_dial(127) && !opening.may_dial(128));
        assert!(!opening.is_over(100).unwrap());
        assert!(opening.may_dial(199) && !opening.may_dial(200));
        assert!(opening.is_over(200).unwrap());
    }

    #[test]
    fn gives_up_when_nothing_opens_any_more() {
        let mut opening = Opening::of(2, 1);
        assert!(!opening.is_over(1).unwrap());
        opening.since -= PATIENCE;
        let why = opening.is_over(1).unwrap_err().to_string();
        assert!(why.contains("only 1 of 2 connections"), "{why}");
    }
}
