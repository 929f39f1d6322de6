//! The connections of one thread, by slot.

use crate::descriptor::Descriptor;
use crate::rooms::Membership;
use crate::sid::Sid;

/// Output buffers that are kept for whoever writes next, and the largest of them.
const SPARES_MAX: usize = 4_096;
const SPARE_BYTES_MAX: usize = 64 * 1024;

/// One connection. Idle ones hold no buffer.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) descriptor: Descriptor,
    /// Tells this user of the slot from earlier ones.
    pub(crate) serial: u32,
    pub(crate) phase: Phase,
    /// It is on the list of those with output.
    listed: bool,
    /// An earlier write has not ended; the engine goes on with it.
    pub(crate) busy: bool,
    /// It is to be closed once its output is written.
    pub(crate) leaving: bool,
    /// The front of a frame or request that has not come whole.
    pub(crate) rest: Vec<u8>,
    /// What is to be written at the turn's end.
    pub(crate) out: Vec<u8>,
    /// The answer that goes out with the next attachment.
    pub(crate) announced: Vec<u8>,
    pub(crate) memberships: Vec<Membership>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// HTTP; with the session whose GET waits here.
    Http(Option<Sid>),
    WebSocket,
}

/// One thread's connections.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Connection>>,
    free: Vec<u32>,
    serial: u32,
    /// Those with output.
    listed: Vec<u32>,
    spares: Vec<Vec<u8>>,
}

impl Connections {
    pub(crate) fn admit(&mut self, descriptor: Descriptor) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        let connection = Connection {
            descriptor,
            serial: self.serial,
            phase: Phase::Http(None),
            listed: false,
            busy: false,
            leaving: false,
            rest: Vec::new(),
            out: Vec::new(),
            announced: Vec::new(),
            memberships: Vec::new(),
        };
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(connection);
                slot
            }
            None => {
                self.slots.push(Some(connection));
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Ends a connection's time here; its slot may be given away at once.
    pub(crate) fn dismiss(&mut self, slot: u32) -> Option<Connection> {
        let mut connection = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.spare(std::mem::take(&mut connection.out));
        Some(connection)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// A connection that the caller knows to be here.
    #[inline]
    pub(crate) fn known(&mut self, slot: u32) -> &mut Connection {
        self.get_mut(slot).expect("a slot is used until its connection is dismissed")
    }

    /// Where to write to a connection; it is flushed at the turn's end.
    #[inline]
    pub(crate) fn output(&mut self, slot: u32) -> &mut Vec<u8> {
        let connection = self.slots[slot as usize].as_mut();
        let connection = connection.expect("members and askers are here until they are dismissed");
        if !connection.listed {
            connection.listed = true;
            self.listed.push(slot);
        }
        if connection.out.capacity() == 0 {
            connection.out = self.spares.pop().unwrap_or_default();
        }
        &mut connection.out
    }

    /// Exchanges `slots`, which is empty, for those with output. Some may be gone already.
    pub(crate) fn take_listed(&mut self, slots: &mut Vec<u32>) {
        debug_assert!(slots.is_empty());
        std::mem::swap(&mut self.listed, slots);
        for slot in &*slots {
            if let Some(Some(connection)) = self.slots.get_mut(*slot as usize) {
                connection.listed = false;
            }
        }
    }

    /// Takes a buffer that is no longer needed.
    #[inline]
    pub(crate) fn spare(&mut self, mut buffer: Vec<u8>) {
        let worth = 1..=SPARE_BYTES_MAX;
        if worth.contains(&buffer.capacity()) && self.spares.len() < SPARES_MAX {
            buffer.clear();
            self.spares.push(buffer);
        }
    }
}
