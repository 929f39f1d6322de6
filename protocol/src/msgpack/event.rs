//! What a packet says to a handler: an event with its name and arguments, or the answer to one.

use std::borrow::Cow;

use crate::socket::PacketType;
use crate::socket::encode::json;

use super::args::{Args, KeptArgs};
use super::packet::Packet;
use super::token::{Token, Tokens, text};

/// An event, borrowed from its packet.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Its name. A number, which a peer may use as a name, is given as JavaScript prints it: that is the
    /// property name under which it would find a listener.
    pub name: Cow<'a, str>,
    /// Its arguments.
    pub args: Args<'a>,
    /// The id under which the peer waits for an acknowledgement, if it does.
    pub id: Option<u64>,
}

/// An event that outlives its packet: for those who cannot handle it at once.
#[derive(Debug, Clone)]
pub struct KeptEvent {
    name: Box<str>,
    args: KeptArgs,
    id: Option<u64>,
}

/// An acknowledgement, borrowed from its packet.
#[derive(Debug, Clone)]
pub struct Ack<'a> {
    /// The id of the event that is acknowledged. A peer that sends none acknowledges nothing; like an
    /// unknown id that is no error.
    pub id: Option<u64>,
    /// What the peer answers.
    pub args: Args<'a>,
}

impl From<&Event<'_>> for KeptEvent {
    fn from(event: &Event<'_>) -> Self {
        let Event { name, args, id } = event;
        Self { name: (&**name).into(), args: args.into(), id: *id }
    }
}

impl KeptEvent {
    /// The event as it was.
    pub fn lend(&self) -> Event<'_> {
        Event { name: Cow::Borrowed(&self.name), args: self.args.lend(), id: self.id }
    }
}

impl<'a> Packet<'a> {
    /// The event that this packet holds, or `None` if it is of another type.
    pub fn event(&self) -> Option<Event<'a>> {
        if self.kind != PacketType::Event {
            return None;
        }
        let mut tokens = Tokens::new(self.data?);
        let Ok(Token::Array(len)) = tokens.next() else { return None };
        let name = name(tokens.next().ok()?)?;
        let args = Args::new(tokens.rest(), (len as usize).checked_sub(1)?);
        Some(Event { name, args, id: self.id })
    }

    /// The acknowledgement that this packet holds, or `None` if it is of another type.
    pub fn ack(&self) -> Option<Ack<'a>> {
        if self.kind != PacketType::Ack {
            return None;
        }
        let args = match self.data {
            Some(data) => {
                let mut tokens = Tokens::new(data);
                let Ok(Token::Array(len)) = tokens.next() else { return None };
                Args::new(tokens.rest(), len as usize)
            }
            None => Args::new(&[], 0),
        };
        Some(Ack { id: self.id, args })
    }
}

fn name(token: Token<'_>) -> Option<Cow<'_, str>> {
    Some(match token {
        Token::Str(name) => Cow::Borrowed(text(name).ok()?),
        // Numbers are doubles there, and print as such.
        Token::Unsigned(number) => Cow::Owned(number_as_name(number as f64)),
        Token::Signed(number) => Cow::Owned(number_as_name(number as f64)),
        Token::Float(number) => Cow::Owned(number_as_name(number)),
        _ => return None,
    })
}

/// A number as the name of a JavaScript property.
fn number_as_name(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number < 0.0 { "-Infinity" } else { "Infinity" }.to_owned();
    }
    let mut printed = Vec::new();
    json(&mut printed, &number).expect("a finite number is JSON");
    String::from_utf8(printed).expect("JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: PacketType, data: Option<&[u8]>) -> Packet<'_> {
        Packet { kind, namespace: "/", id: Some(7), data }
    }

    fn name(element: &[u8]) -> String {
        let data = [b"\x91", element].concat();
        packet(PacketType::Event, Some(&data)).event().unwrap().name.into_owned()
    }

    #[test]
    fn names_are_what_javascript_would_look_up() {
        for (element, expected) in [
            (&b"\xa1a"[..], "a"),
            (b"\xa0", ""),
            (b"\xa2\xc3\xa9", "é"),
            (b"\x05", "5"),
            (b"\xcb\xbf\xf8\0\0\0\0\0\0", "-1.5"),
            (b"\xcb\x80\0\0\0\0\0\0\0", "0"),
            (b"\xd0\x80", "-128"),
            (b"\xcf\xab\x54\xa9\x8c\xeb\x1f\x0a\xd2", "12345678901234567000"),
            (b"\xcb\x44\x4b\x1a\xe4\xd6\xe2\xef\x50", "1e+21"),
            (b"\xca\x7f\x80\0\0", "Infinity"),
            (b"\xca\xff\x80\0\0", "-Infinity"),
            (b"\xca\x7f\xc0\0\0", "NaN"),
        ] {
            assert_eq!(name(element), expected, "{element:02x?}");
        }
    }

    #[test]
    fn a_packet_is_one_thing_or_the_other() {
        let data = Some(&b"\x92\xa1a\x01"[..]);
        let event = packet(PacketType::Event, data);
        assert_eq!(event.event().map(|event| (event.id, event.args.len())), Some((Some(7), 1)));
        assert!(event.ack().is_none());
        let ack = packet(PacketType::Ack, data);
        assert_eq!(ack.ack().map(|ack| (ack.id, ack.args.len())), Some((Some(7), 2)));
        assert!(ack.event().is_none());
        assert!(packet(PacketType::Ack, None).ack().unwrap().args.is_empty());
        assert!(packet(PacketType::Disconnect, None).event().is_none());
    }

    #[test]
    fn a_packet_made_by_hand_is_no_reason_to_panic() {
        let deep = vec![0x91; 100_000];
        for data in [
            &b""[..],
            b"\x90",
            b"\x91",
            b"\x92\xa1a",
            b"\x92\xa1a\xa5b",
            b"\xdd\xff\xff\xff\xff",
            b"\x92\xa1a\xdd\0\0\0\x01",
            b"\x93\xa1a\xa1\xff\x01\x02",
            b"\x80",
            b"\x92\xa1\xff\x01",
            b"\xc1",
            &deep,
        ] {
            for kind in [PacketType::Event, PacketType::Ack] {
                let packet = packet(kind, Some(data));
                let (event, ack) = (packet.event(), packet.ack());
                let args = [event.map(|event| event.args), ack.map(|ack| ack.args)];
                for args in args.into_iter().flatten() {
                    let _ = (args.len(), args.as_bytes(), args.raw().count());
                    let _ = args.parse_tuple::<(String, u8)>();
                    let _ = args.parse_tuple::<Vec<serde_json::Value>>();
                    let _ = args.parse_arg::<Vec<u8>>(0);
                }
            }
        }
    }
}
