//! The Socket.IO packets that the floor understands, found by byte search in Engine.IO messages.
//!
//! It refuses to parse JSON: whatever stands where an argument stands is an argument.

use memchr::memchr;

/// A client's packet; all parts are as they came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packet<'a> {
    /// `40`.
    Connect,
    /// `42N["echo",X]`: `N`, and `X]`.
    Echo { ack: &'a [u8], arguments: &'a [u8] },
    /// `451-N["echo",X]`: `N`, and `X]`; its attachment follows.
    BinaryEcho { ack: &'a [u8], arguments: &'a [u8] },
    /// `42N["join","R"]`: `N`, and `R`.
    Join { ack: &'a [u8], room: &'a [u8] },
    /// `42["say","R",P]`: `R`, and `P]`.
    Say { room: &'a [u8], payload: &'a [u8] },
    /// The rest, which nobody answers.
    Other,
}

/// Reads one message.
#[inline]
pub(crate) fn read(message: &[u8]) -> Packet<'_> {
    match message {
        [b'4', b'2', event @ ..] => read_event(event).unwrap_or(Packet::Other),
        [b'4', b'5', b'1', b'-', event @ ..] => match event_parts(event) {
            Some((ack, b"echo", arguments)) => Packet::BinaryEcho { ack, arguments },
            _ => Packet::Other,
        },
        [b'4', b'0', ..] => Packet::Connect,
        _ => Packet::Other,
    }
}

#[inline]
fn read_event(event: &[u8]) -> Option<Packet<'_>> {
    let (ack, name, arguments) = event_parts(event)?;
    match name {
        b"echo" => Some(Packet::Echo { ack, arguments }),
        b"say" => {
            let (room, rest) = string(arguments)?;
            Some(Packet::Say { room, payload: rest.strip_prefix(b",")? })
        }
        b"join" => string(arguments).map(|(room, _)| Packet::Join { ack, room }),
        _ => None,
    }
}

/// The number, the event's name, and what follows it without the comma.
#[inline]
fn event_parts(event: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let digits = event.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (ack, event) = event.split_at(digits);
    let (name, rest) = string(event.strip_prefix(b"[")?)?;
    Some((ack, name, rest.strip_prefix(b",").unwrap_or(rest)))
}

/// The text in quotes at the front, and what follows it.
#[inline]
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let bytes = bytes.strip_prefix(b"\"")?;
    let end = memchr(b'"', bytes)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_read() {
        let echo = Packet::Echo { ack: b"17", arguments: b"\"a\",{\"b\":1}]" };
        assert_eq!(read(br#"4217["echo","a",{"b":1}]"#), echo);
        assert_eq!(read(br#"420["echo"]"#), Packet::Echo { ack: b"0", arguments: b"]" });
        let arguments = br#"{"_placeholder":true,"num":0}]"#;
        assert_eq!(
            read(br#"451-3["echo",{"_placeholder":true,"num":0}]"#),
            Packet::BinaryEcho { ack: b"3", arguments }
        );
        assert_eq!(read(br#"421["join","r"]"#), Packet::Join { ack: b"1", room: b"r" });
        let say = Packet::Say { room: b"r", payload: br#""hello"]"# };
        assert_eq!(read(br#"42["say","r","hello"]"#), say);
        assert_eq!(read(b"40"), Packet::Connect);
    }

    #[test]
    fn the_rest_is_nobodys() {
        for message in [
            &b""[..],
            b"3",
            b"41",
            b"42",
            b"429",
            br#"421["other"]"#,
            br#"42["say","r"]"#,
            br#"42["echo"#,
            br#"421["join",1]"#,
            b"451-",
        ] {
            assert_eq!(read(message), Packet::Other, "{}", message.escape_ascii());
        }
    }
}
