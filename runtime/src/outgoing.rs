//! Telling the application what is sent to its sockets: Socket.IO's `onAnyOutgoing`.
//!
//! Only for sockets that it watches. What was encoded for the client is read again, after the state is free
//! and before the turn ends, so the application may do whatever it likes then.

use crate::application::{NamespaceId, SocketKey, SocketState};
use crate::emit::How;
use crate::packet::{EmitArgs, EmitError, Encoded, Gone};
use crate::session::SessionKey;
use crate::shard::{Shard, State};
use crate::socket::SocketEntry;

/// Something that was sent to a socket that is watched.
pub(crate) struct Outgoing {
    socket: SocketKey,
    namespace: NamespaceId,
    /// The socket may have left when the application is told.
    state: Option<SocketState>,
    encoded: Encoded,
}

impl Shard {
    /// Has the application told of the events that are sent to this socket from now on.
    ///
    /// # Errors
    /// The socket is no longer there.
    pub fn watch_outgoing(&self, socket: SocketKey) -> Result<(), Gone> {
        self.with(|state| {
            state.sockets.get_mut(socket).ok_or(Gone)?.watched = true;
            state.watches_outgoing = true;
            Ok(())
        })
    }

    /// Tells what was sent. What the application sends because of it is told in the next turn, so that one
    /// that answers to itself does not hold up the shard.
    pub(crate) fn tell_outgoing(&self) {
        for outgoing in self.with(|state| std::mem::take(&mut state.outgoing)) {
            let Outgoing { socket, namespace, state, encoded } = outgoing;
            let told = encoded.with_event(|event| {
                self.guarded(Some(socket), || {
                    self.application().outgoing(socket, namespace, state.as_ref(), event);
                });
            });
            if told.is_none() {
                tracing::debug!("an event that was sent cannot be read again");
            }
        }
    }
}

impl State {
    pub(crate) fn note_outgoing(&mut self, socket: SocketKey, encoded: &Encoded) {
        let Some(entry) = self.sockets.get(socket).filter(|entry| entry.watched) else { return };
        self.outgoing.push(Outgoing {
            socket,
            namespace: entry.namespace,
            state: entry.state.clone(),
            encoded: encoded.clone(),
        });
    }

    /// Sends an event to one socket that is watched, or may recover it.
    pub(crate) fn emit_and_keep<T: EmitArgs + ?Sized>(
        &mut self,
        socket: SocketKey,
        session: SessionKey,
        how: How,
        name: &str,
        args: &T,
    ) -> Result<(), EmitError> {
        let SocketEntry { namespace, course, .. } = &self.sockets[socket];
        let (namespace, is_recoverable) = (*namespace, how.is_recoverable && course.is_some());
        let serial = self.next_serial(is_recoverable);
        let encoded = self.encode_event(namespace, how.id, serial, name, args)?;
        self.send_encoded(session, &encoded);
        self.metrics.events_out.add(1);
        if let Some(serial) = serial {
            self.log_direct(socket, serial, &encoded);
        }
        self.note_outgoing(socket, &encoded);
        Ok(())
    }
}
