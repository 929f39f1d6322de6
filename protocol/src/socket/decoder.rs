//! Puts binary packets together: their text first, then one binary message for each attachment.
//!
//! A [`Decoder`] belongs to one client and sees its messages in order. Bounds on count and bytes hold
//! before any namespace is joined; the bound on time is the owner's, who has a clock:
//! [`Decoder::attachments_due`] tells whether one should be running.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::event::{Ack, Event};
use super::packet::{DecodeError, Packet, PacketType, decode};
use crate::limits::PacketLimits;

/// A client's packets, as its messages come. One word in size, and without heap while no binary packet
/// is under way.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Option<Box<Pending>>,
}

/// A binary packet whose attachments have not all come.
#[derive(Debug)]
struct Pending {
    /// Fewer than `due` attachments so far.
    complete: Complete,
    due: usize,
    attachment_bytes: usize,
}

impl Decoder {
    /// A decoder that waits for nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a text message (without its leading `4`). `None`: it starts a binary packet, which
    /// [`binary`](Self::binary) will complete.
    ///
    /// # Errors
    /// Those of [`decode`], and [`DecodeError::TextInsteadOfAttachment`]. The decoder holds nothing
    /// after an error; the connection is to be closed.
    pub fn text<'a>(
        &mut self,
        text: &'a str,
        limits: &PacketLimits,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.pending.take().is_some() {
            return Err(DecodeError::TextInsteadOfAttachment);
        }
        let packet = decode(text, limits)?;
        if !packet.kind.is_binary() {
            return Ok(Some(packet));
        }
        self.pending = Some(Box::new(Pending {
            complete: Complete::new(text, &packet),
            due: packet.attachments,
            attachment_bytes: 0,
        }));
        Ok(None)
    }

    /// Takes a binary message: the next attachment. `Some`: it was the last.
    ///
    /// The bytes are kept as they are, so that they should not be a small part of a large buffer.
    ///
    /// # Errors
    /// [`DecodeError::UnexpectedAttachment`] and [`DecodeError::AttachmentBytes`]. The decoder holds
    /// nothing after an error; the connection is to be closed.
    pub fn binary(
        &mut self,
        attachment: Bytes,
        limits: &PacketLimits,
    ) -> Result<Option<Complete>, DecodeError> {
        let mut pending = self.pending.take().ok_or(DecodeError::UnexpectedAttachment)?;
        pending.attachment_bytes = pending.attachment_bytes.saturating_add(attachment.len());
        if pending.attachment_bytes > limits.attachment_bytes_max {
            return Err(DecodeError::AttachmentBytes);
        }
        pending.complete.attachments.push(attachment);
        if pending.complete.attachments.len() == pending.due {
            return Ok(Some(pending.complete));
        }
        self.pending = Some(pending);
        Ok(None)
    }

    /// The binary packet that waits for attachments, so that its owner can refuse it before they come.
    pub fn under_way(&self) -> Option<Packet<'_>> {
        self.pending.as_ref().map(|pending| pending.complete.packet())
    }

    /// How many binary messages must come before the next text message; 0 between packets.
    pub fn attachments_due(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.due - pending.complete.attachments.len())
    }
}

/// A binary packet with all its attachments.
#[derive(Clone)]
pub struct Complete {
    text: Box<str>,
    kind: PacketType,
    /// `None` where the text names no namespace.
    namespace: Option<Range<usize>>,
    id: Option<u64>,
    data: Range<usize>,
    attachments: Vec<Bytes>,
}

impl Complete {
    /// Keeps `packet`, which was decoded from `text` and borrows its parts from there.
    fn new(text: &str, packet: &Packet<'_>) -> Self {
        let place = |part: &str| {
            let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let range = start..start + part.len();
            (range.end <= text.len()).then_some(range)
        };
        Self {
            text: text.into(),
            kind: packet.kind,
            namespace: place(packet.namespace),
            id: packet.id,
            data: packet.data.and_then(place).unwrap_or_default(),
            attachments: Vec::new(),
        }
    }

    /// The packet. To get at its arguments prefer [`event`](Self::event) and [`ack`](Self::ack), which
    /// know the attachments.
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            kind: self.kind,
            namespace: self.namespace.clone().map_or("/", |range| &self.text[range]),
            id: self.id,
            data: Some(&self.text[self.data.clone()]),
            attachments: self.attachments.len(),
        }
    }

    /// The event, or `None` if this is an acknowledgement.
    pub fn event(&self) -> Option<Event<'_>> {
        self.packet().event(&self.attachments)
    }

    /// The acknowledgement, or `None` if this is an event.
    pub fn ack(&self) -> Option<Ack<'_>> {
        self.packet().ack(&self.attachments)
    }

    /// The attachments, in the order in which placeholders number them.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// Ends the packet and keeps its attachments.
    pub fn into_attachments(self) -> Vec<Bytes> {
        self.attachments
    }
}

impl fmt::Debug for Complete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Complete")
            .field("text", &self.text)
            .field("attachments", &self.attachments)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "51-[\"a\",{\"_placeholder\":true,\"num\":0}]";

    #[test]
    fn an_idle_decoder_is_small() {
        assert!(size_of::<Decoder>() <= 16);
    }

    #[test]
    fn text_passes_and_binary_waits() {
        let limits = PacketLimits::default();
        let mut decoder = Decoder::new();
        assert_eq!(decoder.text("2[\"a\"]", &limits).unwrap().unwrap().data, Some("[\"a\"]"));
        let text = "62-/n,4[{\"_placeholder\":true,\"num\":1},{\"_placeholder\":true,\"num\":0}]";
        assert_eq!(decoder.text(text, &limits), Ok(None));
        assert_eq!(decoder.attachments_due(), 2);
        assert_eq!(decoder.under_way().map(|packet| packet.namespace), Some("/n"));
        assert!(decoder.binary(Bytes::from_static(b"x"), &limits).unwrap().is_none());
        assert_eq!(decoder.attachments_due(), 1);
        let complete = decoder.binary(Bytes::from_static(b"y"), &limits).unwrap().unwrap();
        assert_eq!(decoder.attachments_due(), 0);
        assert!(decoder.under_way().is_none());
        assert_eq!(complete.packet(), decode(text, &limits).unwrap());
        assert_eq!(complete.attachments(), [&b"x"[..], b"y"]);
        assert_eq!(complete.ack().unwrap().id, Some(4));
        assert!(complete.event().is_none());
    }

    #[test]
    fn text_and_binary_out_of_turn_end_the_packet() {
        let limits = PacketLimits::default();
        let mut decoder = Decoder::new();
        let empty = Bytes::new;
        assert_eq!(
            decoder.binary(empty(), &limits).unwrap_err(),
            DecodeError::UnexpectedAttachment
        );
        assert_eq!(decoder.text(ONE, &limits), Ok(None));
        assert_eq!(decoder.text("2[\"a\"]", &limits), Err(DecodeError::TextInsteadOfAttachment));
        assert_eq!(decoder.attachments_due(), 0);
        assert_eq!(decoder.text(ONE, &limits), Ok(None));
        assert!(decoder.binary(empty(), &limits).unwrap().is_some());
        assert_eq!(
            decoder.binary(empty(), &limits).unwrap_err(),
            DecodeError::UnexpectedAttachment
        );
    }

    #[test]
    fn attachments_are_bounded_together() {
        let limits = PacketLimits { attachment_bytes_max: 10, ..PacketLimits::default() };
        let mut decoder = Decoder::new();
        decoder.text("52-[1]", &limits).unwrap();
        assert!(decoder.binary(Bytes::from_static(b"12345"), &limits).unwrap().is_none());
        assert!(decoder.binary(Bytes::from_static(b"12345"), &limits).unwrap().is_some());
        decoder.text("52-[1]", &limits).unwrap();
        assert!(decoder.binary(Bytes::from_static(b"12345"), &limits).unwrap().is_none());
        let error = decoder.binary(Bytes::from_static(b"123456"), &limits).unwrap_err();
        assert_eq!(error, DecodeError::AttachmentBytes);
        assert_eq!(error.limit(), Some("attachment_bytes_max"));
        assert_eq!(decoder.attachments_due(), 0);
    }
}
