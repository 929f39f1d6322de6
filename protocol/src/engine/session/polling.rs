//! Polls, posts, and the buffer between polls.
//!
//! The caller reads one request per connection at a time: while a request is open it reads no further
//! request from that connection.

use super::effect::{CloseReason, Effect};
use super::heartbeat::Timer;
use super::machine::{Carrier, Session, State};
use crate::engine::error::ErrorCode;
use crate::engine::jsonp::{self, JsonpIndex};
use crate::engine::outgoing::Outgoing;
use crate::engine::payload::{BINARY_CONTENT_TYPE, BodyForm, PayloadForm, TEXT_CONTENT_TYPE};
use crate::engine::response::Response;
use crate::engine::revision::Revision;

/// The polling side of a session.
#[derive(Debug)]
pub(super) struct Polling<C> {
    /// The GET that waits for something to say.
    get: Option<C>,
    /// What waits for a GET.
    buffer: Vec<Outgoing>,
    /// Weight of `buffer`.
    bytes: usize,
    /// Something in `buffer` may be compressed. As in the reference that is enough for all of it.
    compress: bool,
    form: PayloadForm,
    jsonp: Option<JsonpIndex>,
}

/// A POST whose answer is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Post<C> {
    pub(super) from: C,
    /// Whether the body is complete and its packets are being read. From then on the POST is answered
    /// whatever happens to the session; before, it is cut off with it.
    pub(super) is_read: bool,
}

impl<C: Copy> Polling<C> {
    pub(super) fn new(get: C, revision: Revision, b64: bool, jsonp: Option<JsonpIndex>) -> Self {
        let form = PayloadForm::new(revision, b64 || jsonp.is_some());
        Self { get: Some(get), buffer: Vec::new(), bytes: 0, compress: false, form, jsonp }
    }

    pub(super) fn push(&mut self, packet: Outgoing, compress: bool) {
        self.bytes += packet.weight();
        self.compress |= compress;
        self.buffer.push(packet);
    }

    /// Whether a packet may wait here. One that need not wait always may.
    pub(super) fn has_room(&self, packet: &Outgoing, bytes_max: usize) -> bool {
        let leaves_now = self.get.is_some() && self.buffer.is_empty();
        leaves_now || self.bytes.saturating_add(packet.weight()) <= bytes_max
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn is_pending(&self) -> bool {
        self.get.is_some()
    }

    /// Forgets the pending GET if it is this connection's.
    pub(super) fn forget(&mut self, connection: C) -> bool
    where
        C: Eq,
    {
        self.get.take_if(|get| *get == connection).is_some()
    }

    pub(super) fn take_buffer(&mut self) -> Vec<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.buffer)
    }

    /// Answers the pending GET with the buffer; without a GET, nothing happens.
    pub(super) fn answer(&mut self, fx: &mut Vec<Effect<C>>) {
        let Some(to) = self.get.take() else { return };
        let mut body = Vec::new();
        let compress = std::mem::take(&mut self.compress);
        let mut content_type = self.form.encode(&self.take_buffer(), &mut body);
        if let Some(index) = self.jsonp {
            let mut script = Vec::new();
            jsonp::wrap(index, &body, &mut script);
            (body, content_type) = (script, TEXT_CONTENT_TYPE);
        }
        let content_type = Some(content_type);
        let response = Response { status: 200, content_type, body: body.into(), compress };
        fx.push(Effect::Respond { to, response });
    }

    /// Answers the pending GET with the buffer, or `6` if there is nothing in it.
    pub(super) fn release(&mut self, fx: &mut Vec<Effect<C>>) {
        if self.get.is_some() && self.buffer.is_empty() {
            self.push(Outgoing::Noop, false);
        }
        self.answer(fx);
    }
}

impl<C: Copy + Eq> Session<C> {
    /// A poll. It is answered now if something waits, else by a later call.
    ///
    /// A second poll beside a pending one ends the session.
    pub fn get(&mut self, from: C, now: u64, fx: &mut Vec<Effect<C>>) {
        let is_probed = self.upgrade.as_ref().is_some_and(|upgrade| upgrade.is_probed);
        let close_timeout_ms = self.settings.close_timeout_ms;
        let Carrier::Polling(polling) = &mut self.carrier else {
            return self.refuse(from, fx);
        };
        if polling.is_pending() {
            polling.push(Outgoing::Close, false);
            polling.answer(fx);
            fx.push(Effect::Respond { to: from, response: Response::empty(400) });
            return self.finish(CloseReason::TransportError, Outgoing::Close, fx);
        }
        polling.get = Some(from);
        match self.state {
            State::Closing if polling.is_empty() => {
                polling.push(Outgoing::Noop, false);
                self.finish(CloseReason::ForcedClose, Outgoing::Close, fx);
            }
            State::Closing => {
                polling.answer(fx);
                self.timer = Timer::last_poll(now, close_timeout_ms);
            }
            // The client waits for this poll to end before it switches.
            _ if is_probed => polling.release(fx),
            _ if polling.is_empty() => {}
            _ => polling.answer(fx),
        }
    }

    /// The head of a POST has arrived. Returns how to read the body; `None` if the request is already
    /// answered and its body is of no interest.
    ///
    /// A second POST beside one that is not answered ends the session, as does the binary form in
    /// revision 4. `content_type` is the header's value.
    pub fn post_begin(
        &mut self,
        from: C,
        content_type: Option<&str>,
        fx: &mut Vec<Effect<C>>,
    ) -> Option<BodyForm> {
        let Carrier::Polling(polling) = &self.carrier else {
            self.refuse(from, fx);
            return None;
        };
        let is_binary = content_type == Some(BINARY_CONTENT_TYPE);
        if self.post.is_some() || is_binary && self.revision == Revision::V4 {
            fx.push(Effect::Respond { to: from, response: Response::empty(400) });
            self.finish(CloseReason::TransportError, Outgoing::Close, fx);
            return None;
        }
        let form = match (polling.jsonp, is_binary) {
            (Some(_), _) => BodyForm::Jsonp,
            (None, true) => BodyForm::Binary,
            (None, false) => BodyForm::Text,
        };
        self.post = Some(Post { from, is_read: false });
        Some(form)
    }

    /// All packets of a POST have been received, in the sense of [`receive`](Self::receive) or
    /// [`bad_packet`](Self::bad_packet).
    pub fn post_end(&mut self, from: C, fx: &mut Vec<Effect<C>>) {
        self.answer_post(from, Response::ok(), fx);
    }

    /// The body of a POST is beyond the limit. The session lives on.
    pub fn body_too_large(&mut self, from: C, fx: &mut Vec<Effect<C>>) {
        self.answer_post(from, Response::empty(413), fx);
    }

    fn answer_post(&mut self, from: C, response: Response, fx: &mut Vec<Effect<C>>) {
        if self.post.take_if(|post| post.from == from).is_some() {
            fx.push(Effect::Respond { to: from, response });
        }
    }

    /// Answers a polling request to a session that is not polling (any more). The checks of
    /// [`verify`](crate::engine::verify()) have the same answers.
    fn refuse(&self, from: C, fx: &mut Vec<Effect<C>>) {
        let code = match self.state {
            State::Closed => ErrorCode::UnknownSid,
            State::Open | State::Closing => ErrorCode::BadRequest,
        };
        fx.push(Effect::Respond { to: from, response: code.response() });
    }
}
