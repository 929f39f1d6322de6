//! The checks of a request, by its query string; and what a refusal says.
//!
//! The input is a query string.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets as _;
use yamabiko_protocol::engine::{
    Context, Existing, PathPrefix, Rejection, Request, Revision, SessionFacts, SessionId,
    Transport, Transports, Verdict, verify,
};
use yamabiko_protocol::http::Head;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    refusal(&Context::Forbidden(Some(text)).into());
    let raw = format!("GET /socket.io/?{text} HTTP/1.1\r\nHost: a\r\n\r\n");
    let Some(head) = Head::reparse(raw.as_bytes()) else { return };
    assert!(PathPrefix::new("/socket.io", true).matches(head.target()));
    let names = ["transport", "EIO", "sid", "b64", "j"];
    let [transport, eio, sid, b64, j] = head.query().unique(names);
    id(sid.as_deref().unwrap_or_default());
    for method in ["GET", "POST", "OPTIONS"] {
        for is_upgrade in [false, true] {
            let request = Request {
                method,
                transport: transport.as_deref(),
                eio: eio.as_deref(),
                sid: sid.as_deref(),
                b64: b64.as_deref(),
                j: j.as_deref(),
                is_upgrade,
                origin: Some(input),
            };
            for facts in FACTS {
                judged(&request, facts);
                judged(&Request { origin: None, ..request }, facts);
            }
        }
    }
});

/// The session that a request names, if there is one.
const FACTS: [Option<SessionFacts>; 4] = [
    None,
    Some(SessionFacts { revision: Revision::V3, transport: Transport::Polling }),
    Some(SessionFacts { revision: Revision::V4, transport: Transport::Polling }),
    Some(SessionFacts { revision: Revision::V4, transport: Transport::WebSocket }),
];

fn judged(request: &Request<'_>, facts: Option<SessionFacts>) {
    let mut was_asked = false;
    let verdict = verify(request, Transports::default(), |sid| {
        was_asked = true;
        assert_eq!(Some(sid), request.sid);
        facts
    });
    let names_session = request.sid.is_some_and(|sid| !sid.is_empty());
    assert!(names_session || !was_asked);
    match verdict {
        Ok(Verdict::NewSession(handshake)) => {
            assert!(!names_session && request.method == "GET");
            assert_eq!(Some(handshake.transport().name()), request.transport);
            assert_eq!(handshake.transport() == Transport::WebSocket, request.is_upgrade);
            match handshake.admit(false) {
                Ok(opening) => assert_eq!(opening.revision, Revision::V4),
                Err(rejection) => refusal(&rejection),
            }
            let opening = handshake.admit(true).expect("both revisions are let in");
            assert_eq!(opening.revision == Revision::V4, request.eio == Some("4"));
        }
        Ok(Verdict::Existing(existing)) => {
            let facts = facts.expect("a session that nobody knows was joined");
            assert_eq!(facts.revision == Revision::V4, request.eio == Some("4"));
            let is_upgrade = matches!(existing, Existing::Upgrade { .. });
            assert_eq!(is_upgrade, request.is_upgrade);
            assert!(is_upgrade || facts.transport == Transport::Polling);
        }
        Ok(Verdict::AcceptThenClose) => {
            assert!(request.is_upgrade && request.transport == Some("polling"));
        }
        Err(rejection) => refusal(&rejection),
    }
}

/// A refusal is sound in both forms, whatever text of a peer or a hook is in it.
fn refusal(rejection: &Rejection<'_>) {
    let response = rejection.response();
    assert!(response.status == 400 || response.status == 403);
    let body: serde_json::Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(body["code"], rejection.code.number());
    assert_eq!(body["message"], rejection.message());
    let mut answer = Vec::new();
    rejection.write_upgrade_refusal(&mut answer);
    let answer = String::from_utf8(answer).expect("text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert_eq!(body, rejection.message());
    assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
}

fn id(text: &str) {
    if let Some(sid) = SessionId::parse(text) {
        assert_eq!(sid.as_str(), text);
        let _ = sid.owner();
    } else {
        assert!(
            text.len() != SessionId::LEN
                || text.contains(|it: char| !it.is_alphanumeric() && it != '-' && it != '_')
                || !text.is_ascii()
        );
    }
}
