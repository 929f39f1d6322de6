//! What a client said.

use std::borrow::Cow;

use super::CloseCode;

/// A whole message or control frame from the client.
///
/// Borrowed from the input where it arrived in one frame and one piece; otherwise owned, so that the
/// decoder keeps nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text message.
    Text(Cow<'a, str>),
    /// A binary message.
    Binary(Cow<'a, [u8]>),
    /// A ping: to be answered by a pong with exactly this payload, at most 125 bytes.
    Ping(Cow<'a, [u8]>),
    /// A pong, asked for or not.
    Pong(Cow<'a, [u8]>),
    /// A close frame, with its code and reason if it had any. The last event of a connection.
    Close(Option<(CloseCode, Cow<'a, str>)>),
}

impl Event<'_> {
    /// The same event, independent of the input.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
            Self::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
            Self::Ping(bytes) => Event::Ping(Cow::Owned(bytes.into_owned())),
            Self::Pong(bytes) => Event::Pong(Cow::Owned(bytes.into_owned())),
            Self::Close(None) => Event::Close(None),
            Self::Close(Some((code, reason))) => {
                Event::Close(Some((code, Cow::Owned(reason.into_owned()))))
            }
        }
    }
}
