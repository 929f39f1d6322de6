//! The body of a request for the application, on its way in.
//!
//! It is decoded as it arrives and waits here until it is read, [`WAITING_BYTES_MAX`] at most: beyond it
//! the client is held back. The limit on the whole counts what the application reads, so it may be set as
//! late as that. Time runs only while the application waits for the client, not the other way round.

use std::fmt;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use yamabiko_protocol::http::{BodyDecoder, BodyLength, CONTINUE, HttpError};
use yamabiko_protocol::limits::HttpLimits;

use crate::connection::{ConnectionKey, Http, Phase};
use crate::exchange::{ExchangeKey, Exchanging};
use crate::shard::{Errand, Shard, State};

/// Bytes that may wait to be read before the client is held back.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// What is left of a body that nobody reads is taken in up to this; beyond it the connection ends.
const DISCARDED_BYTES_MAX: u64 = 64 * 1024;
/// So much has to come in each `body_timeout`, or else the end.
const STRIDE_BYTES: u64 = 64 * 1024;

/// A request's body, read piece by piece.
pub struct RequestBody {
    shard: Shard,
    key: ExchangeKey,
}

/// Why a body could not be read to its end. The connection ends with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// It is longer than [`RequestBody::set_limit`] or `max_http_buffer_size` allows.
    TooLarge,
    /// It does not follow HTTP's grammar, or breaks a limit of it.
    Malformed(HttpError),
    /// The client took longer than `body_timeout`.
    TimedOut,
    /// The client went away, or the request was answered before.
    Gone,
}

/// The state of a body.
pub(crate) struct Input {
    decoder: BodyDecoder,
    length: BodyLength,
    /// Decoded and not yet read.
    waiting: Vec<u8>,
    /// Bytes decoded so far.
    total: u64,
    limit: u64,
    stage: Stage,
    pub(crate) reader: Option<Waker>,
    /// The time the client has in all before it must have brought a stride.
    patience_ms: u64,
    /// What is left of it, but for the time since `waits_since_ms`.
    left_ms: u64,
    waits_since_ms: Option<u64>,
    /// `total` when its time was last renewed.
    renewed_at: u64,
    /// Nobody wants it any more.
    is_discarded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Flowing,
    Complete,
    Failed(BodyError),
}

impl RequestBody {
    pub(crate) fn new(shard: Shard, key: ExchangeKey) -> Self {
        Self { shard, key }
    }

    /// How long it will be.
    pub fn length(&self) -> BodyLength {
        let length = self.shard.with(|state| Some(state.exchange(self.key)?.input.length));
        length.unwrap_or(BodyLength::None)
    }

    /// Allows so many bytes in all, instead of `max_http_buffer_size`.
    pub fn set_limit(&mut self, bytes: u64) {
        self.shard.with(|state| {
            if let Some(exchange) = state.exchange(self.key) {
                exchange.input.limit = bytes;
            }
        });
    }

    /// The next piece; `None` at the end. A client that waits for `100 Continue` is asked for its body by
    /// the first call.
    ///
    /// # Errors
    /// [`BodyError`], again with each further call.
    pub fn poll_next(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        let (read, is_asked_for) = self.shard.with(|state| state.read_body(self.key, context));
        if is_asked_for {
            self.shard.nudge();
        }
        read
    }

    /// As [`Self::poll_next`].
    ///
    /// # Errors
    /// [`BodyError`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

impl BodyError {
    /// The status of an answer to it.
    pub fn status(self) -> u16 {
        match self {
            Self::TooLarge => HttpError::BodyTooLarge.status(),
            Self::Malformed(error) => error.status(),
            Self::TimedOut => 408,
            Self::Gone => 400,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the request's body is larger than allowed"),
            Self::Malformed(error) => error.fmt(f),
            Self::TimedOut => f.write_str("the request's body took too long (limit body_timeout)"),
            Self::Gone => f.write_str("the client went away"),
        }
    }
}

impl std::error::Error for BodyError {}

impl Input {
    pub(crate) fn new(
        length: BodyLength,
        limits: HttpLimits,
        patience_ms: u64,
    ) -> Result<Self, HttpError> {
        let limit = limits.body_bytes_max as u64;
        // The limit may be raised, and counts over all pieces: it is kept here, not by the decoder.
        let decoder =
            BodyDecoder::new(length, &HttpLimits { body_bytes_max: usize::MAX, ..limits })?;
        Ok(Self {
            stage: match length {
                BodyLength::None | BodyLength::Length(0) => Stage::Complete,
                _ => Stage::Flowing,
            },
            decoder,
            length,
            waiting: Vec::new(),
            total: 0,
            limit,
            reader: None,
            patience_ms,
            left_ms: patience_ms,
            waits_since_ms: None,
            renewed_at: 0,
            is_discarded: false,
        })
    }

    /// All of it has arrived and was sound.
    pub(crate) fn is_complete(&self) -> bool {
        self.stage == Stage::Complete
    }

    /// Nothing more of it is wanted.
    pub(crate) fn is_over(&self) -> bool {
        self.stage != Stage::Flowing
    }

    fn wants_more(&self) -> bool {
        self.stage == Stage::Flowing && self.waiting.len() < WAITING_BYTES_MAX
    }

    /// What was promised and has not come; nothing if the length is not known.
    fn rest(&self) -> u64 {
        match self.length {
            BodyLength::Length(length) => length.saturating_sub(self.total),
            BodyLength::None | BodyLength::Chunked => 0,
        }
    }

    /// Whether the connection can serve another request if nobody reads the rest.
    pub(crate) fn may_be_discarded(&self) -> bool {
        !self.has_failed() && (self.is_discarded || self.rest() <= DISCARDED_BYTES_MAX)
    }

    /// What follows on the connection cannot be understood, or nobody is there to send it.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Failed(_))
    }

    /// The request is answered: what is left of it is taken in and forgotten.
    pub(crate) fn discard(&mut self) {
        if !self.is_discarded {
            self.is_discarded = true;
            self.waiting = Vec::new();
            // From here on its bytes count as those that nobody reads.
            self.limit = self.total + DISCARDED_BYTES_MAX;
        }
    }

    pub(crate) fn lost_peer(&mut self) {
        if self.stage == Stage::Flowing {
            self.stage = Stage::Failed(BodyError::Gone);
        }
    }

    /// Whether time has run out, which then ends it.
    pub(crate) fn ran_out_of_time(&mut self, now_ms: u64) -> bool {
        let is_late = self.deadline_ms(now_ms).is_some_and(|deadline| deadline <= now_ms);
        if is_late {
            self.stage = Stage::Failed(BodyError::TimedOut);
        }
        is_late
    }

    /// By when the client must have brought more, while somebody waits for it.
    pub(crate) fn deadline_ms(&mut self, now_ms: u64) -> Option<u64> {
        let waits = self.stage == Stage::Flowing && (self.is_discarded || self.reader.is_some());
        match (waits, self.waits_since_ms) {
            (true, None) => self.waits_since_ms = Some(now_ms),
            (false, Some(since)) => {
                self.left_ms = self.left_ms.saturating_sub(now_ms.saturating_sub(since));
                self.waits_since_ms = None;
            }
            _ => {}
        }
        self.waits_since_ms.map(|since| since + self.left_ms)
    }

    /// More of it has come.
    fn progress(&mut self, now_ms: u64) {
        if self.total - self.renewed_at >= STRIDE_BYTES {
            self.renewed_at = self.total;
            self.left_ms = self.patience_ms;
            if self.waits_since_ms.is_some() {
                self.waits_since_ms = Some(now_ms);
            }
        }
    }

    fn is_too_large(&self) -> bool {
        let declared = match self.length {
            BodyLength::Length(length) if !self.is_discarded => length,
            _ => 0,
        };
        self.total.max(declared) > self.limit
    }

    /// Takes what is body in `bytes`. Returns how many bytes it was, and whether that changes anything.
    fn feed(&mut self, bytes: &[u8], now_ms: u64) -> (usize, bool) {
        match self.stage {
            Stage::Flowing => {}
            Stage::Complete => return (0, false),
            // Nothing behind it can be understood.
            Stage::Failed(_) => return (bytes.len(), false),
        }
        let before = self.waiting.len();
        let decoded = self.decoder.decode(bytes, &mut self.waiting);
        let fresh = self.waiting.len() - before;
        self.total += fresh as u64;
        self.progress(now_ms);
        if self.is_discarded {
            self.waiting.clear();
        }
        match decoded {
            Ok((taken, true)) => {
                self.stage = Stage::Complete;
                (taken, true)
            }
            Ok((taken, false)) if self.is_discarded && self.is_too_large() => {
                self.stage = Stage::Failed(BodyError::TooLarge);
                (taken, true)
            }
            Ok((taken, false)) => (taken, fresh > 0),
            Err(error) => {
                self.stage = Stage::Failed(BodyError::Malformed(error));
                (bytes.len(), true)
            }
        }
    }

    /// What there is for the reader; `None` if it has to wait.
    fn read(&mut self) -> Option<Result<Option<Bytes>, BodyError>> {
        if self.is_discarded {
            return Some(Err(BodyError::Gone));
        }
        if !self.has_failed() && self.is_too_large() {
            self.stage = Stage::Failed(BodyError::TooLarge);
            self.waiting = Vec::new();
        }
        match self.stage {
            Stage::Failed(error) => Some(Err(error)),
            _ if !self.waiting.is_empty() => {
                Some(Ok(Some(Bytes::from(std::mem::take(&mut self.waiting)))))
            }
            Stage::Complete => Some(Ok(None)),
            Stage::Flowing => None,
        }
    }
}

impl Exchanging {
    /// Whether the connection should be read from: not while what came waits to be read, and not after
    /// the peer's end.
    pub(crate) fn wants_input(&self) -> bool {
        !self.peer_ended && (self.input.is_complete() || self.input.wants_more())
    }
}

impl State {
    /// Bytes of an exchange's connection. Returns how many of them were its body, and whether it was the
    /// end of the exchange.
    pub(crate) fn take_body(
        &mut self,
        connection: ConnectionKey,
        mut exchange: Box<Exchanging>,
        bytes: &[u8],
    ) -> (usize, bool) {
        let taken = self.feed_body(connection, &mut exchange, bytes);
        self.set_phase(connection, Phase::Exchange(exchange));
        self.settle_exchange(connection);
        (taken, self.http(connection).and_then(Http::exchange).is_none())
    }

    /// The same for an exchange that its connection does not have yet, or not right now.
    pub(crate) fn feed_body(
        &mut self,
        connection: ConnectionKey,
        exchange: &mut Exchanging,
        bytes: &[u8],
    ) -> usize {
        let (taken, is_news) = exchange.input.feed(bytes, self.now_ms);
        if is_news {
            self.errands.extend(exchange.input.reader.take().map(Errand::Wake));
        }
        if let Stage::Failed(BodyError::Malformed(error)) = exchange.input.stage
            && is_news
        {
            tracing::debug!(%error, "an HTTP body was refused");
            self.metrics.http_errors.add(1);
        }
        if exchange.input.has_failed() {
            self.set_keep_alive(connection, false);
        }
        if !exchange.wants_input() {
            self.stop_receiving(connection);
        }
        taken
    }

    /// Reads from a body, or has the reader woken. Also whether the client was asked to send it.
    fn read_body(
        &mut self,
        key: ExchangeKey,
        context: &mut Context<'_>,
    ) -> (Poll<Result<Option<Bytes>, BodyError>>, bool) {
        let Some(exchange) = self.exchange(key) else {
            return (Poll::Ready(Err(BodyError::Gone)), false);
        };
        let had_failed = exchange.input.has_failed();
        let read = exchange.input.read();
        exchange.input.reader = match &read {
            Some(_) => None,
            None => Some(context.waker().clone()),
        };
        if matches!(read, Some(Err(_))) {
            if !had_failed {
                self.metrics.http_errors.add(1);
            }
            self.set_keep_alive(key.connection, false);
        }
        let is_asked_for = read.is_none() && self.ask_for_body(key.connection);
        self.settle_exchange(key.connection);
        (read.map_or(Poll::Pending, Poll::Ready), is_asked_for)
    }

    /// Tells a client that waits for it to send its body. True if it did.
    pub(crate) fn ask_for_body(&mut self, connection: ConnectionKey) -> bool {
        let Some(http) = self.http(connection) else { return false };
        let does = std::mem::take(&mut http.answer.expects_continue);
        if does && let Some(entry) = self.connections.get_mut(connection) {
            entry.outbox.write(&mut self.pool, |out| out.extend_from_slice(CONTINUE));
            self.mark_dirty(connection);
        }
        does
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(length: BodyLength) -> Input {
        let limits = HttpLimits { body_bytes_max: 10, ..HttpLimits::default() };
        Input::new(length, limits, 1_000).unwrap()
    }

    fn fed(length: BodyLength, bytes: &[u8]) -> Input {
        let mut input = input(length);
        assert_eq!(input.feed(bytes, 0).0, bytes.len());
        input
    }

    #[test]
    fn a_body_is_read_once_and_what_follows_is_not_its() {
        let mut input = input(BodyLength::Length(5));
        assert_eq!(input.read(), None);
        assert_eq!(input.feed(b"hel", 0), (3, true));
        assert_eq!(input.read(), Some(Ok(Some("hel".into()))));
        assert_eq!(input.read(), None);
        assert_eq!(input.feed(b"loGET", 0), (2, true));
        assert_eq!(input.feed(b"GET", 0), (0, false));
        assert_eq!(input.read(), Some(Ok(Some("lo".into()))));
        assert_eq!(input.read(), Some(Ok(None)));
        assert_eq!(input.read(), Some(Ok(None)));
    }

    #[test]
    fn the_limit_counts_all_pieces_and_may_be_raised_before_they_are_read() {
        let eleven = b"6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n";
        for (length, bytes) in
            [(BodyLength::Length(11), &b"hello world"[..]), (BodyLength::Chunked, eleven)]
        {
            let too_large = Some(Err(BodyError::TooLarge));
            assert_eq!(fed(length, bytes).read(), too_large);
            let mut raised = fed(length, bytes);
            raised.limit = 11;
            assert_eq!(raised.read(), Some(Ok(Some("hello world".into()))));
            assert_eq!(raised.read(), Some(Ok(None)));
        }
        let mut announced = input(BodyLength::Length(11));
        assert_eq!(announced.read(), Some(Err(BodyError::TooLarge)));
        assert_eq!(announced.feed(b"hello", 0), (5, false));
        assert_eq!(announced.read(), Some(Err(BodyError::TooLarge)));
    }

    #[test]
    fn the_client_is_held_back_while_much_waits() {
        let mut input = input(BodyLength::Length(10 * WAITING_BYTES_MAX as u64));
        input.limit = u64::MAX;
        assert!(input.wants_more());
        input.feed(&vec![0; WAITING_BYTES_MAX], 0);
        assert!(!input.wants_more());
        assert!(matches!(input.read(), Some(Ok(Some(_)))));
        assert!(input.wants_more());
    }

    #[test]
    fn what_nobody_reads_is_passed_over_up_to_a_bound() {
        let mut small = fed(BodyLength::Length(100_000), &[0; 50_000]);
        assert!(small.may_be_discarded());
        small.discard();
        assert_eq!(small.read(), Some(Err(BodyError::Gone)));
        assert_eq!(small.feed(&[0; 50_000], 0), (50_000, true));
        assert!(small.is_complete());
        assert!(!fed(BodyLength::Length(200_000), &[0; 50_000]).may_be_discarded());

        let mut endless = input(BodyLength::Chunked);
        endless.discard();
        let chunk = [b"1000\r\n", &[0; 0x1000][..], b"\r\n"].concat();
        let fed = (0..100).take_while(|_| {
            endless.feed(&chunk, 0);
            !endless.has_failed()
        });
        assert_eq!(fed.count(), 16);
    }

    /// Time runs while somebody waits for the client, and a stride of bytes renews it.
    #[test]
    fn only_the_clients_time_is_counted() {
        let mut input = input(BodyLength::Length(1_000_000));
        assert_eq!(input.deadline_ms(0), None);
        input.reader = Some(Waker::noop().clone());
        assert_eq!(input.deadline_ms(500), Some(1_500));
        assert_eq!(input.deadline_ms(900), Some(1_500));
        input.reader = None;
        assert_eq!(input.deadline_ms(1_100), None);
        input.reader = Some(Waker::noop().clone());
        assert_eq!(input.deadline_ms(9_000), Some(9_400), "600 of its 1,000 are used up");
        input.feed(&[0; 1_000], 9_100);
        assert_eq!(input.deadline_ms(9_100), Some(9_400), "a trickle buys nothing");
        input.feed(&[0; STRIDE_BYTES as usize], 9_200);
        assert_eq!(input.deadline_ms(9_200), Some(10_200));
        assert!(!input.ran_out_of_time(10_199));
        assert!(input.ran_out_of_time(10_200));
        assert_eq!(input.read(), Some(Err(BodyError::TimedOut)));
    }
}
