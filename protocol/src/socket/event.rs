//! What a packet says to a handler: an event with its name and arguments, or the answer to one.

use std::borrow::Cow;
use std::io::Write as _;

use bytes::Bytes;

use super::args::{Args, KeptArgs};
use super::escape;
use super::json;
use super::number;
use super::packet::{Packet, PacketType};

/// An event, borrowed from its packet.
#[derive(Debug, Clone)]
pub struct Event<'a> {
    /// Its name; owned only if the peer wrote it with escapes. A number, which a peer may use as a name,
    /// is given as JavaScript prints it: that is the property name under which it would find a listener.
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
        Self { name: (&*event.name).into(), args: (&event.args).into(), id: event.id }
    }
}

impl KeptEvent {
    /// The event as it was.
    pub fn lend(&self) -> Event<'_> {
        Event { name: Cow::Borrowed(&self.name), args: self.args.lend(), id: self.id }
    }
}

impl<'a> Packet<'a> {
    /// The event that this packet holds, or `None` if it is of another type. `attachments` are those of
    /// a binary packet.
    pub fn event(&self, attachments: &'a [Bytes]) -> Option<Event<'a>> {
        if !matches!(self.kind, PacketType::Event | PacketType::BinaryEvent) {
            return None;
        }
        let array = self.data?;
        let name = json::first_element(array, self.outline);
        let name = match name.strip_prefix('"') {
            Some(rest) => escape::unescape(rest.strip_suffix('"')?),
            None => number_as_name(name)?,
        };
        Some(Event { name, args: Args::of_event(array, self.outline, attachments)?, id: self.id })
    }

    /// The acknowledgement that this packet holds, or `None` if it is of another type. `attachments`
    /// are those of a binary packet.
    pub fn ack(&self, attachments: &'a [Bytes]) -> Option<Ack<'a>> {
        if !matches!(self.kind, PacketType::Ack | PacketType::BinaryAck) {
            return None;
        }
        let args = Args::of_ack(self.data.unwrap_or("[]"), attachments)?;
        Some(Ack { id: self.id, args })
    }
}

/// A number as the name of a JavaScript property.
fn number_as_name(number: &str) -> Option<Cow<'_, str>> {
    // Fifteen digits are exact in a double, so they print as they are.
    let plain = number.len() <= 15 && number.bytes().all(|byte| byte.is_ascii_digit());
    if plain {
        return Some(Cow::Borrowed(number));
    }
    let value: f64 = number.parse().ok()?;
    if !value.is_finite() {
        return Some(Cow::Borrowed(if value < 0.0 { "-Infinity" } else { "Infinity" }));
    }
    let mut printed = Vec::new();
    number::write_f64(&mut printed, value).and_then(|()| printed.flush()).ok()?;
    String::from_utf8(printed).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PacketLimits;
    use crate::socket::decode;
    use crate::socket::json::Outline;

    fn name(text: &str) -> String {
        let packet = decode(text, &PacketLimits::default()).unwrap();
        packet.event(&[]).unwrap().name.into_owned()
    }

    #[test]
    fn names_are_what_javascript_would_look_up() {
        for (text, expected) in [
            (r#"2["a"]"#, "a"),
            (r#"2[ "a" , 1 ]"#, "a"),
            (r#"2[""]"#, ""),
            (r#"2["\u00e9\n\ud800"]"#, "é\n\u{fffd}"),
            ("2[5,1]", "5"),
            ("2[5.0]", "5"),
            ("2[-0]", "0"),
            ("2[-1.50]", "-1.5"),
            ("2[1e21]", "1e+21"),
            ("2[1e999]", "Infinity"),
            ("2[12345678901234567890]", "12345678901234567000"),
        ] {
            assert_eq!(name(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_kept_is_what_came() {
        let text = String::from(r#"51-7[ "\u00e9" , {"a":1}, {"_placeholder":true,"num":0} ]"#);
        let bytes = [Bytes::from_static(b"bytes")];
        let kept = {
            let packet = decode(&text, &PacketLimits::default()).unwrap();
            KeptEvent::from(&packet.event(&bytes).unwrap())
        };
        drop(text);
        let event = kept.lend();
        assert_eq!((&*event.name, event.id, event.args.len()), ("é", Some(7), 2));
        assert_eq!(event.args.raw().next(), Some(r#"{"a":1}"#));
        let (_, read) = event.args.parse_tuple::<(serde_json::Value, Bytes)>().unwrap();
        assert_eq!(read, bytes[0]);
    }

    #[test]
    fn a_packet_is_one_thing_or_the_other() {
        let limits = PacketLimits::default();
        let event = decode("27[\"a\",1]", &limits).unwrap();
        assert_eq!(event.event(&[]).unwrap().id, Some(7));
        assert!(event.ack(&[]).is_none());
        let ack = decode("37[1,2]", &limits).unwrap();
        assert_eq!(ack.ack(&[]).unwrap().args.len(), 2);
        assert!(ack.event(&[]).is_none());
        assert!(decode("37", &limits).unwrap().ack(&[]).unwrap().args.is_empty());
        assert!(decode("1", &limits).unwrap().event(&[]).is_none());
    }

    #[test]
    fn a_packet_made_by_hand_is_no_reason_to_panic() {
        for data in ["", "[", "]", "[]", "\"", "[\"", "[\"]", "{}", "[é", "[,]", "[1é]", "[\"\\\"]"]
        {
            for (kind, at) in [PacketType::Event, PacketType::Ack]
                .into_iter()
                .flat_map(|kind| (0..4).map(move |at| (kind, at)))
            {
                let (namespace, data) = ("/", Some(data));
                let outline = Outline { first_end: at, second: at };
                let packet = Packet { kind, namespace, id: None, data, attachments: 0, outline };
                for args in
                    [packet.event(&[]).map(|event| event.args), packet.ack(&[]).map(|ack| ack.args)]
                        .into_iter()
                        .flatten()
                {
                    let _ = (args.len(), args.as_str(), args.parse_tuple::<(String, u8)>());
                    let _ = args.parse_arg::<Vec<u8>>(0);
                }
            }
        }
    }
}
