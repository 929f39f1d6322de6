//! How a WebSocket client comes in: upgrade, Engine.IO's open packet, CONNECT, and joining a room.
//!
//! A state machine without I/O. Its requests are those of the official client with the transport
//! `websocket` alone.

use memchr::memmem;

use crate::digits;
use crate::frame::{self, Opcode};
use crate::link::Consumed;
use crate::tally::excerpt;

/// The sample key of RFC 6455, section 1.3, whose answer is known without a hash.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What Engine.IO's `maxPayload` is where the open packet has none.
const MAX_PAYLOAD: u64 = 1_000_000;

/// How far a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// The answer to a request for another session is awaited.
    Detouring,
    /// The response to the upgrade is awaited.
    Upgrading,
    /// The open packet is awaited.
    Opening,
    /// The answer to CONNECT is awaited.
    Connecting,
    /// The acknowledgement of `join` is awaited.
    Joining,
    /// Events may flow.
    Done,
}

/// The requests that start a client: the one for a session that is not there, if there is to be a detour,
/// and the upgrade.
pub(crate) fn request(host: &str, detour: Option<&str>) -> Vec<u8> {
    let detour = detour.map(|sid| {
        format!(
            "GET /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        )
    });
    detour.unwrap_or_default().into_bytes().into_iter().chain(upgrade(host)).collect()
}

fn upgrade(host: &str) -> Vec<u8> {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    .into_bytes()
}

/// The largest payload that an open packet allows.
pub(crate) fn max_payload(open_packet: &[u8]) -> u64 {
    let name = br#""maxPayload":"#;
    memmem::find(open_packet, name)
        .and_then(|at| digits::leading(&open_packet[at + name.len()..]))
        .map_or(MAX_PAYLOAD, |(bytes, _)| bytes)
}

impl Handshake {
    /// The first step.
    pub(crate) fn begin(detour: Option<&str>) -> Self {
        if detour.is_some() { Self::Detouring } else { Self::Upgrading }
    }

    /// Takes what has come, and appends to `out` the frames to send. Stops after the last step, so that
    /// what follows is left. `largest` is the largest payload that will be sent.
    ///
    /// # Errors
    /// What the server did, if it is not what a Socket.IO server does.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        room: Option<&str>,
        largest: usize,
        random: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) -> Result<Consumed, String> {
        let mut used = 0;
        if *self == Self::Detouring {
            match refused(bytes)? {
                Some(response) => used = response,
                None => return Ok(Consumed { used, needed: bytes.len() + 1 }),
            }
            *self = Self::Upgrading;
        }
        if *self == Self::Upgrading {
            match upgraded(&bytes[used..])? {
                Some(head) => used += head,
                None => return Ok(Consumed { used, needed: bytes.len() - used + 1 }),
            }
            *self = Self::Opening;
        }
        while *self != Self::Done {
            match frame::parse(&bytes[used..]) {
                frame::Parsed::Frame { opcode: Opcode::Text, payload, total } => {
                    used += total;
                    self.packet(payload, room, largest, random, out)?;
                }
                frame::Parsed::Frame { opcode, payload, .. } => {
                    return Err(format!("{self:?}: a {opcode:?} frame came, {}", excerpt(payload)));
                }
                frame::Parsed::Incomplete { needed } => return Ok(Consumed { used, needed }),
                frame::Parsed::Malformed(what) => return Err(format!("{self:?}: {what}")),
            }
        }
        Ok(Consumed { used, needed: 0 })
    }

    fn packet(
        &mut self,
        packet: &[u8],
        room: Option<&str>,
        largest: usize,
        random: &mut fastrand::Rng,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let mut text = |parts: &[&[u8]]| {
            frame::write(out, Opcode::Text, frame::random_mask(random), parts);
        };
        *self = match (*self, packet) {
            (Self::Opening, [b'0', b'{', ..]) => {
                let limit = max_payload(packet);
                if (largest as u64) > limit {
                    return Err(format!(
                        "payloads of {largest} bytes, but the server takes {limit}"
                    ));
                }
                text(&[b"40"]);
                Self::Connecting
            }
            (Self::Connecting, [b'4', b'0', b'{', ..]) => match room {
                Some(room) => {
                    text(&[br#"420["join",""#, room.as_bytes(), br#""]"#]);
                    Self::Joining
                }
                None => Self::Done,
            },
            // Some servers answer nothing with `null`.
            (Self::Joining, b"430[]" | b"430[null]") => Self::Done,
            (_, b"2") => {
                text(&[b"3"]);
                *self
            }
            (step, other) => return Err(format!("{step:?}: the server said {}", excerpt(other))),
        };
        Ok(())
    }
}

/// The length of a response that knows no such session; `None` if more has to come.
fn refused(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("the detour led to {}: {error}", excerpt(bytes))),
    };
    let length = response.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|it| std::str::from_utf8(it.value).ok()?.parse::<usize>().ok());
    match (response.code, length) {
        (Some(400), Some(length)) => Ok((bytes.len() - head >= length).then_some(head + length)),
        _ => Err(format!("the detour led to {}", excerpt(bytes))),
    }
}

/// The length of a response that accepts the upgrade; `None` if more has to come.
fn upgraded(bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => {
            let accepted = response.headers.iter().any(|header| {
                header.name.eq_ignore_ascii_case("sec-websocket-accept") && header.value == ACCEPT
            });
            match response.code {
                Some(101) if accepted => Ok(Some(head)),
                Some(101) => Err("the upgrade's Sec-WebSocket-Accept is wrong".into()),
                _ => Err(format!("the upgrade was answered with {}", excerpt(bytes))),
            }
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(format!("the upgrade was answered with {}: {error}", excerpt(bytes))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn text(packet: &str) -> Vec<u8> {
        [&[0x81, packet.len() as u8], packet.as_bytes()].concat()
    }

    /// Runs a handshake over what a server sends in steps; what the client sent, unmasked.
    fn run(server: &[Vec<u8>], room: Option<&str>) -> Result<(Handshake, Vec<String>), String> {
        let mut random = fastrand::Rng::with_seed(1);
        let mut it = Handshake::Upgrading;
        let mut sent = Vec::new();
        for bytes in server {
            let mut out = Vec::new();
            let consumed = it.advance(bytes, room, 64, &mut random, &mut out)?;
            assert_eq!(consumed.used, bytes.len());
            let mut rest = &out[..];
            while let [0x81, length, mask @ ..] = rest {
                let (mask, after) = mask.split_at(4);
                let (masked, after) = after.split_at(usize::from(length & 0x7f));
                let payload =
                    masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
                sent.push(String::from_utf8(payload.collect()).unwrap());
                rest = after;
            }
        }
        Ok((it, sent))
    }

    #[test]
    fn joins_step_by_step_or_all_at_once() {
        let open = text(r#"0{"sid":"a","upgrades":[],"pingInterval":25000,"maxPayload":64}"#);
        let connected = text(r#"40{"sid":"b"}"#);
        let steps = [RESPONSE.to_vec(), open, connected, text("2"), text("430[]")];
        let expected = ["40", r#"420["join","room00007"]"#, "3"].map(String::from).to_vec();
        let (it, sent) = run(&steps, Some("room00007")).unwrap();
        assert_eq!((it, sent), (Handshake::Done, expected.clone()));
        let (it, sent) = run(&[steps.concat()], Some("room00007")).unwrap();
        assert_eq!((it, sent), (Handshake::Done, expected));
        let (it, sent) = run(&[steps[..3].concat()], None).unwrap();
        assert_eq!((it, sent), (Handshake::Done, vec!["40".into()]));
    }

    #[test]
    fn needs_more_at_every_cut() {
        let open = text(r#"0{"sid":"a"}"#);
        let whole = [RESPONSE, &open[..]].concat();
        for cut in 0..whole.len() {
            let (mut it, mut out) = (Handshake::Upgrading, Vec::new());
            let mut random = fastrand::Rng::with_seed(1);
            let first = it.advance(&whole[..cut], None, 0, &mut random, &mut out).unwrap();
            assert!(first.needed + first.used > cut && out.is_empty());
            it.advance(&whole[first.used..], None, 0, &mut random, &mut out).unwrap();
            assert_eq!(it, Handshake::Connecting);
        }
    }

    #[test]
    fn a_detour_ends_with_a_refusal() {
        let refusal = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}";
        let whole = [&refusal[..], RESPONSE, &text(r#"0{"sid":"a"}"#)].concat();
        for cut in 0..whole.len() {
            let mut it = Handshake::begin(Some("b"));
            let (mut random, mut out) = (fastrand::Rng::with_seed(1), Vec::new());
            let first = it.advance(&whole[..cut], None, 0, &mut random, &mut out).unwrap();
            assert!(first.needed + first.used > cut && out.is_empty());
            it.advance(&whole[first.used..], None, 0, &mut random, &mut out).unwrap();
            assert_eq!(it, Handshake::Connecting);
        }
        let mut it = Handshake::begin(Some("b"));
        let (mut random, mut out) = (fastrand::Rng::with_seed(1), Vec::new());
        assert!(it.advance(RESPONSE, None, 0, &mut random, &mut out).is_err());
        let request = String::from_utf8(request("here", Some("b"))).unwrap();
        assert!(request.starts_with("GET /socket.io/?EIO=4&transport=polling&sid=b HTTP/1.1"));
        assert_eq!(request.matches("\r\n\r\n").count(), 2);
    }

    #[test]
    fn says_what_a_wrong_server_did() {
        let refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec();
        let stranger = RESPONSE.to_ascii_lowercase();
        for (server, named) in [
            (vec![refused], "400 Bad Request"),
            (vec![stranger], "not an HTTP"),
            (vec![RESPONSE.to_vec(), text(r#"0{"maxPayload":63}"#)], "takes 63"),
            (vec![RESPONSE.to_vec(), text("0{}"), text(r#"44{"message":"no"}"#)], "44{"),
            (vec![RESPONSE.to_vec(), vec![0x88, 0]], "Close"),
        ] {
            let why = run(&server, None).unwrap_err();
            assert!(why.contains(named) || named == "not an HTTP", "{why}");
        }
    }

    #[test]
    fn the_limit_has_a_default() {
        assert_eq!(max_payload(br#"0{"sid":"a"}"#), 1_000_000);
        assert_eq!(max_payload(br#"0{"maxPayload":123456,"x":1}"#), 123_456);
    }
}
