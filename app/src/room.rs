//! Rooms as the application hears of them.

use yamabiko_runtime::RoomChange;

/// A room of which something is told: see [`Namespace::on_create_room`](crate::Namespace::on_create_room).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl<'a> Room<'a> {
    /// The namespace it is in.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        self.name
    }
}

/// Called with what becomes of rooms.
pub(crate) type OnRoom = Box<dyn Fn(&Room<'_>, RoomChange<'_>)>;
