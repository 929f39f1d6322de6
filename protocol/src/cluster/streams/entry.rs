//! A message as an entry of a stream: the fields `uid`, `nsp`, `type` and `data`, all of them text.

use std::borrow::Cow;

use crate::cluster::dialect::Dialect;
use crate::cluster::envelope::Envelope;
use crate::cluster::malformed::{Malformed, Unwritable};
use crate::cluster::message::Message;
use crate::cluster::value::Value;
use crate::cluster::writer::{Form, Writer};
use crate::limits::ClusterLimits;

use super::text;

/// Whether a message of a node is an entry of the stream; or else it is published.
pub fn is_entry(message: &Message<'_>) -> bool {
    matches!(
        message,
        Message::Broadcast { request: None, .. }
            | Message::Join { .. }
            | Message::Leave { .. }
            | Message::Disconnect { .. }
    )
}

/// Reads an entry's fields, names and values. What binary data makes necessary is kept in `scratch`, whose
/// content is replaced.
///
/// # Errors
/// [`Malformed`]. An entry without the field `nsp` is nobody's: Node ignores it, too.
pub fn decode<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    scratch: &'a mut Vec<u8>,
    limits: &ClusterLimits,
) -> Result<Envelope<'a>, Malformed> {
    let (mut uid, mut namespace, mut kind, mut data) = (None, None, None, None);
    for (name, value) in fields {
        if value.len() > limits.message_bytes_max {
            return Err(Malformed::TooLong);
        }
        match name {
            b"uid" => uid = Some(value),
            b"nsp" => namespace = Some(value),
            b"type" => kind = Some(value),
            b"data" => data = Some(value).filter(|data| !data.is_empty()),
            _ => {}
        }
    }
    let text = |value: Option<&'a [u8]>, member| {
        let text = value.and_then(|value| std::str::from_utf8(value).ok());
        text.ok_or(Malformed::Member(member))
    };
    let namespace = text(namespace, "nsp")?;
    let sender = text(uid, "uid")?;
    let kind = text(kind, "type")?.parse().map_err(|_| Malformed::Member("type"))?;
    let data = match data {
        Some(json @ [b'{', ..]) => Some(Value::read_json(json, limits)?),
        Some(base64) => {
            text::read(base64, scratch)?;
            Some(Value::read_msgpack(scratch, limits)?)
        }
        None => None,
    };
    Ok(Envelope {
        sender: Cow::Borrowed(sender),
        namespace: Cow::Borrowed(namespace),
        message: Message::read(kind, data)?,
    })
}

/// The fields of an entry, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Who sends it.
    pub uid: &'a str,
    /// The namespace that it is about.
    pub nsp: &'a str,
    /// The type of the message, a number.
    pub kind: u64,
    /// What it says; empty if that is all.
    pub data: &'a [u8],
}

/// Makes the fields of an entry, of which `data` is appended to `out`: JSON, or base64 of MessagePack if
/// there is binary data in it. With `only_plaintext`, the option of that name, it always is JSON, and
/// binary data is spelled out in it, which clients then get as that.
///
/// # Errors
/// [`Unwritable`]; the buffer is then as it was.
pub fn encode<'a>(
    envelope: &'a Envelope<'_>,
    only_plaintext: bool,
    out: &'a mut Vec<u8>,
) -> Result<Fields<'a>, Unwritable> {
    let Envelope { sender, namespace, message } = envelope;
    let start = out.len();
    if message.has_data() {
        if message.has_binary() && !only_plaintext {
            let mut packed = Vec::new();
            let form = Form::Msgpack(Dialect::Standard);
            Writer::write(&mut packed, form, |writer| message.write_data(writer, sender))?;
            text::write(out, &packed);
        } else {
            Writer::write(out, Form::Json, |writer| message.write_data(writer, sender))?;
        }
    }
    Ok(Fields { uid: sender, nsp: namespace, kind: message.kind(), data: &out[start..] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClusterLimits =
        ClusterLimits { message_bytes_max: 100, depth_max: 8, attachments_max: 2 };

    #[test]
    fn what_is_no_entry_says_why() {
        let long = [b'a'; 101];
        let broadcast = br#"{"packet":{"type":2,"data":["a"]},"opts":{}}"#;
        for (uid, nsp, kind, data, why) in [
            (&b"u"[..], &b"/"[..], &b"3"[..], &broadcast[..], None),
            (b"u", b"/", b"2", b"", None),
            (b"\xff", b"/", b"2", b"", Some(Malformed::Member("uid"))),
            (b"u", b"\xff", b"2", b"", Some(Malformed::Member("nsp"))),
            (b"u", b"/", b"x", b"", Some(Malformed::Member("type"))),
            (b"u", b"/", b"-1", b"", Some(Malformed::Member("type"))),
            (b"u", b"/", b"99", b"", Some(Malformed::UnknownType(99))),
            (b"u", b"/", b"3", b"", Some(Malformed::Member("data"))),
            (b"u", b"/", b"3", b"{", Some(Malformed::Syntax)),
            (b"u", b"/", b"3", b"not base64!", Some(Malformed::Syntax)),
            (b"u", b"/", b"3", b"wcHB", Some(Malformed::Syntax)),
            (b"u", b"/", b"3", b"kA", Some(Malformed::Member("data"))),
            (b"u", b"/", b"3", &long, Some(Malformed::TooLong)),
        ] {
            let mut scratch = b"left over".to_vec();
            let fields: [(&[u8], &[u8]); 5] =
                [(b"uid", uid), (b"more", b""), (b"nsp", nsp), (b"type", kind), (b"data", data)];
            assert_eq!(decode(fields, &mut scratch, &LIMITS).err(), why, "{kind:?} {data:?}");
        }
        let none: [(&[u8], &[u8]); 0] = [];
        let error = decode(none, &mut Vec::new(), &LIMITS).err();
        assert_eq!(error, Some(Malformed::Member("nsp")));
    }
}
