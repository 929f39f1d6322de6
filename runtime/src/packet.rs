//! Outgoing Socket.IO packets: encoded once, then handed to sessions in the form each needs.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::SmallVec;
use yamabiko_protocol::message::{Message, TextMessage};
use yamabiko_protocol::socket::{Args, ArgsError, EncodeError, encode};

use crate::application::{NamespaceId, SocketKey};
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

    /// The arguments alone.
    fn to_raw(&self) -> Result<RawArgs, EncodeError>;
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

    fn to_raw(&self) -> Result<RawArgs, EncodeError> {
        let (mut json, mut attachments) = (Vec::new(), Vec::new());
        encode::args(&mut json, &mut attachments, self)?;
        let json = String::from_utf8(json).expect("the encoder writes JSON text").into();
        Ok(RawArgs { json, attachments: attachments.into() })
    }
}

/// All arguments of an event or acknowledgement as they came, to be passed on without being read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawArgs {
    json: Box<str>,
    /// One is by far the most frequent number.
    attachments: SmallVec<[Bytes; 1]>,
}

impl RawArgs {
    /// The arguments as JSON text, separated by commas. An attachment stands there as its placeholder.
    pub fn as_str(&self) -> &str {
        &self.json
    }

    /// The attachments, in the order in which placeholders number them.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }
}

impl RawArgs {
    /// Reads the argument at `index`, `null` if there are not that many.
    ///
    /// # Errors
    /// The argument does not fit.
    pub fn parse_arg<T: DeserializeOwned>(&self, index: usize) -> Result<T, ArgsError> {
        self.with_args(|args| args.parse_arg(index))
    }

    /// Reads all arguments as a tuple: see [`Args::parse_tuple`].
    ///
    /// # Errors
    /// The first argument that does not fit.
    pub fn parse_tuple<T: DeserializeOwned>(&self) -> Result<T, ArgsError> {
        self.with_args(|args| args.parse_tuple())
    }

    /// Lends them as a handler gets them.
    pub(crate) fn with_args<R>(&self, call: impl FnOnce(&Args<'_>) -> R) -> R {
        let array = format!("[{}]", self.json);
        call(&Args::of_array(&array, &self.attachments).expect("these are brackets"))
    }
}

impl From<&Args<'_>> for RawArgs {
    fn from(args: &Args<'_>) -> Self {
        Self { json: args.as_str().into(), attachments: args.attachments().into() }
    }
}

impl EmitArgs for RawArgs {
    fn write_event(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: Option<u64>,
        name: &str,
    ) -> Result<(), EncodeError> {
        encode::event_raw(out, namespace, id, name, &self.json, self.attachments.len())?;
        attachments.extend_from_slice(&self.attachments);
        Ok(())
    }

    fn write_ack(
        &self,
        out: &mut Vec<u8>,
        attachments: &mut Vec<Bytes>,
        namespace: &str,
        id: u64,
    ) -> Result<(), EncodeError> {
        encode::ack_raw(out, namespace, id, &self.json, self.attachments.len());
        attachments.extend_from_slice(&self.attachments);
        Ok(())
    }

    fn to_raw(&self) -> Result<RawArgs, EncodeError> {
        Ok(self.clone())
    }
}

/// One packet, encoded: its text and what follows it. Clones share their bytes.
#[derive(Debug, Clone)]
pub(crate) struct Encoded {
    text: TextMessage,
    attachments: Option<Arc<[Bytes]>>,
}

impl Encoded {
    pub(crate) fn new(text: &[u8], attachments: Vec<Bytes>) -> Self {
        let text = std::str::from_utf8(text).expect("the encoder writes JSON text");
        let attachments = (!attachments.is_empty()).then(|| attachments.into());
        Self { text: TextMessage::new(text), attachments }
    }

    /// The packet's text.
    pub(crate) fn text(&self) -> &str {
        &self.text.packet()[1..]
    }

    pub(crate) fn attachments(&self) -> &[Bytes] {
        self.attachments.as_deref().unwrap_or_default()
    }

    fn weight(&self) -> usize {
        let attachments = self.attachments.iter().flat_map(|all| all.iter());
        self.text.frame().len() + attachments.map(Bytes::len).sum::<usize>()
    }

    fn messages(&self) -> impl Iterator<Item = Message> {
        let attachments = self.attachments.iter().flat_map(|all| all.iter());
        std::iter::once(Message::Text(self.text.clone()))
            .chain(attachments.map(|bytes| Message::Binary(bytes.clone())))
    }
}

impl State {
    /// Encodes an event of a namespace.
    pub(crate) fn encode_event<T: EmitArgs + ?Sized>(
        &mut self,
        namespace: NamespaceId,
        id: Option<u64>,
        name: &str,
        args: &T,
    ) -> Result<Encoded, EmitError> {
        let mut attachments = Vec::new();
        self.scratch.clear();
        // One that this shard has not met has none of its sockets, or is no more.
        let namespace = &self.namespaces.get(namespace).ok_or(EmitError::Gone)?.name;
        args.write_event(&mut self.scratch, &mut attachments, namespace, id, name)?;
        Ok(Encoded::new(&self.scratch, attachments))
    }

    /// Sends an encoded packet to one socket's client.
    pub(crate) fn send(&mut self, socket: SocketKey, encoded: &Encoded, volatile: bool) {
        let Ok(session) = self.session_of(socket) else { return };
        if volatile && !self.is_writable(session) {
            self.metrics.volatile_dropped.add(1);
            return;
        }
        self.send_encoded(session, encoded);
        self.metrics.events_out.add(1);
        if self.watches_outgoing {
            self.note_outgoing(socket, encoded);
        }
    }

    /// Sends an encoded packet: the text and its attachments, with nothing in between.
    pub(crate) fn send_encoded(&mut self, session: SessionKey, encoded: &Encoded) {
        if self.has_room(session, encoded.weight()) {
            for message in encoded.messages() {
                self.send_message(session, message);
            }
        }
    }

    /// Sends what `write` encodes to one client, without a copy in between where its transport allows.
    pub(crate) fn send_written<E>(
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
