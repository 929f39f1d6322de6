//! The ways into a shard: its listener for clients, and the one for other nodes of its cluster.
//!
//! It owns the shard's listeners and knows at which of them the kernel accepts. What becomes of who comes
//! in is the business of `connection`.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::ring::{Ring, Token};

/// One way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// For everybody.
    Clients,
    /// For other nodes that pass connections of clients on.
    Cluster,
}

/// All of a shard.
pub(crate) struct Entrances([Door; 2]);

struct Door {
    /// `None` once the end has begun, so that the kernel queues nobody for us any more; also where
    /// there never was one.
    listener: Option<OwnedFd>,
    accepting: bool,
}

impl Entrance {
    /// Which one a completion is of.
    pub(crate) fn of(token: Token) -> Self {
        if token.0 == 0 { Self::Clients } else { Self::Cluster }
    }
}

impl Entrances {
    pub(crate) fn new(clients: OwnedFd, cluster: Option<OwnedFd>) -> Self {
        Self([Some(clients), cluster].map(|listener| Door { listener, accepting: false }))
    }

    /// Has the kernel accept wherever it does not.
    pub(crate) fn open(&mut self, ring: &mut Ring) {
        for (door, token) in self.0.iter_mut().zip(0..) {
            if let Some(listener) = &door.listener
                && !door.accepting
            {
                door.accepting = true;
                ring.accept(Token(token), listener.as_raw_fd());
            }
        }
    }

    /// The kernel accepts here no more, until [`Self::open`].
    pub(crate) fn paused(&mut self, entrance: Entrance) {
        self.0[entrance as usize].accepting = false;
    }

    /// Lets nobody in any more. True if that is new.
    pub(crate) fn close(&mut self, ring: &mut Ring) -> bool {
        let mut was_open = false;
        for (door, token) in self.0.iter_mut().zip(0..) {
            if door.listener.take().is_some() {
                ring.stop_accepting(Token(token));
                was_open = true;
            }
        }
        was_open
    }
}
