//! Scenario `idle`: clients that are in a room and have nothing to say.

use std::collections::VecDeque;

use crate::swarm::Traffic;
use crate::tally::{Tally, excerpt};

/// The silence of all clients; pings alone are answered.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    due: VecDeque<usize>,
}

impl Traffic for Idle {
    fn room(&self, _: usize) -> Option<String> {
        Some("room".into())
    }

    fn largest(&self) -> usize {
        0
    }

    fn text(&mut self, client: usize, _: u64, packet: &[u8], tally: &mut Tally) {
        tally.error(|| format!("client {client} was told {}", excerpt(packet)));
    }

    fn binary(&mut self, client: usize, _: u64, bytes: &[u8], tally: &mut Tally) {
        tally.error(|| format!("client {client} got an attachment, {}", excerpt(bytes)));
    }

    fn outgoing(&mut self, _: usize, _: u64, _: &mut Vec<u8>) {}

    fn due(&mut self) -> &mut VecDeque<usize> {
        &mut self.due
    }

    fn outstanding(&self) -> usize {
        0
    }

    fn missing(&self) -> u64 {
        0
    }
}
