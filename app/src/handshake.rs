//! What is known of a client since its handshake.

use std::net::SocketAddr;

use serde::de::DeserializeOwned;
use yamabiko_protocol::http::Head;

/// What is known of a client since its handshake: Socket.IO's `socket.handshake`.
#[derive(Debug, Clone)]
pub struct Handshake(yamabiko_runtime::Handshake);

impl Handshake {
    pub(crate) fn new(inner: yamabiko_runtime::Handshake) -> Self {
        Self(inner)
    }

    /// The peer's address, of the connection that the session began with: `socket.conn.remoteAddress`.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// When the session began, in milliseconds since 1970.
    pub fn issued(&self) -> u64 {
        self.0.issued_ms
    }

    /// The Engine.IO revision, 3 or 4: `socket.conn.protocol`.
    pub fn revision(&self) -> u8 {
        self.0.revision
    }

    /// What the client sent as `auth` (an empty object if it sent nothing, as in Node), or `None` if that
    /// is no `T`. Clients of revision 3 send it in the query string of the namespace, so its members are
    /// strings.
    pub fn auth<T: DeserializeOwned>(&self) -> Option<T> {
        read_auth(self.0.auth.as_deref())
    }

    /// The request's target: path and query.
    pub fn url(&self) -> Option<String> {
        Some(self.head()?.target().into())
    }

    /// A header of the handshake's request; its name in any case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.head()?.header(name).map(String::from)
    }

    /// All headers of the handshake's request, in order, as the client wrote them:
    /// `socket.conn.request.headers`.
    pub fn headers(&self) -> Vec<(String, String)> {
        let Some(head) = self.head() else { return Vec::new() };
        head.headers().map(|(name, value)| (name.into(), value.into())).collect()
    }

    /// A parameter of the handshake's query string, decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.head()?.query().get(name).map(Into::into)
    }

    /// Whether the client is a browser's page from another origin, or from anywhere: it named its `Origin`.
    pub fn xdomain(&self) -> bool {
        self.header("origin").is_some()
    }

    fn head(&self) -> Option<Head<'_>> {
        Head::reparse(&self.0.head)
    }
}

/// Nothing is an empty object.
fn read_auth<T: DeserializeOwned>(auth: Option<&str>) -> Option<T> {
    serde_json::from_str(auth.unwrap_or("{}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_that_was_not_sent_is_an_empty_object() {
        let read = |auth| read_auth::<serde_json::Value>(auth).unwrap().to_string();
        assert_eq!(read(Some(r#"{"token":1}"#)), r#"{"token":1}"#);
        assert_eq!(read(None), "{}");
    }

    #[test]
    fn auth_of_another_type_is_none() {
        #[derive(serde::Deserialize)]
        struct Token {
            token: String,
        }
        let token = |auth| read_auth::<Token>(auth).map(|auth| auth.token);
        assert_eq!(token(Some(r#"{"token":"secret","more":1}"#)).as_deref(), Some("secret"));
        assert_eq!(token(Some(r#"{"token":1}"#)), None);
        assert_eq!(token(None), None);
    }
}
