//! Frames and fragments into messages.
//!
//! The decoder always takes all that it is given, so the caller's buffer is free afterwards: the start of
//! a header is kept inline, the start of a payload in a buffer that grows with what arrives, never with
//! what is announced. A whole unfragmented frame is unmasked where it lies and lent out from there.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::mask::unmask;
use super::violation::Violation;
use crate::limits::WebSocketLimits;

/// The longest header: two bytes, eight of length, four of mask.
const HEADER_BYTES_MAX: usize = 14;
/// The longest payload of a control frame (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

/// Something a client said, borrowed from the input or from the decoder.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping; to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The client closes, with a code and a reason if it gave one.
    Close(Option<(CloseCode, &'a str)>),
}

/// The state of one connection's incoming frames. Owns no heap between messages.
#[derive(Debug)]
pub struct Decoder {
    message_bytes_max: u32,
    /// The first bytes of a header that has not come whole.
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    /// The frame whose payload is being received.
    frame: Option<Frame>,
    /// The message whose fragments are being received.
    message: Option<Data>,
    /// Payload that came before: of the message, or of the control frame in between.
    partial: Option<Box<Partial>>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    done: u32,
    len: u32,
}

#[derive(Debug, Default)]
struct Partial {
    message: Vec<u8>,
    /// How much of a text message is known to be UTF-8. Behind it at most three bytes wait for the rest of
    /// their character.
    valid: usize,
    control: Vec<u8>,
    /// What `message` holds was given out and is to be forgotten.
    is_message_done: bool,
}

const _: () = assert!(size_of::<Decoder>() <= 56);

impl Decoder {
    /// A decoder at the start of a connection.
    pub fn new(limits: WebSocketLimits) -> Self {
        Self {
            message_bytes_max: u32::try_from(limits.message_bytes_max).unwrap_or(u32::MAX),
            header: [0; HEADER_BYTES_MAX],
            header_len: 0,
            frame: None,
            message: None,
            partial: None,
        }
    }

    /// Takes bytes up to the end of the next event: returns how many, and the event if there is one.
    /// Without an event all of `input` was taken or one frame has ended; call again with the rest.
    ///
    /// # Errors
    /// [`Violation`]: the connection is to be closed, and the decoder not to be used again.
    pub fn decode<'a>(
        &'a mut self,
        input: &'a mut [u8],
    ) -> (usize, Result<Option<Event<'a>>, Violation>) {
        self.forget_delivered();
        let mut at = 0;
        if self.frame.is_none() {
            match self.take_header(input) {
                Ok(taken) => at = taken,
                Err(violation) => return (input.len(), Err(violation)),
            }
        }
        let Some(frame) = self.frame else { return (at, Ok(None)) };
        let rest = &mut input[at..];
        let len = rest.len().min((frame.len - frame.done) as usize);
        let payload = &mut rest[..len];
        unmask(payload, frame.mask, frame.done as usize);
        let is_whole = len == frame.len as usize;
        let is_end = frame.done as usize + len == frame.len as usize;
        let event = match frame.opcode {
            OpCode::Control(control) => self.take_control(control, payload, is_whole, is_end),
            OpCode::Data(data) => match (is_whole && frame.is_final, self.message) {
                (true, None) => {
                    self.frame = None;
                    lend(data, payload).map(Some)
                }
                _ => self.take_fragment(data, payload, is_end, frame.is_final),
            },
        };
        (at + len, event)
    }

    /// Bytes held for messages that have not come whole.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |it| it.message.capacity() + it.control.capacity())
    }

    /// Lets go of the message that was lent last; done by the next [`Self::decode`] anyway.
    pub fn forget_delivered(&mut self) {
        if let Some(partial) = &mut self.partial {
            if partial.is_message_done {
                partial.message = Vec::new();
                partial.valid = 0;
                partial.is_message_done = false;
            }
            let is_idle = self.frame.is_none() && self.message.is_none();
            if is_idle {
                self.partial = None;
            }
        }
    }

    /// Takes as much of a header as there is; sets `frame` when it is whole.
    fn take_header(&mut self, input: &[u8]) -> Result<usize, Violation> {
        let kept = usize::from(self.header_len);
        if kept == 0
            && let Some((header, len)) = parse_header(input)?
        {
            self.begin_frame(header, len)?;
            return Ok(header.len);
        }
        let mut taken = 0;
        while let Some(&byte) = input.get(taken)
            && usize::from(self.header_len) < HEADER_BYTES_MAX
        {
            self.header[usize::from(self.header_len)] = byte;
            self.header_len += 1;
            taken += 1;
            if let Some((header, len)) = parse_header(&self.header[..usize::from(self.header_len)])?
            {
                self.header_len = 0;
                self.begin_frame(header, len)?;
                break;
            }
        }
        Ok(taken)
    }

    /// Checks what a header says before a byte of its payload is looked at.
    fn begin_frame(&mut self, header: Header, len: u64) -> Result<(), Violation> {
        let (opcode, is_final) = (header.opcode, header.is_final);
        match opcode {
            OpCode::Control(_) => {}
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Violation::UnexpectedContinuation);
            }
            OpCode::Data(Data::Continue) => {}
            OpCode::Data(_) if self.message.is_some() => return Err(Violation::UnfinishedMessage),
            OpCode::Data(_) => {}
        }
        let before = match opcode {
            OpCode::Data(_) => self.partial.as_ref().map_or(0, |partial| partial.message.len()),
            OpCode::Control(_) => 0,
        };
        if len.saturating_add(before as u64) > u64::from(self.message_bytes_max)
            && matches!(opcode, OpCode::Data(_))
        {
            return Err(Violation::TooBig);
        }
        let len = u32::try_from(len).map_err(|_| Violation::TooBig)?;
        self.frame = Some(Frame { opcode, is_final, mask: header.mask, done: 0, len });
        Ok(())
    }

    fn take_control<'a>(
        &'a mut self,
        control: Control,
        payload: &'a mut [u8],
        is_whole: bool,
        is_end: bool,
    ) -> Result<Option<Event<'a>>, Violation> {
        if is_whole {
            self.frame = None;
            return control_event(control, payload).map(Some);
        }
        let partial = self.partial.get_or_insert_default();
        if self.frame.is_some_and(|frame| frame.done == 0) {
            partial.control.clear();
        }
        partial.control.extend_from_slice(payload);
        self.advance(payload.len(), is_end);
        if !is_end {
            return Ok(None);
        }
        let partial = self.partial.get_or_insert_default();
        control_event(control, &partial.control).map(Some)
    }

    fn take_fragment<'a>(
        &'a mut self,
        data: Data,
        payload: &[u8],
        is_end: bool,
        is_final: bool,
    ) -> Result<Option<Event<'a>>, Violation> {
        let kind = *self.message.get_or_insert(data);
        self.advance(payload.len(), is_end);
        let bytes_max = self.message_bytes_max as usize;
        let partial = self.partial.get_or_insert_default();
        partial.append(payload, bytes_max);
        if kind == Data::Text {
            partial.check_text()?;
        }
        if !(is_end && is_final) {
            return Ok(None);
        }
        self.message = None;
        partial.is_message_done = true;
        match kind {
            Data::Text if partial.valid < partial.message.len() => Err(Violation::NotUtf8),
            Data::Text => lend(kind, &partial.message).map(Some),
            _ => Ok(Some(Event::Binary(&partial.message))),
        }
    }

    fn advance(&mut self, len: usize, is_end: bool) {
        match &mut self.frame {
            Some(frame) if !is_end => frame.done += len as u32,
            frame => *frame = None,
        }
    }
}

impl Partial {
    /// Keeps payload, growing by doubling but never beyond what a message may have.
    fn append(&mut self, payload: &[u8], bytes_max: usize) {
        let needed = self.message.len() + payload.len();
        if needed > self.message.capacity() {
            let target = (2 * self.message.capacity()).min(bytes_max).max(needed);
            self.message.reserve_exact(target - self.message.len());
        }
        self.message.extend_from_slice(payload);
    }

    /// Checks what has come since the last time; fails with the first byte that cannot be right.
    fn check_text(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }
}

/// What a header says, and how many bytes it took.
#[derive(Clone, Copy)]
struct Header {
    opcode: OpCode,
    is_final: bool,
    mask: [u8; 4],
    len: usize,
}

/// Reads a header if it is whole; what its first two bytes cannot be is refused as soon as they are here.
fn parse_header(bytes: &[u8]) -> Result<Option<(Header, u64)>, Violation> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    let is_control = first & 0x08 != 0;
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    if !matches!(first & 0x0f, 0..=2 | 8..=10) {
        return Err(Violation::ReservedOpcode);
    }
    if second & 0x80 == 0 {
        return Err(Violation::NotMasked);
    }
    if is_control && (first & 0x80 == 0 || u64::from(second & 0x7f) > CONTROL_BYTES_MAX) {
        return Err(Violation::BadControl);
    }
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Violation::ReservedOpcode)?;
    let Some((header, len)) = parsed else { return Ok(None) };
    let is_shortest = match second & 0x7f {
        126 => len > 125,
        127 => len > 0xffff && len >> 63 == 0,
        _ => true,
    };
    if !is_shortest {
        return Err(Violation::BadLength);
    }
    let mask = header.mask.ok_or(Violation::NotMasked)?;
    let header = Header {
        opcode: header.opcode,
        is_final: header.is_final,
        mask,
        len: cursor.position() as usize,
    };
    Ok(Some((header, len)))
}

/// A whole message, from where it lies.
fn lend(data: Data, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match data {
        Data::Text => {
            simdutf8::basic::from_utf8(payload).map(Event::Text).map_err(|_| Violation::NotUtf8)
        }
        _ => Ok(Event::Binary(payload)),
    }
}

fn control_event(control: Control, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match control {
        Control::Ping => Ok(Event::Ping(payload)),
        Control::Pong => Ok(Event::Pong(payload)),
        _ => close_event(payload).map(Event::Close),
    }
}

/// The code and reason of a close frame (RFC 6455 section 7.4).
fn close_event(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Violation> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let code = CloseCode::from(u16::from_be_bytes([*high, *low]));
            let reason = std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            match code.is_allowed() {
                true => Ok(Some((code, reason))),
                false => Err(Violation::BadClose),
            }
        }
        [_] => Err(Violation::BadClose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// A client's frame, masked.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            len @ 0..=125 => out.push(0x80 | len as u8),
            len @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend((len as u16).to_be_bytes());
            }
            len => {
                out.push(0x80 | 127);
                out.extend((len as u64).to_be_bytes());
            }
        }
        out.extend(MASK);
        out.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ MASK[i % 4]));
        out
    }

    fn owned(event: Event<'_>) -> String {
        match event {
            Event::Binary(bytes) => format!("binary {}", bytes.len()),
            Event::Text(text) if text.len() > 20 => format!("text {}", text.len()),
            other => format!("{other:?}"),
        }
    }

    /// All events of `bytes` given in pieces of `step`, until the end or a violation.
    fn events(bytes: &[u8], step: usize, max: usize) -> Vec<Result<String, Violation>> {
        let mut decoder = Decoder::new(WebSocketLimits { message_bytes_max: max });
        let mut all = Vec::new();
        for piece in bytes.chunks(step) {
            let mut piece = piece.to_vec();
            let mut at = 0;
            while at < piece.len() {
                let (taken, event) = decoder.decode(&mut piece[at..]);
                at += taken;
                match event {
                    Ok(Some(event)) => all.push(Ok(owned(event))),
                    Ok(None) => {}
                    Err(violation) => {
                        all.push(Err(violation));
                        return all;
                    }
                }
            }
        }
        all
    }

    fn check(bytes: &[u8], expected: &[Result<&str, Violation>]) {
        for step in [1, 2, 3, 7, 1000, bytes.len().max(1)] {
            let got = events(bytes, step, 1000);
            let got: Vec<_> = got.iter().map(|it| it.as_deref().map_err(|it| *it)).collect();
            assert_eq!(got, expected, "in pieces of {step}");
        }
    }

    #[test]
    fn messages_of_every_length_class_arrive_whole_in_any_pieces() {
        for len in [0, 1, 125, 126, 127, 999, 1000] {
            let payload = vec![b'x'; len];
            check(&frame(0x82, &payload), &[Ok(&format!("binary {len}"))]);
        }
        let bytes = [frame(0x81, "héllo €😀".as_bytes()), frame(0x81, b"")].concat();
        check(&bytes, &[Ok("Text(\"héllo €😀\")"), Ok("Text(\"\")")]);
    }

    #[test]
    fn fragments_are_put_together_around_control_frames() {
        let euro = "€".as_bytes();
        let bytes = [
            frame(0x01, &euro[..1]),
            frame(0x89, b"are you there"),
            frame(0x00, &euro[1..2]),
            frame(0x8a, b""),
            frame(0x80, &euro[2..]),
            frame(0x82, b"next"),
        ]
        .concat();
        check(
            &bytes,
            &[
                Ok("Ping([97, 114, 101, 32, 121, 111, 117, 32, 116, 104, 101, 114, 101])"),
                Ok("Pong([])"),
                Ok("Text(\"€\")"),
                Ok("binary 4"),
            ],
        );
    }

    #[test]
    fn what_the_standard_forbids_is_refused() {
        let unmasked = [0x81, 0x01, b'a'];
        let not_shortest = [&[0x82, 0xfe, 0, 5][..], &MASK, b"abcde"].concat();
        let top_bit = [&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0][..], &MASK].concat();
        for (bytes, violation) in [
            (unmasked.to_vec(), Violation::NotMasked),
            (frame(0xc1, b"a"), Violation::ReservedBits),
            (frame(0x83, b"a"), Violation::ReservedOpcode),
            (frame(0x8b, b"a"), Violation::ReservedOpcode),
            (frame(0x09, b"a"), Violation::BadControl),
            (frame(0x89, &[0; 126]), Violation::BadControl),
            (frame(0x80, b"a"), Violation::UnexpectedContinuation),
            ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Violation::UnfinishedMessage),
            (not_shortest, Violation::BadLength),
            (top_bit, Violation::BadLength),
            (frame(0x88, &[3]), Violation::BadClose),
            (frame(0x88, &[3, 232, 0xff]), Violation::NotUtf8),
            (frame(0x81, &[0xc0, 0xaf]), Violation::NotUtf8),
            (frame(0x82, &[0; 1001]), Violation::TooBig),
            ([frame(0x02, &[0; 600]), frame(0x80, &[0; 401])].concat(), Violation::TooBig),
        ] {
            check(&bytes, &[Err(violation)]);
        }
    }

    #[test]
    fn close_codes_are_those_that_may_be_sent() {
        for code in
            [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999_u16]
        {
            let event = events(&frame(0x88, &code.to_be_bytes()), 100, 1000);
            assert!(matches!(&event[..], [Ok(_)]), "{code}");
        }
        for code in [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
            let event = events(&frame(0x88, &code.to_be_bytes()), 100, 1000);
            assert_eq!(event, [Err(Violation::BadClose)], "{code}");
        }
    }

    #[test]
    fn text_fails_with_its_first_wrong_byte_even_inside_a_frame() {
        let payload = [&b"abc\xce\xba\xf4\x90"[..], &[b'x'; 500]].concat();
        let bytes = frame(0x81, &payload);
        // Header, the good text and the first byte that cannot follow.
        let until_wrong = bytes.len() - 500;
        assert_eq!(events(&bytes[..until_wrong], 1, 1000), [Err(Violation::NotUtf8)]);
        assert_eq!(events(&bytes[..until_wrong - 1], 1, 1000), []);
        // A character that never ends.
        check(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat(), &[Err(Violation::NotUtf8)]);
    }

    /// CVE-2022-21676: reserved bits in the first frame after the upgrade killed the process.
    #[test]
    fn cve_2022_21676_reserved_bits_end_the_connection() {
        for bits in [0x10, 0x20, 0x40, 0x70] {
            check(&frame(0x81 | bits, b"4hello"), &[Err(Violation::ReservedBits)]);
        }
    }

    /// CVE-2016-10518 and CVE-2026-45736 of ws: a ping's answer carried foreign memory.
    #[test]
    fn cve_2016_10518_a_pings_payload_is_given_exactly() {
        for len in 0..=125 {
            let payload: Vec<u8> = (0..len).collect();
            let expected = format!("Ping({payload:?})");
            check(&frame(0x89, &payload), &[Ok(&expected)]);
        }
    }

    /// CVE-2016-10542 of ws: a length of 64 bits was believed.
    #[test]
    fn cve_2016_10542_an_announced_length_is_refused_before_anything_is_kept() {
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let mut bytes = [&[0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0][..], &MASK].concat();
        assert_eq!(decoder.decode(&mut bytes).1, Err(Violation::TooBig));
        assert_eq!(decoder.held_bytes(), 0);
        // Within the limit nothing is kept either until it comes.
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let mut bytes = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40][..], &MASK].concat();
        assert_eq!(decoder.decode(&mut bytes).1, Ok(None));
        assert!(decoder.held_bytes() < 100);
    }

    /// CVE-2026-48779 of ws and its like: a message of countless tiny fragments.
    #[test]
    fn cve_2026_48779_a_million_tiny_fragments_hold_no_more_than_a_message() {
        let mut decoder = Decoder::new(WebSocketLimits { message_bytes_max: 10_000 });
        let start = frame(0x02, b"x");
        let more = frame(0x00, b"x");
        let empty = frame(0x00, b"");
        let mut refused = None;
        for i in 0..1_000_000 {
            let mut bytes = if i == 0 {
                start.clone()
            } else if i % 2 == 0 {
                more.clone()
            } else {
                empty.clone()
            };
            let mut at = 0;
            while at < bytes.len() && refused.is_none() {
                // One byte at a time, as in separate segments.
                let (taken, event) = decoder.decode(&mut bytes[at..at + 1]);
                at += taken;
                refused = event.err();
            }
            assert!(decoder.held_bytes() <= 10_000);
            if refused.is_some() {
                break;
            }
        }
        assert_eq!(refused, Some(Violation::TooBig));
    }

    #[test]
    fn an_idle_decoder_holds_nothing() {
        let mut decoder = Decoder::new(WebSocketLimits::default());
        let mut bytes = [frame(0x02, &[7; 70_000]), frame(0x80, b"end")].concat();
        let mut at = 0;
        let mut messages = 0;
        while at < bytes.len() {
            let (taken, event) = decoder.decode(&mut bytes[at..]);
            at += taken;
            messages += usize::from(
                event == Ok(Some(Event::Binary(&[vec![7; 70_000], b"end".to_vec()].concat()))),
            );
        }
        assert_eq!(messages, 1);
        assert!(decoder.held_bytes() >= 70_000);
        let _ = decoder.decode(&mut []);
        assert_eq!(decoder.held_bytes(), 0);
    }
}
