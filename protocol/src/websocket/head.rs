//! The head of a client's frame (RFC 6455 section 5.2), checked as it is read.
//!
//! Read by hand rather than by tungstenite's `FrameHeader::parse`, because a broken rule shall be seen
//! at the second byte and a length that is not minimal shall be seen at all; a test holds the two
//! together.

use super::{Control, Data, Mask, OpCode, Violation};

/// The longest head of a masked frame: two bytes, a 64-bit length, a key.
pub(super) const HEAD_BYTES_MAX: usize = 14;

/// A head that breaks no rule which can be seen in a head alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Never a reserved one.
    pub(super) opcode: OpCode,
    pub(super) is_final: bool,
    pub(super) mask: Mask,
    /// Bytes of payload; at most 125 for control frames, below 2^63 for others.
    pub(super) payload_len: u64,
}

impl Head {
    /// Reads a head from the start of `bytes`: the head and its length, or `None` if bytes are missing.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&[first, second], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        let (opcode, is_final) = check_fixed(first, second)?;
        let (payload_len, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (u64::from(len), rest),
        };
        check_len(second & 0x7f, payload_len)?;
        let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let head = Self { opcode, is_final, mask: Mask::new(*key), payload_len };
        Ok(Some((head, bytes.len() - rest.len())))
    }
}

/// Checks the two bytes every frame starts with.
fn check_fixed(first: u8, second: u8) -> Result<(OpCode, bool), Violation> {
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    let opcode = OpCode::from(first & 0x0f);
    let is_final = first & 0x80 != 0;
    match opcode {
        OpCode::Data(Data::Reserved(opcode)) | OpCode::Control(Control::Reserved(opcode)) => {
            return Err(Violation::ReservedOpcode(opcode));
        }
        OpCode::Control(_) if !is_final => return Err(Violation::FragmentedControl),
        OpCode::Control(_) if second & 0x7f > 125 => return Err(Violation::ControlTooBig),
        OpCode::Control(_) | OpCode::Data(_) => {}
    }
    if second & 0x80 == 0 {
        return Err(Violation::Unmasked);
    }
    Ok((opcode, is_final))
}

/// Checks that a length stands in the shortest of the three forms and is no negative number.
fn check_len(form: u8, len: u64) -> Result<(), Violation> {
    match form {
        126 if len < 126 => Err(Violation::LengthNotMinimal),
        127 if len <= 0xffff => Err(Violation::LengthNotMinimal),
        127 if len >> 63 != 0 => Err(Violation::LengthOverflow),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use proptest::prelude::*;
    use tungstenite::protocol::frame::FrameHeader;

    /// Wherever tungstenite reads a head that keeps our additional rules, we read the same.
    fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
        let mut cursor = Cursor::new(bytes);
        let theirs = FrameHeader::parse(&mut cursor);
        match Head::parse(bytes) {
            Ok(None) => prop_assert!(matches!(theirs, Ok(None))),
            Ok(Some((head, head_len))) => {
                let (their, payload_len) = theirs.unwrap().unwrap();
                prop_assert_eq!(head.opcode, their.opcode);
                prop_assert_eq!(head.is_final, their.is_final);
                prop_assert_eq!(Some(head.mask), their.mask.map(Mask::new));
                prop_assert_eq!(head.payload_len, payload_len);
                prop_assert_eq!(head_len as u64, cursor.position());
                prop_assert_eq!(head_len, their.len(payload_len), "not the shortest form");
                prop_assert!(!(their.rsv1 || their.rsv2 || their.rsv3));
            }
            Err(violation) => {
                // What they need more bytes for, or allow, must be what we say it is.
                if let Ok(Some((their, payload_len))) = theirs {
                    let control = matches!(their.opcode, OpCode::Control(_));
                    let deserved = match violation {
                        Violation::ReservedBits => their.rsv1 || their.rsv2 || their.rsv3,
                        Violation::Unmasked => their.mask.is_none(),
                        Violation::FragmentedControl => control && !their.is_final,
                        Violation::ControlTooBig => control && bytes[1] & 0x7f > 125,
                        Violation::LengthOverflow => payload_len > i64::MAX as u64,
                        Violation::LengthNotMinimal => {
                            cursor.position() as usize != their.len(payload_len)
                        }
                        _ => false,
                    };
                    prop_assert!(deserved, "{violation}");
                }
            }
        }
        Ok(())
    }

    #[test]
    fn agrees_with_tungstenite_on_all_first_two_bytes() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                for len in [0u64, 125, 126, 0xffff, 0x1_0000, i64::MAX as u64, u64::MAX] {
                    let mut bytes = vec![first, second];
                    match second & 0x7f {
                        126 => bytes.extend((len as u16).to_be_bytes()),
                        127 => bytes.extend(len.to_be_bytes()),
                        _ => {}
                    }
                    bytes.extend([1, 2, 3, 4]);
                    agrees(&bytes).unwrap();
                }
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_tungstenite_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            agrees(&bytes)?;
        }
    }
}
