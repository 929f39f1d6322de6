//! Reads what a client sends: frames, one connection's worth, in pieces of any size.
//!
//! The decoder takes all bytes it is given, so that the buffer they came in can be used again at once.
//! Between calls it keeps a cut-off frame head or control frame, and the message under assembly: that
//! is all the heap it ever has, and an idle connection has none.

use std::borrow::Cow;

use super::{
    Control, Data, Event, Mask, OpCode, Violation,
    assembly::Assembly,
    close,
    head::{HEAD_BYTES_MAX, Head},
};
use crate::limits::WebSocketLimits;

/// The receiving half of one WebSocket connection, server side.
#[derive(Debug)]
pub struct Decoder {
    limits: WebSocketLimits,
    state: State,
    /// The data message whose end has not arrived. `Some` wherever `state` is `Data`.
    message: Option<Assembly>,
}

/// Ten thousand idle connections shall cost less than a megabyte here.
const _: () = assert!(size_of::<Decoder>() <= 64);

/// What the next byte belongs to.
#[derive(Debug)]
enum State {
    /// A frame's head, of which these bytes have arrived.
    Head { bytes: [u8; HEAD_BYTES_MAX], len: u8 },
    /// The payload of a data frame, of which `missing` bytes (at least one) have not arrived.
    Data { missing: usize, mask: Mask, is_final: bool },
    /// The payload of a control frame. Boxed: it is rare, and may come inside of a data message.
    Control(Box<PartialControl>),
    /// Nothing that matters: a close frame or a violation came before.
    Ended,
}

/// A control frame whose payload was cut off.
#[derive(Debug)]
struct PartialControl {
    control: Control,
    mask: Mask,
    missing: usize,
    payload: Vec<u8>,
}

impl State {
    const FRAME_START: Self = Self::Head { bytes: [0; HEAD_BYTES_MAX], len: 0 };
}

impl Decoder {
    /// A decoder for a connection that has just been upgraded.
    pub fn new(limits: WebSocketLimits) -> Self {
        Self { limits, state: State::FRAME_START, message: None }
    }

    /// Takes bytes off the front of `input`, up to and including the next event.
    ///
    /// `Ok(None)` means that `input` is used up and more is needed. Payloads are unmasked in place; a
    /// message that lies in `input` in one frame is borrowed from it. After a [`Violation`] or
    /// [`Event::Close`] everything that follows is taken and ignored (RFC 6455 sections 1.4 and 7.1.7).
    ///
    /// ```
    /// # use yamabiko_protocol::{limits::WebSocketLimits, websocket::{Decoder, Event}};
    /// # let mut decoder = Decoder::new(WebSocketLimits::default());
    /// # let mut received = *b"\x81\x82\0\0\0\0hi\x89\x80\0\0\0\0";
    /// # let mut events = 0;
    /// let mut input = &mut received[..];
    /// while let Some(event) = decoder.decode(&mut input)? {
    ///     match event {
    ///         Event::Text(text) => assert_eq!(text, "hi"),
    ///         other => assert_eq!(other, Event::Ping(b"".into())),
    ///     }
    ///     # events += 1;
    /// }
    /// # assert_eq!(events, 2);
    /// # Ok::<(), yamabiko_protocol::websocket::Violation>(())
    /// ```
    ///
    /// # Errors
    /// The first rule that the client broke, as soon as the byte that breaks it is there. The
    /// connection has failed then, and the decoder has given up what it held.
    pub fn decode<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        while !input.is_empty() {
            let step = match &mut self.state {
                State::Head { .. } => self.head(input),
                State::Data { .. } => self.data(input),
                State::Control(_) => self.control(input),
                State::Ended => {
                    *input = &mut [];
                    Ok(None)
                }
            };
            match step {
                Ok(None) => {}
                Ok(Some(event)) => {
                    if matches!(event, Event::Close(_)) {
                        self.end();
                    }
                    return Ok(Some(event));
                }
                Err(violation) => {
                    self.end();
                    *input = &mut [];
                    return Err(violation);
                }
            }
        }
        Ok(None)
    }

    /// Bytes of heap held now: at most the message limit and a control frame's payload. Zero between
    /// messages that arrive whole.
    pub fn held_bytes(&self) -> usize {
        let control = match &self.state {
            State::Control(control) => size_of::<PartialControl>() + control.payload.capacity(),
            State::Head { .. } | State::Data { .. } | State::Ended => 0,
        };
        control + self.message.as_ref().map_or(0, Assembly::capacity)
    }

    /// Whether a close frame or a violation has ended the connection.
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.message = None;
    }

    /// Takes a frame's head, and its payload where that is there.
    fn head<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        let Some(head) = self.take_head(input)? else { return Ok(None) };
        match head.opcode {
            OpCode::Control(control) => self.start_control(control, head, input),
            OpCode::Data(data) => self.start_data(data, head, input),
        }
    }

    /// Takes a head off `input`, or all of `input` if the head goes on behind it.
    fn take_head(&mut self, input: &mut &mut [u8]) -> Result<Option<Head>, Violation> {
        let State::Head { bytes, len: held } = &mut self.state else { return Ok(None) };
        let before = usize::from(*held);
        if before == 0
            && let Some((head, head_len)) = Head::parse(input)?
        {
            take(input, head_len);
            return Ok(Some(head));
        }
        let filled = HEAD_BYTES_MAX.min(before + input.len());
        bytes[before..filled].copy_from_slice(&input[..filled - before]);
        let Some((head, head_len)) = Head::parse(&bytes[..filled])? else {
            // Less than a whole head, so less than the longest: nothing of `input` is left.
            take(input, filled - before);
            *held = filled as u8;
            return Ok(None);
        };
        take(input, head_len - before);
        self.state = State::FRAME_START;
        Ok(Some(head))
    }

    fn start_control<'a>(
        &mut self,
        control: Control,
        head: Head,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, Violation> {
        let Head { mut mask, payload_len, .. } = head;
        let missing = payload_len as usize; // 125 at most
        if missing <= input.len() {
            let payload = take(input, missing);
            mask.apply(payload);
            return borrowed_control(control, payload).map(Some);
        }
        self.state = State::Control(Box::new(PartialControl {
            control,
            mask,
            missing,
            payload: Vec::new(),
        }));
        Ok(None)
    }

    /// Takes more of a cut-off control frame.
    fn control<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        let State::Control(partial) = &mut self.state else { return Ok(None) };
        let piece = take(input, partial.missing.min(input.len()));
        partial.mask.apply(piece);
        partial.payload.extend_from_slice(piece);
        partial.missing -= piece.len();
        if partial.missing > 0 {
            return Ok(None);
        }
        let event = borrowed_control(partial.control, &partial.payload)?.into_owned();
        self.state = State::FRAME_START;
        Ok(Some(event))
    }

    fn start_data<'a>(
        &mut self,
        data: Data,
        head: Head,
        input: &mut &'a mut [u8],
    ) -> Result<Option<Event<'a>>, Violation> {
        let Head { mut mask, payload_len, is_final, .. } = head;
        let held = match (&self.message, data) {
            (None, Data::Continue) => return Err(Violation::UnexpectedContinuation),
            (Some(message), Data::Continue) => message.len(),
            (Some(_), _) => return Err(Violation::UnfinishedMessage),
            (None, _) => 0,
        };
        let missing = usize::try_from(payload_len)
            .ok()
            .filter(|len| *len <= self.limits.message_bytes_max.saturating_sub(held))
            .ok_or(Violation::MessageTooBig)?;
        if self.message.is_none() {
            if is_final && missing <= input.len() {
                let payload = take(input, missing);
                mask.apply(payload);
                return borrowed_message(data, payload).map(Some);
            }
            self.message =
                Some(if data == Data::Text { Assembly::text() } else { Assembly::binary() });
        }
        self.state = State::Data { missing, mask, is_final };
        self.data(input)
    }

    /// Takes more of a data frame that goes into the message under assembly.
    fn data<'a>(&mut self, input: &mut &'a mut [u8]) -> Result<Option<Event<'a>>, Violation> {
        let State::Data { missing, mask, is_final } = &mut self.state else { return Ok(None) };
        let message = self.message.as_mut().expect("set before the state became `Data`");
        let len_max =
            if *is_final { message.len() + *missing } else { self.limits.message_bytes_max };
        let piece = take(input, (*missing).min(input.len()));
        mask.apply(piece);
        message.append(piece, len_max)?;
        *missing -= piece.len();
        if *missing > 0 {
            return Ok(None);
        }
        let is_final = *is_final;
        self.state = State::FRAME_START;
        if !is_final {
            return Ok(None);
        }
        self.message.take().map(Assembly::finish).transpose()
    }
}

/// Takes `len` bytes off the front of `input`, which has as many.
fn take<'a>(input: &mut &'a mut [u8], len: usize) -> &'a mut [u8] {
    input.split_off_mut(..len).expect("callers take no more than there is")
}

/// A message that arrived whole, unmasked.
fn borrowed_message(data: Data, payload: &[u8]) -> Result<Event<'_>, Violation> {
    if data != Data::Text {
        return Ok(Event::Binary(Cow::Borrowed(payload)));
    }
    match simdutf8::basic::from_utf8(payload) {
        Ok(text) => Ok(Event::Text(Cow::Borrowed(text))),
        Err(_) => Err(Violation::InvalidText),
    }
}

/// A control frame's unmasked payload as an event.
fn borrowed_control(control: Control, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match control {
        Control::Ping => Ok(Event::Ping(Cow::Borrowed(payload))),
        Control::Pong => Ok(Event::Pong(Cow::Borrowed(payload))),
        Control::Close => {
            let close = close::parse(payload)?;
            Ok(Event::Close(close.map(|(code, reason)| (code, Cow::Borrowed(reason)))))
        }
        Control::Reserved(opcode) => Err(Violation::ReservedOpcode(opcode)),
    }
}
