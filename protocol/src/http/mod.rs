//! HTTP/1.1, the server's side, as far as a Socket.IO server needs it (RFC 9110 and 9112), on `httparse`.
//!
//! Whatever two readers of a request could understand differently is refused: after an error the
//! connection must close.
//!
//! | file | what it owns |
//! |---|---|
//! | `head` | a request's line and headers, in any pieces |
//! | `framing` | what the headers say about the body and the connection |
//! | `host` | what may be a host |
//! | `body` | bodies by length and in chunks |
//! | `query` | the query string |
//! | `error` | what is refused, and the status for it |
//! | `cors` | cross-origin headers and preflights |
//! | `cookie` | the cookie that names a session |
//! | `negotiation` | `Accept-Encoding`, `If-None-Match` |
//! | `field` | what may be a header's name and value |
//! | `forwarded` | `X-Forwarded-For` |

mod body;
mod cookie;
mod cors;
mod error;
mod field;
mod forwarded;
mod framing;
mod head;
mod host;
mod negotiation;
mod query;

pub use body::BodyDecoder;
pub use cookie::{Cookie, CookieError, SameSite};
pub use cors::{Cors, Origins};
pub use error::{HttpError, reason};
pub use field::is_field;
pub use forwarded::forwarded_for;
pub use framing::BodyLength;
pub use head::{Head, HeadParser, Method};
pub use negotiation::{Encoding, accepted_encoding, is_not_modified, preferred_encoding};
pub use query::Query;

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
