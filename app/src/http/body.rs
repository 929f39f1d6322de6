//! The body of a request or a response: nothing, bytes, or pieces that come one by one.
//!
//! It owns how bodies are read and made; how they travel is the business of `answering` and of the runtime.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use yamabiko_protocol::http::BodyLength;
use yamabiko_runtime::{Client, RequestBody};

use super::failure::Failure;

/// A body. A request's comes from the client and is read at most once; a response's is sent as fast as the
/// client takes it.
///
/// ```
/// use yamabiko::Body;
///
/// let all_at_once = Body::from("hello");
/// let nothing = Body::empty();
/// # assert_eq!(all_at_once.length(), Some(5));
/// # assert_eq!(nothing.length(), Some(0));
/// ```
#[derive(Default)]
pub struct Body {
    content: Content,
    /// Of a request: who sent it.
    client: Option<Client>,
}

#[derive(Default)]
enum Content {
    #[default]
    Nothing,
    Whole(Bytes),
    /// On its way from the client.
    Incoming(RequestBody),
    Pieces(Pieces),
}

/// Pieces of a body, one after the other.
pub(crate) type PieceStream = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>>>>;

/// A body that is made while it is sent.
pub(crate) struct Pieces {
    pub(crate) stream: PieceStream,
    /// How many bytes there will be, if that is known.
    pub(crate) length: Option<u64>,
    /// What is sent when nothing else was for so long.
    pub(crate) pulse: Option<(Duration, Bytes)>,
    /// It has no end of its own, so the server's shutdown ends it.
    pub(crate) is_endless: bool,
}

/// How a response's body is sent.
pub(crate) enum Sending {
    Whole(Bytes),
    Pieces(Pieces),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A body whose pieces are made while it is sent, and only as fast as the client takes them. When the
    /// client is gone the stream is dropped. An error breaks the answer off, so that the client does not
    /// take it for complete.
    pub fn from_stream<S, T, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<T, E>> + 'static,
        T: Into<Bytes>,
        E: Into<Failure>,
    {
        Self::of_pieces(Box::pin(Converted(Box::pin(stream))), None)
    }

    pub(crate) fn of_pieces(stream: PieceStream, length: Option<u64>) -> Self {
        let pieces = Pieces { stream, length, pulse: None, is_endless: false };
        Self { content: Content::Pieces(pieces), client: None }
    }

    /// Pieces without an end, and what is sent when none came for so long.
    pub(crate) fn endless(stream: PieceStream, pulse: (Duration, Bytes)) -> Self {
        let pieces = Pieces { stream, length: None, pulse: Some(pulse), is_endless: true };
        Self { content: Content::Pieces(pieces), client: None }
    }

    pub(crate) fn incoming(body: RequestBody, client: Client) -> Self {
        let content = match body.length() {
            BodyLength::None | BodyLength::Length(0) => Content::Nothing,
            _ => Content::Incoming(body),
        };
        Self { content, client: Some(client) }
    }

    /// How many bytes there are or will be, if that is known.
    pub fn length(&self) -> Option<u64> {
        match &self.content {
            Content::Nothing => Some(0),
            Content::Whole(bytes) => Some(bytes.len() as u64),
            Content::Incoming(body) => match body.length() {
                BodyLength::None => Some(0),
                BodyLength::Length(length) => Some(length),
                BodyLength::Chunked => None,
            },
            Content::Pieces(pieces) => pieces.length,
        }
    }

    /// Allows a request's body so many bytes in all, instead of the option `max-http-buffer-size`. Beyond
    /// it reading fails with 413. Other bodies have no limit.
    pub fn set_limit(&mut self, bytes: u64) {
        if let Content::Incoming(body) = &mut self.content {
            body.set_limit(bytes);
        }
    }

    /// Who sent the request. `None` for a body that was not a request's.
    pub fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The next piece; `None` at the end. The client is held back while nobody asks.
    ///
    /// # Errors
    /// The client broke HTTP (400), a limit (413), or its time (408), or it went away.
    pub async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        poll_fn(|context| self.poll_piece(context)).await
    }

    /// All of it, in one piece.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub async fn bytes(&mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.next().await else { return Ok(Bytes::new()) };
        let first = first?;
        let Some(second) = self.next().await else { return Ok(first) };
        let mut all = BytesMut::from(&first[..]);
        all.extend_from_slice(&second?);
        while let Some(piece) = self.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all.freeze())
    }

    pub(crate) fn is_endless(&self) -> bool {
        matches!(&self.content, Content::Pieces(pieces) if pieces.is_endless)
    }

    /// Takes the content out; what is left is empty, but still knows the client.
    pub(crate) fn take(&mut self) -> Self {
        Self { content: std::mem::take(&mut self.content), client: self.client.clone() }
    }

    /// A body without content that knows the same client.
    pub(crate) fn hollow(&self) -> Self {
        Self { content: Content::Nothing, client: self.client.clone() }
    }

    pub(crate) fn into_sending(self) -> Sending {
        let length = self.length();
        match self.content {
            Content::Nothing => Sending::Whole(Bytes::new()),
            Content::Whole(bytes) => Sending::Whole(bytes),
            Content::Pieces(pieces) => Sending::Pieces(pieces),
            content @ Content::Incoming(_) => {
                let stream = Box::pin(Self { content, client: None });
                Sending::Pieces(Pieces { stream, length, pulse: None, is_endless: false })
            }
        }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Failure>>> {
        match &mut self.content {
            Content::Nothing => Poll::Ready(None),
            Content::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.content = Content::Nothing;
                Poll::Ready(Some(Ok(bytes)).filter(|it| it.as_ref().is_ok_and(|it| !it.is_empty())))
            }
            Content::Incoming(body) => {
                body.poll_next(context).map(|read| read.map_err(Failure::from).transpose())
            }
            Content::Pieces(pieces) => pieces.stream.as_mut().poll_next(context),
        }
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        self.poll_piece(context)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(of unknown length)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let content = match bytes.is_empty() {
            true => Content::Nothing,
            false => Content::Whole(bytes),
        };
        Self { content, client: None }
    }
}

macro_rules! body_from {
    ($($bytes:ty),* $(,)?) => {
        $(impl From<$bytes> for Body {
            fn from(bytes: $bytes) -> Self {
                Self::from(Bytes::from(bytes))
            }
        })*
    };
}

body_from!(&'static str, &'static [u8], String, Vec<u8>);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

/// Pieces and errors of any kind as ours.
struct Converted<S>(Pin<Box<S>>);

impl<S, T, E> Stream for Converted<S>
where
    S: Stream<Item = Result<T, E>>,
    T: Into<Bytes>,
    E: Into<Failure>,
{
    type Item = Result<Bytes, Failure>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Failure>>> {
        let converted = |piece: Result<T, E>| piece.map(Into::into).map_err(Into::into);
        self.0.as_mut().poll_next(context).map(|piece| piece.map(converted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::{Iter, now};

    #[test]
    fn bytes_are_read_once() {
        let mut body = Body::from("hello");
        assert_eq!(body.length(), Some(5));
        assert_eq!(now(body.bytes()).unwrap(), "hello");
        assert_eq!(now(body.bytes()).unwrap(), "");
        assert_eq!(Body::from("").length(), Some(0));
    }

    #[test]
    fn pieces_are_put_together_and_an_error_ends_them() {
        let pieces = |third: Result<&'static str, std::io::Error>| {
            Body::from_stream(Iter::of([Ok("a"), Ok(""), third, Ok("d")]))
        };
        assert_eq!(pieces(Ok("c")).length(), None);
        assert_eq!(now(pieces(Ok("c")).bytes()).unwrap(), "acd");
        assert_eq!(
            now(pieces(Err(std::io::Error::other("no"))).bytes()).unwrap_err().status(),
            500
        );
    }
}
