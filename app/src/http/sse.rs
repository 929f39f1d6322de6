//! Server-sent events (the HTML standard, section 9.2): an answer without an end.

use std::fmt::{self, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::header::{self, HeaderValue};
use bytes::Bytes;
use flume::Sender;
use futures_core::Stream;
use serde::Serialize;

use super::Response;
use super::body::Body;
use super::failure::Failure;
use super::into_response::IntoResponse;

/// Events that may wait for the client, for [`Sse::channel`].
const WAITING_MAX: usize = 64;
/// How often something is sent to a client that has nothing to hear, so that nobody between takes the
/// connection for dead.
const PULSE_EVERY: Duration = Duration::from_secs(15);

/// An answer of server-sent events, from a stream or from whoever has the sending end.
///
/// It lasts until the events end, the client goes, or the server shuts down; a browser's `EventSource` then
/// connects again and names the last event it got (header `Last-Event-ID`).
///
/// ```
/// use std::time::Duration;
/// use yamabiko::{App, Core, Sse, SseEvent};
///
/// fn app(core: Core) -> App {
///     App::new().get("/clock", async move |_| {
///         let (events, answer) = Sse::channel();
///         let clock = core.clone();
///         core.spawn(async move {
///             for second in 0_u32.. {
///                 if events.send(SseEvent::data(second.to_string())).await.is_err() {
///                     break; // the client is gone
///                 }
///                 clock.sleep(Duration::from_secs(1)).await;
///             }
///         });
///         answer
///     })
/// }
/// ```
pub struct Sse {
    events: Pin<Box<dyn Stream<Item = SseEvent>>>,
    pulse_every: Duration,
}

/// The sending end of [`Sse::channel`]. Clones send to the same client, from any thread.
#[derive(Debug, Clone)]
pub struct SseSender(Sender<SseEvent>);

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent(String);

/// The client does not hear any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unheard;

impl Sse {
    /// Answers with the events of a stream. It is dropped when the client goes.
    pub fn new(events: impl Stream<Item = SseEvent> + 'static) -> Self {
        Self { events: Box::pin(events), pulse_every: PULSE_EVERY }
    }

    /// Answers with what is sent, at any later time.
    pub fn channel() -> (SseSender, Self) {
        let (sender, receiver) = flume::bounded(WAITING_MAX);
        (SseSender(sender), Self::new(Received(receiver.into_stream())))
    }

    /// How long there may be silence before an empty comment is sent; 15 seconds by default.
    pub fn pulse_every(mut self, time: Duration) -> Self {
        self.pulse_every = time;
        self
    }
}

impl SseSender {
    /// Sends an event; waits while many wait for the client already.
    ///
    /// # Errors
    /// The client does not hear any more.
    pub async fn send(&self, event: SseEvent) -> Result<(), Unheard> {
        self.0.send_async(event).await.map_err(|_| Unheard)
    }

    /// Sends an event unless many wait for the client already; whether it did.
    ///
    /// # Errors
    /// The client does not hear any more.
    pub fn try_send(&self, event: SseEvent) -> Result<bool, Unheard> {
        match self.0.try_send(event) {
            Ok(()) => Ok(true),
            Err(flume::TrySendError::Full(_)) => Ok(false),
            Err(flume::TrySendError::Disconnected(_)) => Err(Unheard),
        }
    }

    /// Whether the client does not hear any more.
    pub fn is_unheard(&self) -> bool {
        self.0.is_disconnected()
    }
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client does not hear any more")
    }
}

impl std::error::Error for Unheard {}

impl SseEvent {
    /// An event without anything in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// An event with text, which may have several lines.
    pub fn data(text: impl AsRef<str>) -> Self {
        let mut event = Self::new();
        let text = text.as_ref().replace("\r\n", "\n").replace('\r', "\n");
        text.split('\n').for_each(|line| event.line("data", line));
        event
    }

    /// An event with a value as JSON.
    ///
    /// # Errors
    /// The value cannot be JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(Self::data)
    }

    /// Gives it a name, under which the client listens; else it is `message`. Line ends and what follows
    /// them are left out.
    pub fn event(mut self, name: &str) -> Self {
        self.line("event", first_line(name));
        self
    }

    /// Gives it an id, which a client that connects again names. Line ends and what follows them are left
    /// out; an id with a NUL is none.
    pub fn id(mut self, id: &str) -> Self {
        if !id.contains('\0') {
            self.line("id", first_line(id));
        }
        self
    }

    /// Tells the client to wait so long before it connects again.
    pub fn retry(mut self, time: Duration) -> Self {
        self.line("retry", &time.as_millis().to_string());
        self
    }

    fn line(&mut self, field: &str, value: &str) {
        let _ = writeln!(self.0, "{field}: {value}");
    }

    fn into_bytes(mut self) -> Bytes {
        self.0.push('\n');
        self.0.into()
    }
}

fn first_line(text: &str) -> &str {
    text.split(['\r', '\n']).next().unwrap_or("")
}

impl IntoResponse for Sse {
    fn into_response(self) -> Result<Response, Failure> {
        let pulse = (self.pulse_every, Bytes::from_static(b":\n\n"));
        let mut response = Response::new(Body::endless(Box::pin(Written(self.events)), pulse));
        for (name, value) in [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-cache"),
            // Else nginx keeps events until there are many.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }
}

/// Events as bytes.
struct Written(Pin<Box<dyn Stream<Item = SseEvent>>>);

impl Stream for Written {
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        self.0.as_mut().poll_next(context).map(|event| event.map(|event| Ok(event.into_bytes())))
    }
}

/// Events of a channel.
struct Received(flume::r#async::RecvStream<'static, SseEvent>);

impl Stream for Received {
    type Item = SseEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SseEvent>> {
        Pin::new(&mut self.0).poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{Iter, now};

    fn written(event: SseEvent) -> String {
        String::from_utf8(event.into_bytes().to_vec()).unwrap()
    }

    #[test]
    fn events_are_lines_and_nothing_in_them_makes_another() {
        assert_eq!(written(SseEvent::data("a")), "data: a\n\n");
        assert_eq!(
            written(SseEvent::data("a\nb\r\nc\rd")),
            "data: a\ndata: b\ndata: c\ndata: d\n\n"
        );
        assert_eq!(written(SseEvent::data("")), "data: \n\n");
        let event = SseEvent::data("x").event("tick\ndata: y").id("7\r8").id("9\0");
        assert_eq!(written(event), "data: x\nevent: tick\nid: 7\n\n");
        let event = SseEvent::json(&[1, 2]).unwrap().retry(Duration::from_secs(2));
        assert_eq!(written(event), "data: [1,2]\nretry: 2000\n\n");
    }

    #[test]
    fn a_stream_of_events_is_a_body_of_unknown_length() {
        let events = Iter::of([SseEvent::data("a"), SseEvent::data("b")]);
        let mut response = Sse::new(events).into_response().unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.body().length(), None);
        assert_eq!(now(response.body_mut().bytes()).unwrap(), "data: a\n\ndata: b\n\n");
    }

    #[test]
    fn a_sender_learns_when_nobody_hears() {
        let (sender, sse) = Sse::channel();
        assert_eq!(sender.try_send(SseEvent::new()), Ok(true));
        for _ in 1..WAITING_MAX {
            now(sender.send(SseEvent::new())).unwrap();
        }
        assert_eq!(sender.try_send(SseEvent::new()), Ok(false));
        assert!(!sender.is_unheard());
        drop(sse);
        assert!(sender.is_unheard());
        assert_eq!(now(sender.send(SseEvent::new())), Err(Unheard));
    }
}
