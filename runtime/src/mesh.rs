//! The mesh: how shards of one node talk to each other.
//!
//! What one turn of a shard's loop has to say to another travels as one batch, with one wake-up. Each
//! pair of shards is a first-in-first-out line, so what a socket emits keeps its order across cores.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use flume::{Receiver, Sender, TrySendError};
use yamabiko_protocol::engine::SessionId;

use crate::application::NamespaceId;
use crate::broadcast::Broadcast;
use crate::metrics::ShardMetrics;
use crate::ring::Doorbell;

/// Batches that may wait in one shard's inbox before its peers hold theirs back.
const BATCHES_MAX: usize = 1024;
/// Broadcasts held back for one peer before they are dropped and counted.
const HELD_BROADCASTS_MAX: usize = 65_536;

/// One thing a shard says to another.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A connection whose session the receiver owns.
    Connection(MovedConnection),
    /// A broadcast for the receiver's members.
    Broadcast(Arc<Broadcast>),
    /// Disconnect one socket, by its id.
    Disconnect { namespace: NamespaceId, id: SessionId, close: bool },
    /// The node shuts down: stop accepting, close every transport.
    Drain,
}

/// A connection on its way to another shard: its descriptor and the bytes already read from it,
/// beginning with the request that made it move.
#[derive(Debug)]
pub(crate) struct MovedConnection {
    pub(crate) fd: OwnedFd,
    pub(crate) bytes: Vec<u8>,
    /// The peer had already ended its side.
    pub(crate) ended: bool,
}

/// One shard's place in the mesh.
pub(crate) struct MeshEnd {
    inbox: Receiver<Vec<Parcel>>,
    peers: Box<[Peer]>,
    pending: bool,
}

struct Peer {
    line: Sender<Vec<Parcel>>,
    doorbell: Doorbell,
    held: Vec<Parcel>,
}

/// The sending side for threads that are no shard (signals, supervision).
#[derive(Clone)]
pub(crate) struct MeshLine {
    line: Sender<Vec<Parcel>>,
    doorbell: Doorbell,
}

/// Lays the lines between all shards, whose doorbells are given in order of their ids.
pub(crate) fn lay(doorbells: &[Doorbell]) -> (Vec<MeshEnd>, Vec<MeshLine>) {
    let (lines, inboxes): (Vec<_>, Vec<_>) =
        doorbells.iter().map(|_| flume::bounded::<Vec<Parcel>>(BATCHES_MAX)).unzip();
    let ends = inboxes
        .into_iter()
        .map(|inbox| {
            let peers = lines
                .iter()
                .zip(doorbells)
                .map(|(line, bell)| Peer {
                    line: line.clone(),
                    doorbell: bell.clone(),
                    held: Vec::new(),
                })
                .collect();
            MeshEnd { inbox, peers, pending: false }
        })
        .collect();
    let outside = lines
        .into_iter()
        .zip(doorbells)
        .map(|(line, bell)| MeshLine { line, doorbell: bell.clone() })
        .collect();
    (ends, outside)
}

impl MeshEnd {
    /// Puts a parcel into this turn's batch for shard `to`.
    pub(crate) fn post(&mut self, to: u8, parcel: Parcel, metrics: &ShardMetrics) {
        let held = &mut self.peers[usize::from(to)].held;
        if held.len() >= HELD_BROADCASTS_MAX && matches!(parcel, Parcel::Broadcast(_)) {
            metrics.mesh_dropped.add(1);
            return;
        }
        held.push(parcel);
        self.pending = true;
    }

    /// Sends each batch; what a full line does not take waits for the next turn. Returns whether
    /// anything was sent.
    pub(crate) fn flush(&mut self) -> bool {
        if !self.pending {
            return false;
        }
        let (mut sent, mut pending) = (false, false);
        for peer in self.peers.iter_mut().filter(|peer| !peer.held.is_empty()) {
            match peer.line.try_send(std::mem::take(&mut peer.held)) {
                Ok(()) => {
                    peer.doorbell.ring();
                    sent = true;
                }
                Err(TrySendError::Full(batch)) => {
                    peer.held = batch;
                    pending = true;
                }
                // The other shard has ended; dropping a connection closes it.
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
        self.pending = pending;
        sent
    }

    /// The next batch that has arrived.
    pub(crate) fn take(&self) -> Option<Vec<Parcel>> {
        self.inbox.try_recv().ok()
    }

    /// Whether there is anything to take or to send again.
    pub(crate) fn has_work(&self) -> bool {
        self.pending || !self.inbox.is_empty()
    }
}

impl MeshLine {
    /// Sends one parcel, waiting while the line is full. False if the shard has ended.
    pub(crate) fn send(&self, parcel: Parcel) -> bool {
        let sent = self.line.send(vec![parcel]).is_ok();
        self.doorbell.ring();
        sent
    }
}
