//! The mesh: how shards of one node talk to each other.
//!
//! What one turn of a shard's loop has to say to another travels as one batch, with one wake-up. Each
//! pair of shards is a first-in-first-out line, so what a socket emits keeps its order across cores.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flume::{Receiver, Sender, TrySendError};

use crate::broadcast::Broadcast;
use crate::gathering::News;
use crate::inquiry::Inquiry;
use crate::metrics::ShardMetrics;
use crate::operation::{JoiningKey, Order};
use crate::outside::{Call, Door, End, Outside};
use crate::recovery::Notice;
use crate::relay::Origin;
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
    /// Something to be done to the receiver's members.
    Order(Arc<Order>),
    /// That was done: see `operation`.
    Joined { by: u8, key: JoiningKey },
    /// A question.
    Inquiry(Arc<Inquiry>),
    /// A part of an answer.
    News(News),
    /// Something about a client that comes or goes.
    Notice(Box<Notice>),
    /// Something that another thread wants done.
    Call(Call),
    /// The node shuts down: stop accepting, close every transport.
    Drain,
}

/// A connection on its way to another shard: its descriptor and the bytes already read from it,
/// beginning with the request that made it move.
#[derive(Debug)]
pub(crate) struct MovedConnection {
    pub(crate) fd: OwnedFd,
    pub(crate) bytes: Vec<u8>,
    pub(crate) origin: Option<Box<Origin>>,
    /// The peer had already ended its side.
    pub(crate) ended: bool,
}

/// One shard's place in the mesh.
pub(crate) struct MeshEnd {
    inbox: Receiver<Vec<Parcel>>,
    peers: Box<[Peer]>,
    pending: bool,
    ended: Arc<AtomicBool>,
}

struct Peer {
    line: Sender<Vec<Parcel>>,
    doorbell: Doorbell,
    held: Vec<Parcel>,
}

/// All lines of a node, kept by its supervisor: a shard that died leaves its inbox behind here.
pub(crate) struct Mesh {
    lines: Vec<Sender<Vec<Parcel>>>,
    inboxes: Vec<Receiver<Vec<Parcel>>>,
    doorbells: Vec<Doorbell>,
    ended: Vec<Arc<AtomicBool>>,
    end: Arc<End>,
}

impl Mesh {
    /// Lays the lines between `count` shards.
    pub(crate) fn lay(count: usize) -> io::Result<Self> {
        let (lines, inboxes) = (0..count).map(|_| flume::bounded(BATCHES_MAX)).unzip();
        let doorbells = (0..count).map(|_| Doorbell::new()).collect::<io::Result<_>>()?;
        let ended = (0..count).map(|_| Arc::default()).collect();
        Ok(Self { lines, inboxes, doorbells, ended, end: Arc::default() })
    }

    /// Shard `id`'s own place in the mesh.
    pub(crate) fn end(&self, id: u8) -> MeshEnd {
        let peers = self
            .lines
            .iter()
            .zip(&self.doorbells)
            .map(|(line, doorbell)| Peer {
                line: line.clone(),
                doorbell: doorbell.clone(),
                held: Vec::new(),
            })
            .collect();
        MeshEnd {
            inbox: self.inboxes[usize::from(id)].clone(),
            peers,
            pending: false,
            ended: Arc::clone(&self.ended[usize::from(id)]),
        }
    }

    pub(crate) fn doorbell(&self, id: u8) -> Doorbell {
        self.doorbells[usize::from(id)].clone()
    }

    /// The way in for threads that are no shards.
    pub(crate) fn outside(&self) -> Outside {
        let doors = self.lines.iter().zip(&self.doorbells);
        Outside::new(
            doors
                .map(|(line, doorbell)| Door { line: line.clone(), doorbell: doorbell.clone() })
                .collect(),
            Arc::clone(&self.end),
        )
    }

    /// What the threads outside want and see of the node's end.
    pub(crate) fn node_end(&self) -> &Arc<End> {
        &self.end
    }

    /// Whether the shard's end of the mesh is gone, and so the shard.
    pub(crate) fn has_died(&self, id: u8) -> bool {
        self.ended[usize::from(id)].load(Ordering::Acquire)
    }

    /// Makes ready for a new shard `id`. What was sent to the old one is dropped: connections among
    /// it are closed, and their clients come again.
    pub(crate) fn revive(&self, id: u8) {
        while self.inboxes[usize::from(id)].try_recv().is_ok() {}
        self.ended[usize::from(id)].store(false, Ordering::Release);
    }

    /// Sends one parcel from outside the shards, waiting a moment if the line is full.
    pub(crate) fn tell(&self, id: u8, parcel: Parcel) {
        let line = &self.lines[usize::from(id)];
        let _ = line.send_timeout(vec![parcel], Duration::from_secs(1));
        self.doorbells[usize::from(id)].ring();
    }
}

impl Drop for MeshEnd {
    fn drop(&mut self) {
        self.close();
    }
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

    /// Tells the supervisor that this shard takes nothing more.
    pub(crate) fn close(&mut self) {
        self.ended.store(true, Ordering::Release);
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
