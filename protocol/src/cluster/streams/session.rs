//! What a socket that may come back leaves in Redis.

use std::borrow::Cow;

use crate::cluster::dialect::Dialect;
use crate::cluster::malformed::{Malformed, Unwritable};
use crate::cluster::names::Names;
use crate::cluster::value::Value;
use crate::cluster::writer::{Form, Writer};
use crate::limits::ClusterLimits;

use super::text;

/// Node's default for the option `sessionKeyPrefix`.
pub const SESSION_PREFIX: &str = "sio:session:";

/// A socket that was disconnected, as its node keeps it for whichever node its client finds: base64 of
/// MessagePack, under a key of its private id, for as long as it may be away (`SET … PX`).
#[derive(Debug, Clone)]
pub struct Session<'a> {
    /// Its id.
    pub sid: Cow<'a, str>,
    /// The private id by which its client proves that it was it.
    pub pid: Cow<'a, str>,
    /// The rooms it was in.
    pub rooms: Names<'a>,
    /// What the application kept with it.
    pub data: Option<Value<'a>>,
}

impl<'a> Session<'a> {
    /// The key under which the session of `pid` is kept.
    pub fn key(prefix: &str, pid: &str) -> String {
        format!("{prefix}{pid}")
    }

    /// Reads what was kept. Its bytes are in `scratch` from then on, whose content is replaced.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(
        kept: &[u8],
        scratch: &'a mut Vec<u8>,
        limits: &ClusterLimits,
    ) -> Result<Self, Malformed> {
        if kept.len() > limits.message_bytes_max {
            return Err(Malformed::TooLong);
        }
        text::read(kept, scratch)?;
        let session = Value::read_msgpack(scratch, limits)?;
        let (mut sid, mut pid, mut rooms, mut data) = (None, None, None, None);
        for (key, value) in session.members().ok_or(Malformed::Syntax)? {
            match &*key {
                "sid" => sid = value.text(),
                "pid" => pid = value.text(),
                "rooms" => rooms = Some(value),
                "data" => data = Some(value).filter(|data| !data.is_null()),
                _ => {}
            }
        }
        Ok(Self {
            sid: sid.ok_or(Malformed::Member("sid"))?,
            pid: pid.ok_or(Malformed::Member("pid"))?,
            rooms: Names::read(rooms, "rooms")?,
            data,
        })
    }

    /// Appends what is to be kept.
    ///
    /// # Errors
    /// [`Unwritable`]; the buffer is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let mut packed = Vec::new();
        Writer::write(&mut packed, Form::Msgpack(Dialect::Standard), |writer| {
            writer.map(4);
            writer.key("sid");
            writer.str(&self.sid);
            writer.key("pid");
            writer.str(&self.pid);
            writer.key("rooms");
            self.rooms.write(writer);
            writer.key("data");
            match &self.data {
                Some(data) => writer.value(data)?,
                None => writer.nil(),
            }
            Ok(())
        })?;
        text::write(out, &packed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ClusterLimits =
        ClusterLimits { message_bytes_max: 64, depth_max: 8, attachments_max: 2 };

    #[test]
    fn what_is_no_session_says_why() {
        let decode = |packed: &[u8]| {
            let mut kept = Vec::new();
            text::write(&mut kept, packed);
            Session::decode(&kept, &mut Vec::new(), &LIMITS).err()
        };
        assert_eq!(decode(b"\x82\xa3sid\xa1s\xa3pid\xa1p"), None);
        for (packed, why) in [
            (&b""[..], Malformed::Syntax),
            (b"\xc1", Malformed::Syntax),
            (b"\x90", Malformed::Syntax),
            (b"\x80", Malformed::Member("sid")),
            (b"\x81\xa3sid\xa1s", Malformed::Member("pid")),
            (b"\x83\xa3sid\xa1s\xa3pid\xa1p\xa5rooms\x91\xc0", Malformed::Member("rooms")),
            (&[0xc0; 60], Malformed::TooLong),
        ] {
            assert_eq!(decode(packed), Some(why), "{packed:02x?}");
        }
        let error = Session::decode(b"!", &mut Vec::new(), &LIMITS).err();
        assert_eq!(error, Some(Malformed::Syntax));
        assert_eq!(Session::key(SESSION_PREFIX, "p"), "sio:session:p");
    }
}
