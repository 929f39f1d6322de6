//! Outgoing Socket.IO packets: encoded once, then handed to sessions in the form each needs.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use yamabiko_protocol::limits::PacketLimits;
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::parser::{EncodeError, Event, Packet, Parser};
use yamabiko_protocol::socket::encode;
use yamabiko_protocol::{cluster, msgpack, socket};

use crate::application::{NamespaceId, SocketKey};
use crate::raw::RawArgs;
use crate::recovery::Serial;
use crate::session::SessionKey;
use crate::shard::State;

/// The socket is no longer connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the socket is no longer connected")
    }
}

impl std::error::Error for Gone {}

/// Why an event could not be sent.
#[derive(Debug)]
pub enum EmitError {
    /// The socket is no longer connected.
    Gone,
    /// The arguments cannot be put into a packet, or the event's name is reserved.
    Encode(EncodeError),
    /// The client owes this socket too many acknowledgements already (`pending_acks_max`).
    TooManyAcks,
}

impl fmt::Display for EmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EmitError::Gone => Gone.fmt(f),
            EmitError::Encode(error) => error.fmt(f),
            EmitError::TooManyAcks => {
                f.write_str("the client owes too many acknowledgements (limit pending_acks_max)")
            }
        }
    }
}

impl std::error::Error for EmitError {}

impl From<Gone> for EmitError {
    fn from(_: Gone) -> Self {
        EmitError::Gone
    }
}

impl From<EncodeError> for EmitError {
    fn from(error: EncodeError) -> Self {
        EmitError::Encode(error)
    }
}

/// What can be sent as the arguments of an event or an acknowledgement: anything that serde can write (a
/// tuple is several arguments, `()` none, all else one), or [`RawArgs`] as they came.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as arguments",
    note = "derive `serde::Serialize` for it; several arguments are a tuple"
)]
pub trait EmitArgs {
    /// Appends the event's packet to `out` and its attachments to theirs.
    fn write_event(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError>;

    /// The same for an acknowledgement.
    fn write_ack(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError>;

    /// Appends the event's packet to `out` as MessagePack.
    fn write_msgpack_event(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError>;

    /// The same for an acknowledgement.
    fn write_msgpack_ack(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError>;

    /// The arguments alone, in the form of that parser. Those that are raw already keep the form they have.
    fn to_raw(&self, parser: Parser) -> Result<RawArgs, EncodeError>;
}

impl<T: Serialize + ?Sized> EmitArgs for T {
    fn write_event(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError> {
        encode::event(out, attachments, namespace, id, name, self)
    }

    fn write_ack(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError> {
        encode::ack(out, attachments, namespace, id, self)
    }

    fn write_msgpack_event(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError> {
        msgpack::encode::event(out, namespace, id, name, self)
    }

    fn write_msgpack_ack(
        &self,
        out: &mut Vec<u8>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError> {
        msgpack::encode::ack(out, namespace, id, self)
    }

    fn to_raw(&self, parser: Parser) -> Result<RawArgs, EncodeError> {
        match parser {
            Parser::Default => {
                let (mut json, mut attachments) = (Vec::new(), Vec::new());
                encode::args(&mut json, &mut attachments, self)?;
                Ok(RawArgs::json(json, attachments))
            }
            Parser::Msgpack => {
                let mut bytes = Vec::new();
                let count = msgpack::encode::args(&mut bytes, self)?;
                Ok(RawArgs::msgpack(&bytes, count))
            }
        }
    }
}

/// One packet, encoded in the form of the server's parser. Clones share their bytes.
#[derive(Debug, Clone)]
pub(crate) enum Encoded {
    /// Its text, and what follows it.
    Json { text: TextMessage, attachments: Option<Arc<[Bytes]>> },
    /// All of it.
    Msgpack(Bytes),
}

/// What we have written ourselves is read again, whatever its size.
const UNLIMITED: PacketLimits = PacketLimits {
    attachments_max: usize::MAX,
    attachment_bytes_max: usize::MAX,
    namespace_bytes_max: usize::MAX,
    json_depth_max: usize::MAX,
};

impl Encoded {
    pub(crate) fn json(text: &[u8], attachments: Vec<Bytes>) -> Self {
        let text = std::str::from_utf8(text).expect("the encoder writes JSON text");
        let attachments = (!attachments.is_empty()).then(|| attachments.into());
        Self::Json { text: TextMessage::new(text), attachments }
    }

    /// Lends the event that it is. `None`: it cannot be read again, as data of the default parser may only
    /// look like a placeholder for an attachment.
    pub(crate) fn with_event(&self, call: impl FnOnce(&Event<'_>)) -> Option<()> {
        let event = match self {
            Self::Json { text, attachments } => {
                let packet = socket::decode(&text.packet()[1..], &UNLIMITED).ok()?;
                let attachments = attachments.as_deref().unwrap_or_default();
                return Packet::Json(&packet, attachments).event().map(|event| call(&event));
            }
            Self::Msgpack(bytes) => {
                let packet = msgpack::decode(bytes, &UNLIMITED).ok()?;
                packet.event()?.into()
            }
        };
        call(&event);
        Some(())
    }

    /// Lends the event as a list, its name first; `None` as for [`Self::with_event`].
    pub(crate) fn with_data<R>(&self, call: impl FnOnce(cluster::Value<'_>) -> R) -> Option<R> {
        match self {
            Self::Json { text, attachments } => {
                let packet = socket::decode(&text.packet()[1..], &UNLIMITED).ok()?;
                let attachments = attachments.as_deref().unwrap_or_default();
                Some(call(cluster::Value::Json { text: packet.data?, attachments }))
            }
            Self::Msgpack(bytes) => {
                let packet = msgpack::decode(bytes, &UNLIMITED).ok()?;
                Some(call(cluster::Value::Msgpack(packet.data?)))
            }
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Json { text, attachments } => {
                let attachments = attachments.iter().flat_map(|all| all.iter());
                text.frame().len() + attachments.map(Bytes::len).sum::<usize>()
            }
            Self::Msgpack(bytes) => bytes.len(),
        }
    }
}

impl State {
    /// Encodes an event of a namespace, with its offset if it can be recovered.
    pub(crate) fn encode_event<T: EmitArgs + ?Sized>(
        &mut self,
        namespace: NamespaceId,
        id: Option<u64>,
        serial: Option<Serial>,
        name: &str,
        args: &T,
    ) -> Result<Encoded, EmitError> {
        self.scratch.clear();
        // One that this shard has not met has none of its sockets, or is no more.
        let namespace = &self.namespaces.get(namespace).ok_or(EmitError::Gone)?.name;
        Ok(match self.settings.parser {
            Parser::Default => {
                let mut attachments = Vec::new();
                args.write_event(&mut self.scratch, &mut attachments, namespace, id, name)?;
                if let Some(serial) = serial {
                    serial.append(&mut self.scratch);
                }
                Encoded::json(&self.scratch, attachments)
            }
            Parser::Msgpack => {
                match serial {
                    None => args.write_msgpack_event(&mut self.scratch, namespace, id, name)?,
                    Some(serial) => {
                        let (bytes, count) = args.to_raw(Parser::Msgpack)?.with_serial(serial)?;
                        let out = &mut self.scratch;
                        msgpack::encode::event_raw(out, namespace, id, name, &bytes, count)?;
                    }
                }
                Encoded::Msgpack(Bytes::copy_from_slice(&self.scratch))
            }
        })
    }

    /// Sends an encoded packet to one socket's client, if it is there. Returns whether it was sent.
    pub(crate) fn send(&mut self, socket: SocketKey, encoded: &Encoded, volatile: bool) -> bool {
        let Ok(session) = self.session_of(socket) else { return false };
        if volatile && !self.is_writable(session) {
            self.metrics.volatile_dropped.add(1);
            return false;
        }
        self.send_encoded(session, encoded);
        self.metrics.events_out.add(1);
        if self.watches_outgoing {
            self.note_outgoing(socket, encoded);
        }
        true
    }

    /// Sends an encoded packet; what is text and attachments with nothing in between.
    pub(crate) fn send_encoded(&mut self, session: SessionKey, encoded: &Encoded) {
        if !self.has_room(session, encoded.weight()) {
            return;
        }
        match encoded {
            Encoded::Json { text, attachments } => {
                self.send_message(session, Message::Text(text.clone()));
                for bytes in attachments.iter().flat_map(|all| all.iter()) {
                    self.send_message(session, Message::Binary(bytes.clone()));
                }
            }
            Encoded::Msgpack(bytes) => self.send_message(session, Message::Binary(bytes.clone())),
        }
    }

    /// Sends an event to one client.
    pub(crate) fn send_event<T: EmitArgs + ?Sized>(
        &mut self,
        session: SessionKey,
        namespace: &str,
        id: Option<u64>,
        name: &str,
        args: &T,
    ) -> Result<(), EncodeError> {
        match self.settings.parser {
            Parser::Default => self.send_written(session, |out, attachments| {
                args.write_event(out, attachments, namespace, id, name)
            }),
            Parser::Msgpack => {
                self.send_packed(session, |out| args.write_msgpack_event(out, namespace, id, name))
            }
        }
    }

    /// Sends an acknowledgement to one client.
    pub(crate) fn send_ack<T: EmitArgs + ?Sized>(
        &mut self,
        session: SessionKey,
        namespace: &str,
        id: u64,
        args: &T,
    ) -> Result<(), EncodeError> {
        match self.settings.parser {
            Parser::Default => self.send_written(session, |out, attachments| {
                args.write_ack(out, attachments, namespace, id)
            }),
            Parser::Msgpack => {
                self.send_packed(session, |out| args.write_msgpack_ack(out, namespace, id))
            }
        }
    }

    /// Sends one of the server's own packets to one client.
    pub(crate) fn send_own(
        &mut self,
        session: SessionKey,
        write: impl FnOnce(Parser, &mut Vec<u8>),
    ) {
        let parser = self.settings.parser;
        let written = |out: &mut Vec<u8>| {
            write(parser, out);
            Ok::<(), Infallible>(())
        };
        let Ok(()) = match parser {
            Parser::Default => self.send_written(session, |out, _| written(out)),
            Parser::Msgpack => self.send_packed(session, written),
        };
    }

    /// Sends the MessagePack that `write` writes to one client, without a copy in between where its
    /// transport allows.
    fn send_packed<E>(
        &mut self,
        session: SessionKey,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let written = write(&mut scratch);
        if written.is_ok() {
            self.send_bytes(session, &scratch);
        }
        self.scratch = scratch;
        written
    }

    /// Sends what `write` encodes to one client, without a copy in between where its transport allows.
    fn send_written<E>(
        &mut self,
        session: SessionKey,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<Bytes>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut attachments = std::mem::take(&mut self.scratch_attachments);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let written = write(&mut scratch, &mut attachments);
        if written.is_ok() {
            match attachments.is_empty() {
                true => self.send_text(session, &scratch),
                false => self.send_binary(session, &scratch, &attachments),
            }
        }
        self.scratch = scratch;
        attachments.clear();
        self.scratch_attachments = attachments;
        written
    }
}
