//! Puts binary packets together: their text first, then one binary message for each attachment.
//!
//! A [`Decoder`] belongs to one client and sees its messages in order. Bounds on count and bytes hold
//! before any namespace is joined; the bound on time is the owner's, who has a clock:
//! [`Decoder::attachments_due`] tells whether one should be running.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use super::event::{Ack, Event};
use super::json::Outline;
use super::packet::{DecodeError, Packet, PacketType, decode};
use crate::limits::PacketLimits;

/// A client's packets, as its messages come. One word in size, and without heap while no binary packet
/// is under way.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Fewer attachments so far than it waits for.
    pending: Option<Complete>,
}

/// Memory of packets that were dealt with, for those to come: with it a binary packet allocates nothing but
/// its attachments.
#[derive(Debug, Default)]
pub struct Spares(Vec<Complete>);

impl Spares {
    /// How many are kept.
    const COUNT_MAX: usize = 64;
    /// Larger ones are not kept.
    const TEXT_BYTES_MAX: usize = 4 * 1024;
    const ATTACHMENTS_MAX: usize = 16;

    /// Takes what remains of a packet. Its attachments are let go of.
    pub fn give_back(&mut self, mut complete: Complete) {
        let parts = &mut *complete.0;
        if self.0.len() < Self::COUNT_MAX
            && parts.text.capacity() <= Self::TEXT_BYTES_MAX
            && parts.attachments.capacity() <= Self::ATTACHMENTS_MAX
        {
            parts.text.clear();
            parts.attachments.clear();
            self.0.push(complete);
        }
    }
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
        self.text_with(text, limits, &mut Spares::default())
    }

    /// The same with the memory of earlier packets.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn text_with<'a>(
        &mut self,
        text: &'a str,
        limits: &PacketLimits,
        spares: &mut Spares,
    ) -> Result<Option<Packet<'a>>, DecodeError> {
        if self.pending.take().is_some() {
            return Err(DecodeError::TextInsteadOfAttachment);
        }
        let packet = decode(text, limits)?;
        if !packet.kind.is_binary() {
            return Ok(Some(packet));
        }
        self.pending = Some(Complete::new(text, &packet, spares.0.pop()));
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
        let parts = &mut *pending.0;
        parts.attachment_bytes = parts.attachment_bytes.saturating_add(attachment.len());
        if parts.attachment_bytes > limits.attachment_bytes_max {
            return Err(DecodeError::AttachmentBytes);
        }
        parts.attachments.push(attachment);
        if parts.attachments.len() == parts.due {
            return Ok(Some(pending));
        }
        self.pending = Some(pending);
        Ok(None)
    }

    /// The binary packet that waits for attachments, so that its owner can refuse it before they come.
    pub fn under_way(&self) -> Option<Packet<'_>> {
        self.pending.as_ref().map(Complete::packet)
    }

    /// How many binary messages must come before the next text message; 0 between packets.
    pub fn attachments_due(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.0.due - pending.0.attachments.len())
    }
}

/// A binary packet with all its attachments.
#[derive(Clone)]
pub struct Complete(Box<Parts>);

#[derive(Clone)]
struct Parts {
    text: String,
    kind: PacketType,
    /// `None` where the text names no namespace.
    namespace: Option<Range<usize>>,
    id: Option<u64>,
    data: Range<usize>,
    outline: Outline,
    attachments: Vec<Bytes>,
    attachment_bytes: usize,
    due: usize,
}

impl Complete {
    /// Keeps `packet`, which was decoded from `text` and borrows its parts from there, in the memory of a
    /// spare one if there is one.
    fn new(text: &str, packet: &Packet<'_>, spare: Option<Self>) -> Self {
        let place = |part: &str| {
            let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
            let range = start..start + part.len();
            (range.end <= text.len()).then_some(range)
        };
        let parts = |mut kept: String, attachments| Parts {
            text: {
                kept.push_str(text);
                kept
            },
            kind: packet.kind,
            namespace: place(packet.namespace),
            id: packet.id,
            data: packet.data.and_then(place).unwrap_or_default(),
            outline: packet.outline,
            attachments,
            attachment_bytes: 0,
            due: packet.attachments,
        };
        match spare {
            Some(Self(mut spare)) => {
                let kept = std::mem::take(&mut spare.text);
                let attachments = std::mem::take(&mut spare.attachments);
                *spare = parts(kept, attachments);
                Self(spare)
            }
            None => Self(Box::new(parts(String::with_capacity(text.len()), Vec::new()))),
        }
    }

    /// The packet. To get at its arguments prefer [`event`](Self::event) and [`ack`](Self::ack), which
    /// know the attachments.
    pub fn packet(&self) -> Packet<'_> {
        let parts = &*self.0;
        Packet {
            kind: parts.kind,
            namespace: parts.namespace.clone().map_or("/", |range| &parts.text[range]),
            id: parts.id,
            data: Some(&parts.text[parts.data.clone()]),
            attachments: parts.attachments.len(),
            outline: parts.outline,
        }
    }

    /// The event, or `None` if this is an acknowledgement.
    pub fn event(&self) -> Option<Event<'_>> {
        self.packet().event(self.attachments())
    }

    /// The acknowledgement, or `None` if this is an event.
    pub fn ack(&self) -> Option<Ack<'_>> {
        self.packet().ack(self.attachments())
    }

    /// The attachments, in the order in which placeholders number them.
    pub fn attachments(&self) -> &[Bytes] {
        &self.0.attachments
    }

    /// Ends the packet and keeps its attachments.
    pub fn into_attachments(self) -> Vec<Bytes> {
        self.0.attachments
    }
}

impl fmt::Debug for Complete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Complete")
            .field("text", &self.0.text)
            .field("attachments", &self.0.attachments)
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
    fn spare_memory_leaves_nothing_of_the_packet_before() {
        let (limits, mut spares) = (PacketLimits::default(), Spares::default());
        let mut decoder = Decoder::new();
        let first = "52-/long,7[\"a\",{\"_placeholder\":true,\"num\":0},\"more and more\"]";
        decoder.text_with(first, &limits, &mut spares).unwrap();
        decoder.binary(Bytes::from_static(b"x"), &limits).unwrap();
        spares.give_back(decoder.binary(Bytes::from_static(b"y"), &limits).unwrap().unwrap());
        assert_eq!(spares.0.len(), 1);
        assert_eq!(decoder.text_with(ONE, &limits, &mut spares), Ok(None));
        assert!(spares.0.is_empty());
        let complete = decoder.binary(Bytes::from_static(b"z"), &limits).unwrap().unwrap();
        assert_eq!(complete.packet(), decode(ONE, &limits).unwrap());
        assert_eq!(complete.attachments(), [&b"z"[..]]);
        // What is large, or one too many, is let go.
        let large = format!("51-[\"{}\"]", "x".repeat(Spares::TEXT_BYTES_MAX));
        for text in std::iter::once(&*large).chain([ONE; Spares::COUNT_MAX + 1]) {
            decoder.text(text, &limits).unwrap();
            spares.give_back(decoder.binary(Bytes::new(), &limits).unwrap().unwrap());
        }
        assert_eq!(spares.0.len(), Spares::COUNT_MAX);
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
