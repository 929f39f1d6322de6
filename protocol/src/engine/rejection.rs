//! Why a request was refused, for the client and for the operator.

use super::error::{self, ErrorCode};
use super::response::Response;
use super::revision::Revision;
use super::transport::Transport;

/// A refusal, with what an operator may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection<'a> {
    /// The code that the client is told.
    pub code: ErrorCode,
    /// What was wrong.
    pub context: Context<'a>,
}

/// What was wrong, for the server's own `connection_error` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context<'a> {
    /// Code 0: the transport that was asked for.
    Transport(Option<&'a str>),
    /// Code 1: the session id that nobody knows.
    Sid(&'a str),
    /// Code 2: the method.
    Method(&'a str),
    /// Code 3: the `Origin` header has a character that no header may have.
    InvalidOrigin(&'a [u8]),
    /// Code 3: the session is on another transport.
    TransportMismatch {
        /// What was asked for.
        transport: Transport,
        /// What the session is on.
        previous: Transport,
    },
    /// Code 3: the session speaks another revision.
    ProtocolMismatch {
        /// What was asked for.
        revision: Revision,
        /// What the session speaks.
        previous: Revision,
    },
    /// Code 3: WebSocket without an upgrade.
    TransportHandshake,
    /// Code 3: a middleware failed.
    Middleware,
    /// Code 3: no id could be made.
    IdGeneration,
    /// Code 4: the message of the application's hook, if it gave one.
    Forbidden(Option<&'a str>),
    /// Code 5: the revision.
    Protocol(Revision),
}

impl<'a> From<Context<'a>> for Rejection<'a> {
    fn from(context: Context<'a>) -> Self {
        let code = match context {
            Context::Transport(_) => ErrorCode::UnknownTransport,
            Context::Sid(_) => ErrorCode::UnknownSid,
            Context::Method(_) => ErrorCode::BadHandshakeMethod,
            Context::InvalidOrigin(_)
            | Context::TransportMismatch { .. }
            | Context::ProtocolMismatch { .. }
            | Context::TransportHandshake
            | Context::Middleware
            | Context::IdGeneration => ErrorCode::BadRequest,
            Context::Forbidden(_) => ErrorCode::Forbidden,
            Context::Protocol(_) => ErrorCode::UnsupportedProtocolVersion,
        };
        Self { code, context }
    }
}

impl Rejection<'_> {
    /// What the client is told: Node's message for the code, or the hook's own (unless empty).
    pub fn message(&self) -> &str {
        match self.context {
            Context::Forbidden(Some(message)) if !message.is_empty() => message,
            _ => self.code.message(),
        }
    }

    /// The answer to a plain request.
    pub fn response(&self) -> Response {
        self.code.response_with(self.message())
    }

    /// Appends the reference's answer to an upgrade, which says 400 whatever the code. A server may rather give
    /// [`Self::response`], as ours does for [`Context::Forbidden`].
    pub fn write_upgrade_refusal(&self, out: &mut Vec<u8>) {
        error::write_upgrade_refusal(self.message(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applications_message_replaces_nodes() {
        let custom = Rejection::from(Context::Forbidden(Some("no entry")));
        assert_eq!(custom.response().status, 403);
        assert_eq!(&custom.response().body[..], br#"{"code":4,"message":"no entry"}"#);
        let mut out = Vec::new();
        custom.write_upgrade_refusal(&mut out);
        assert!(out.starts_with(b"HTTP/1.1 400 ") && out.ends_with(b"\r\n\r\nno entry"));
        for message in [None, Some("")] {
            assert_eq!(Rejection::from(Context::Forbidden(message)).message(), "Forbidden");
        }
    }
}
