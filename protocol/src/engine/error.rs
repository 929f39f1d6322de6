//! Error codes, and the two forms in which a client meets them.
//!
//! Over HTTP: status 400 (403 for [`ErrorCode::Forbidden`]) and a JSON body with a numeric code. In
//! answer to a WebSocket upgrade: always a raw 400 with the bare message as HTML, then the connection
//! is closed.

use std::borrow::Cow;
use std::io::Write as _;

use serde::Serialize;

use super::response::Response;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ErrorCode {
    /// The transport is not enabled, or no transport at all. The client's fault.
    UnknownTransport = 0,
    /// No such session; it may have ended. The client's cue to start anew.
    UnknownSid = 1,
    /// A session can only start with GET. The client's fault.
    BadHandshakeMethod = 2,
    /// Everything else that is wrong with a request. The client's fault, or that of a hook.
    BadRequest = 3,
    /// The application's hook said no.
    Forbidden = 4,
    /// The revision is not accepted here.
    UnsupportedProtocolVersion = 5,
}

impl ErrorCode {
    /// The code as a number.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Node's message for the code.
    pub fn message(self) -> &'static str {
        match self {
            Self::UnknownTransport => "Transport unknown",
            Self::UnknownSid => "Session ID unknown",
            Self::BadHandshakeMethod => "Bad handshake method",
            Self::BadRequest => "Bad request",
            Self::Forbidden => "Forbidden",
            Self::UnsupportedProtocolVersion => "Unsupported protocol version",
        }
    }

    /// Status of the HTTP form.
    pub fn status(self) -> u16 {
        if self == Self::Forbidden { 403 } else { 400 }
    }

    /// The HTTP form with Node's message.
    pub fn response(self) -> Response {
        self.response_with(self.message())
    }

    /// The HTTP form with a message of the application's (the hook that forbids may give one).
    pub fn response_with(self, message: &str) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: u8,
            message: &'a str,
        }
        let body = serde_json::to_vec(&Body { code: self.number(), message })
            .expect("a number and a string are always JSON");
        Response {
            status: self.status(),
            content_type: Some("application/json"),
            body: Cow::Owned(body),
            compress: false,
        }
    }
}

/// Appends the complete answer to a refused WebSocket upgrade; the caller then closes the connection.
pub fn write_upgrade_refusal(message: &str, out: &mut Vec<u8>) {
    write!(
        out,
        "HTTP/1.1 400 Bad Request\r\n\
         Connection: close\r\n\
         Content-type: text/html\r\n\
         Content-Length: {}\r\n\
         \r\n\
         {message}",
        message.len(),
    )
    .expect("writing to a Vec cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_status_and_body() {
        use ErrorCode::*;
        for (code, status, body) in [
            (UnknownTransport, 400, r#"{"code":0,"message":"Transport unknown"}"#),
            (UnknownSid, 400, r#"{"code":1,"message":"Session ID unknown"}"#),
            (BadHandshakeMethod, 400, r#"{"code":2,"message":"Bad handshake method"}"#),
            (BadRequest, 400, r#"{"code":3,"message":"Bad request"}"#),
            (Forbidden, 403, r#"{"code":4,"message":"Forbidden"}"#),
            (
                UnsupportedProtocolVersion,
                400,
                r#"{"code":5,"message":"Unsupported protocol version"}"#,
            ),
        ] {
            let response = code.response();
            assert_eq!(response.status, status);
            assert_eq!(response.content_type, Some("application/json"));
            assert_eq!(String::from_utf8_lossy(&response.body), body);
        }
    }

    #[test]
    fn a_message_of_the_application_is_escaped_in_json_and_bare_on_upgrades() {
        let response = ErrorCode::Forbidden.response_with("no \"entry\"");
        assert_eq!(&response.body[..], br#"{"code":4,"message":"no \"entry\""}"#);
        let mut out = Vec::new();
        write_upgrade_refusal("é!", &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-type: text/html\r\n\
             Content-Length: 3\r\n\r\né!"
        );
    }
}
