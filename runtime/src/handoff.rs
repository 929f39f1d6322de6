//! Moving a connection to the shard that owns its session.
//!
//! The kernel must be done with the descriptor here before it may be used there: an armed receive is
//! cancelled and its last completion seen, what waits is written. Then the descriptor and the bytes
//! already read, beginning with the request that named the session, travel in one parcel; the owner
//! reads them as if they had just arrived. The connection stays there.

use crate::connection::{Connection, ConnectionKey, Stage};
use crate::mesh::{MovedConnection, Parcel};
use crate::shard::State;

impl State {
    /// Begins to move a connection whose unparsed bytes begin with a request for shard `to`.
    pub(crate) fn hand_off(&mut self, key: ConnectionKey, to: u8) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.is_open()
        {
            connection.stage = Stage::Moving { to };
            connection.deadline_ms = None;
            self.stop_receiving(key);
            self.continue_hand_off(key, false);
        }
    }

    /// Sends the connection off once nothing of it is in the kernel's hands. `ended` says that the
    /// peer has closed its side meanwhile.
    pub(crate) fn continue_hand_off(&mut self, key: ConnectionKey, ended: bool) {
        let Some(connection) = self.connections.get(key) else { return };
        let Stage::Moving { to } = connection.stage else { return };
        if self.is_receiving(key) || !connection.outbox.is_empty() {
            return;
        }
        if let Some(connection) = self.connections.remove(key) {
            self.metrics.connections.sub(1);
            self.metrics.handoffs_out.add(1);
            let Connection { fd, inbox: bytes, origin, .. } = connection;
            let moved = MovedConnection { fd, bytes, origin, ended };
            self.mesh.post(to, Parcel::Connection(moved), &self.metrics);
        }
    }
}
