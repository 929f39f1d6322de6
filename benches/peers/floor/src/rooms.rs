//! The rooms of one thread, and what was said in them during a turn.
//!
//! A frame is encoded once, when it is said. At the turn's end each member gets a copy of all that was
//! said in its rooms, to be sent with one write.

use std::collections::HashMap;
use std::ops::Range;

use crate::connection::Connections;
use crate::frame;

/// A room's number.
pub(crate) type Room = u32;

/// A connection's place in a room: where it stands among the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Membership {
    room: Room,
    position: u32,
}

/// One thread's rooms. They are never forgotten.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    numbers: HashMap<Vec<u8>, Room>,
    members: Vec<Vec<u32>>,
    /// Frames in the order in which they were said.
    frames: Vec<u8>,
    said: Vec<Said>,
}

/// Frames that were said in one room, one after the other.
#[derive(Debug)]
struct Said {
    room: Room,
    frames: Range<usize>,
}

impl Rooms {
    /// Whether [`Self::spread`] has something to do.
    #[inline]
    pub(crate) fn have_news(&self) -> bool {
        !self.said.is_empty()
    }

    /// Says `said` with a payload (to the closing bracket) in a room, if anybody is there.
    #[inline]
    pub(crate) fn say(&mut self, name: &[u8], payload: &[u8]) {
        let Some(&room) = self.numbers.get(name) else { return };
        let start = self.frames.len();
        frame::put(&mut self.frames, frame::TEXT, &[br#"42["said","#, payload]);
        let end = self.frames.len();
        match self.said.last_mut() {
            Some(last) if last.room == room => last.frames.end = end,
            _ => self.said.push(Said { room, frames: start..end }),
        }
    }

    /// Copies what was said to its listeners.
    pub(crate) fn spread(&mut self, connections: &mut Connections) {
        for Said { room, frames } in self.said.drain(..) {
            let frames = &self.frames[frames];
            for &slot in &self.members[room as usize] {
                connections.output(slot).extend_from_slice(frames);
            }
        }
        self.frames.clear();
    }

    /// Lets a connection hear what is said from now on.
    pub(crate) fn join(&mut self, name: &[u8], slot: u32, connections: &mut Connections) {
        self.spread(connections);
        let room = match self.numbers.get(name) {
            Some(&room) => room,
            None => {
                let room = self.members.len() as Room;
                self.numbers.insert(name.to_vec(), room);
                self.members.push(Vec::new());
                room
            }
        };
        let Some(connection) = connections.get_mut(slot) else { return };
        if connection.memberships.iter().any(|membership| membership.room == room) {
            return;
        }
        let members = &mut self.members[room as usize];
        connection.memberships.push(Membership { room, position: members.len() as u32 });
        members.push(slot);
    }

    /// Takes a connection that is already gone from `connections` out of its rooms.
    pub(crate) fn leave(&mut self, memberships: &[Membership], connections: &mut Connections) {
        for &Membership { room, position } in memberships {
            let members = &mut self.members[room as usize];
            members.swap_remove(position as usize);
            let Some(&moved) = members.get(position as usize) else { continue };
            let Some(moved) = connections.get_mut(moved) else { continue };
            let theirs = moved.memberships.iter_mut().find(|theirs| theirs.room == room);
            theirs.expect("a member knows its room").position = position;
        }
    }
}
