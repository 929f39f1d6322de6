//! Whether a request may start or join a session.
//!
//! The checks are pure and run in the reference's order, because which of two faults is reported is
//! visible to clients. Two steps of the order belong to the application and stand between them:
//! middlewares run before [`verify`]; the hook that may forbid a handshake runs after it and before
//! [`Handshake::admit`]. Both refuse with a [`Rejection`] too.

use super::jsonp::JsonpIndex;
use super::rejection::{Context, Rejection};
use super::revision::Revision;
use super::transport::{Transport, Transports};

/// What the checks read of a request. A query parameter that occurs more than once counts as absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The method, as sent.
    pub method: &'a str,
    /// Query parameter `transport`.
    pub transport: Option<&'a str>,
    /// Query parameter `EIO`.
    pub eio: Option<&'a str>,
    /// Query parameter `sid`; an empty one counts as absent.
    pub sid: Option<&'a str>,
    /// Query parameter `b64`; an empty one counts as absent.
    pub b64: Option<&'a str>,
    /// Query parameter `j`, which makes polling JSONP; an empty one counts.
    pub j: Option<&'a str>,
    /// Whether this is a WebSocket upgrade.
    pub is_upgrade: bool,
    /// Header `Origin`.
    pub origin: Option<&'a [u8]>,
}

/// What must be known of the session that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionFacts {
    /// Its revision.
    pub revision: Revision,
    /// Its transport at this moment; polling until an upgrade is complete.
    pub transport: Transport,
}

/// What to do with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start a session, if the application's hook and the revision allow it.
    NewSession(Handshake),
    /// Hand it to the session.
    Existing(Existing),
    /// A WebSocket that asks for polling: complete the upgrade and close it at once, as the reference
    /// does. No session is touched.
    AcceptThenClose,
}

/// A request to an existing session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// GET: a poll.
    Poll,
    /// POST: packets.
    Post,
    /// Any other method: [`Response::method_unsupported`](super::response::Response::method_unsupported).
    Other,
    /// A WebSocket that wants to take over.
    Upgrade {
        /// Whether it asked for base64 instead of binary frames.
        b64: bool,
    },
}

/// A request to start a session that has passed every check but the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake(Opening);

/// How a session starts: what its first request decided for all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Its revision.
    pub revision: Revision,
    /// Its first transport.
    pub transport: Transport,
    /// Whether binary must travel as base64.
    pub b64: bool,
    /// Whether polling is JSONP, and the page's callback.
    pub jsonp: Option<JsonpIndex>,
}

/// Checks a request. `session` tells about the session of an id; it is asked at most once.
///
/// # Errors
/// [`Rejection`]: the client's fault; answer with [`Rejection::response`], or
/// [`Rejection::write_upgrade_refusal`] where the request was an upgrade.
pub fn verify<'a>(
    request: &Request<'a>,
    transports: Transports,
    session: impl FnOnce(&str) -> Option<SessionFacts>,
) -> Result<Verdict, Rejection<'a>> {
    let Some(transport) = request.transport.and_then(|name| transports.enabled(name)) else {
        return Err(Context::Transport(request.transport).into());
    };
    if let Some(origin) = request.origin.filter(|origin| !is_header_value(origin)) {
        return Err(Context::InvalidOrigin(origin).into());
    }
    let b64 = request.b64.is_some_and(|b64| !b64.is_empty());
    let revision = Revision::from_query(request.eio);
    match request.sid.filter(|sid| !sid.is_empty()) {
        Some(sid) => {
            let facts = session(sid).ok_or(Context::Sid(sid))?;
            join(request, transport, revision, b64, facts)
        }
        None if request.method != "GET" => Err(Context::Method(request.method).into()),
        None => match (transport, request.is_upgrade) {
            (Transport::WebSocket, false) => Err(Context::TransportHandshake.into()),
            (Transport::Polling, true) => Ok(Verdict::AcceptThenClose),
            _ => {
                let is_jsonp = transport == Transport::Polling;
                let jsonp = request.j.filter(|_| is_jsonp).map(JsonpIndex::from_query);
                Ok(Verdict::NewSession(Handshake(Opening { revision, transport, b64, jsonp })))
            }
        },
    }
}

/// Checks a request to an existing session.
fn join<'a>(
    request: &Request<'a>,
    transport: Transport,
    revision: Revision,
    b64: bool,
    facts: SessionFacts,
) -> Result<Verdict, Rejection<'a>> {
    if !request.is_upgrade && transport != facts.transport {
        let previous = facts.transport;
        return Err(Context::TransportMismatch { transport, previous }.into());
    }
    if revision != facts.revision {
        return Err(Context::ProtocolMismatch { revision, previous: facts.revision }.into());
    }
    match (transport, request.is_upgrade) {
        (Transport::WebSocket, true) => Ok(Verdict::Existing(Existing::Upgrade { b64 })),
        (Transport::Polling, true) => Ok(Verdict::AcceptThenClose),
        // The reference never answers this one.
        (Transport::WebSocket, false) => Err(Context::TransportHandshake.into()),
        (Transport::Polling, false) => Ok(Verdict::Existing(match request.method {
            "GET" => Existing::Poll,
            "POST" => Existing::Post,
            _ => Existing::Other,
        })),
    }
}

impl Handshake {
    /// The transport that was asked for.
    pub fn transport(&self) -> Transport {
        self.0.transport
    }

    /// The last check: whether the server accepts the revision.
    ///
    /// # Errors
    /// Code 5 if it is 3 and `allow_eio3` is off.
    pub fn admit(self, allow_eio3: bool) -> Result<Opening, Rejection<'static>> {
        if self.0.revision == Revision::V3 && !allow_eio3 {
            return Err(Context::Protocol(self.0.revision).into());
        }
        Ok(self.0)
    }
}

/// Whether bytes may be a header's value (RFC 9110 section 5.5): no control characters but the tab.
fn is_header_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::error::ErrorCode;

    const POLL: Request<'_> = Request {
        method: "GET",
        transport: Some("polling"),
        eio: Some("4"),
        sid: None,
        b64: None,
        j: None,
        is_upgrade: false,
        origin: None,
    };
    const UPGRADE: Request<'_> = Request { transport: Some("websocket"), is_upgrade: true, ..POLL };
    const SID: Option<&str> = Some("fsUa2hpngZvtLS5GAAAA");

    fn nobody(_: &str) -> Option<SessionFacts> {
        None
    }

    fn known(transport: Transport) -> impl FnOnce(&str) -> Option<SessionFacts> {
        move |sid| (Some(sid) == SID).then_some(SessionFacts { revision: Revision::V4, transport })
    }

    fn code(request: &Request<'_>, facts: Option<SessionFacts>) -> Option<u8> {
        verify(request, Transports::default(), |_| facts).err().map(|r| r.code.number())
    }

    fn opening(request: &Request<'_>) -> Opening {
        match verify(request, Transports::default(), nobody) {
            Ok(Verdict::NewSession(handshake)) => handshake.admit(true).expect("admitted"),
            other => panic!("no new session: {other:?}"),
        }
    }

    #[test]
    fn a_get_without_sid_starts_a_session() {
        let expected = Opening {
            revision: Revision::V4,
            transport: Transport::Polling,
            b64: false,
            jsonp: None,
        };
        assert_eq!(opening(&POLL), expected);
        assert_eq!(opening(&Request { sid: Some(""), b64: Some(""), ..POLL }), expected);
        let websocket = Opening { transport: Transport::WebSocket, ..expected };
        assert_eq!(opening(&UPGRADE), websocket);
        assert_eq!(opening(&Request { j: Some("0"), ..UPGRADE }), websocket);
    }

    #[test]
    fn the_first_request_decides_base64_and_jsonp() {
        assert!(opening(&Request { b64: Some("1"), ..POLL }).b64);
        assert!(opening(&Request { b64: Some("0"), ..POLL }).b64);
        let jsonp = opening(&Request { j: Some("3"), ..POLL }).jsonp;
        assert_eq!(jsonp, Some(JsonpIndex::from_query("3")));
        assert!(opening(&Request { j: Some(""), ..POLL }).jsonp.is_some());
    }

    /// CVE-2023-31125: an odd `transport` killed the process.
    #[test]
    fn cve_2023_31125_odd_transports_are_unknown() {
        let odd =
            ["constructor", "__proto__", "toString", "", "webtransport", "POLLING", "polling "];
        for is_upgrade in [false, true] {
            for sid in [None, SID] {
                let request = Request { sid, is_upgrade, ..POLL };
                for transport in odd.map(Some).into_iter().chain([None]) {
                    let request = Request { transport, ..request };
                    let verdict =
                        verify(&request, Transports::default(), known(Transport::Polling));
                    let rejection = verdict.expect_err("an unknown transport");
                    assert_eq!(rejection.code, ErrorCode::UnknownTransport, "{transport:?}");
                    assert_eq!(rejection.context, Context::Transport(transport));
                }
            }
        }
    }

    #[test]
    fn cve_2023_31125_polling_on_a_websocket_is_accepted_and_closed() {
        for sid in [None, SID] {
            let request = Request { is_upgrade: true, sid, ..POLL };
            let verdict = verify(&request, Transports::default(), known(Transport::Polling));
            assert_eq!(verdict, Ok(Verdict::AcceptThenClose));
        }
    }

    #[test]
    fn a_disabled_transport_is_unknown() {
        let transports = Transports { polling: false, websocket: true };
        let rejection = verify(&POLL, transports, nobody).expect_err("disabled");
        assert_eq!(rejection.code, ErrorCode::UnknownTransport);
        assert!(verify(&UPGRADE, transports, nobody).is_ok());
    }

    #[test]
    fn the_checks_come_in_the_references_order() {
        let facts = SessionFacts { revision: Revision::V4, transport: Transport::WebSocket };
        // Everything is wrong at first; each step puts one thing right.
        let mut request = Request {
            method: "PUT",
            transport: Some("x"),
            eio: Some("3"),
            sid: SID,
            origin: Some(b"a\n"),
            ..POLL
        };
        assert_eq!(code(&request, None), Some(0));
        request.transport = Some("polling");
        assert_eq!(code(&request, None), Some(3));
        request.origin = Some(b"http://a");
        assert_eq!(code(&request, None), Some(1));
        let rejection = |request: &Request<'static>| {
            verify(request, Transports::default(), |_| Some(facts)).expect_err("wrong").context
        };
        assert_eq!(
            rejection(&request),
            Context::TransportMismatch {
                transport: Transport::Polling,
                previous: Transport::WebSocket,
            }
        );
        request.transport = Some("websocket");
        assert_eq!(
            rejection(&request),
            Context::ProtocolMismatch { revision: Revision::V3, previous: Revision::V4 }
        );
        request.eio = Some("4");
        assert_eq!(rejection(&request), Context::TransportHandshake);
        request.sid = None;
        assert_eq!(rejection(&request), Context::Method("PUT"));
        request.method = "GET";
        assert_eq!(rejection(&request), Context::TransportHandshake);
        request.is_upgrade = true;
        assert_eq!(code(&request, None), None);
    }

    #[test]
    fn only_get_starts_a_session() {
        for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "get", ""] {
            assert_eq!(code(&Request { method, ..POLL }, None), Some(2), "{method}");
        }
    }

    #[test]
    fn requests_with_a_known_sid_go_to_the_session() {
        let session = |request: &Request<'static>| {
            verify(request, Transports::default(), known(Transport::Polling))
        };
        for (method, existing) in
            [("GET", Existing::Poll), ("POST", Existing::Post), ("PUT", Existing::Other)]
        {
            let verdict = session(&Request { method, sid: SID, ..POLL });
            assert_eq!(verdict, Ok(Verdict::Existing(existing)));
        }
        let verdict = session(&Request { sid: SID, b64: Some("1"), ..UPGRADE });
        assert_eq!(verdict, Ok(Verdict::Existing(Existing::Upgrade { b64: true })));
        let unknown = session(&Request { sid: Some("toString"), ..POLL });
        assert_eq!(unknown, Err(Context::Sid("toString").into()));
    }

    #[test]
    fn another_revision_than_the_sessions_is_refused() {
        for eio in [None, Some("3"), Some("5")] {
            for request in [POLL, UPGRADE] {
                let request = Request { sid: SID, eio, ..request };
                let verdict = verify(&request, Transports::default(), known(Transport::Polling));
                assert_eq!(verdict.map_err(|r| r.code), Err(ErrorCode::BadRequest));
            }
        }
    }

    #[test]
    fn revision_3_needs_leave_and_is_the_default() {
        for eio in [None, Some("3"), Some("5"), Some("")] {
            let verdict = verify(&Request { eio, ..POLL }, Transports::default(), nobody);
            let Ok(Verdict::NewSession(handshake)) = verdict else { panic!("{verdict:?}") };
            let rejection = handshake.admit(false).expect_err("not allowed");
            assert_eq!(rejection.code, ErrorCode::UnsupportedProtocolVersion);
            assert_eq!(handshake.admit(true).map(|o| o.revision), Ok(Revision::V3));
        }
    }

    #[test]
    fn origins_may_hold_what_headers_may_hold() {
        for (origin, valid) in [
            (&b""[..], true),
            (b"https://example.org", true),
            (b"a\tb \xe9", true),
            (b"\x7f", false),
            (b"a\0", false),
            (b"abcdef\r\n", false),
        ] {
            let request = Request { origin: Some(origin), ..POLL };
            assert_eq!(code(&request, None).is_none(), valid, "{origin:?}");
        }
    }
}
