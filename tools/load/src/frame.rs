//! WebSocket frames from a client's side (RFC 6455, section 5): parsing a server's, writing our own.
//!
//! Owns no buffer and does no I/O. A server's frames are unmasked and whole: fragments (FIN unset) and
//! extensions are refused, since no server under test sends them.

/// A frame longer than this is taken for garbage, so that it cannot make us allocate.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 20;

/// Two bytes, eight of length, four of mask.
const HEADER_MAX: usize = 14;

/// The opcodes of RFC 6455, section 5.2, that a whole frame may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What the front of a stream of frames is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A whole frame, of `total` bytes with its header.
    Frame {
        /// What the payload is.
        opcode: Opcode,
        /// What was sent.
        payload: &'a [u8],
        /// Bytes of header and payload.
        total: usize,
    },
    /// Not all here: at least `needed` bytes from the front are.
    Incomplete {
        /// A lower bound on the frame's bytes, exact once the header is here.
        needed: usize,
    },
    /// The server's fault.
    Malformed(&'static str),
}

/// The first frame of `bytes`.
#[inline]
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let [first, second, ..] = *bytes else { return Parsed::Incomplete { needed: 2 } };
    let opcode = match first {
        0x81 => Opcode::Text,
        0x82 => Opcode::Binary,
        0x88 => Opcode::Close,
        0x89 => Opcode::Ping,
        0x8a => Opcode::Pong,
        _ => return Parsed::Malformed("a fragment, a reserved bit or an unknown opcode"),
    };
    let (header, length) = match second {
        0..=125 => (2, usize::from(second)),
        126 => {
            let Some(length) = bytes.get(2..4) else { return Parsed::Incomplete { needed: 4 } };
            (4, length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
        }
        127 => {
            let Some(length) = bytes.get(2..10) else { return Parsed::Incomplete { needed: 10 } };
            let length = length.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
            match usize::try_from(length) {
                Ok(length) if length <= FRAME_BYTES_MAX => (10, length),
                _ => return Parsed::Malformed("longer than any frame we ask for"),
            }
        }
        _ => return Parsed::Malformed("masked, though from a server"),
    };
    let total = header + length;
    match bytes.get(header..total) {
        Some(payload) => Parsed::Frame { opcode, payload, total },
        None => Parsed::Incomplete { needed: total },
    }
}

/// Appends a frame whose payload is `parts` one after the other, masked with `mask`.
#[inline]
pub(crate) fn write(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut header = [0; HEADER_MAX];
    header[0] = 0x80 | opcode as u8;
    let at = match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => {
            header[1] = 0x80 | short;
            2
        }
        (_, Ok(medium)) => {
            header[1] = 0x80 | 126;
            header[2..4].copy_from_slice(&medium.to_be_bytes());
            4
        }
        _ => {
            header[1] = 0x80 | 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    header[at..at + 4].copy_from_slice(&mask);
    out.reserve(HEADER_MAX + length);
    out.extend_from_slice(&header[..at + 4]);
    let start = out.len();
    for part in parts {
        out.extend_from_slice(part);
    }
    apply_mask(&mut out[start..], mask);
}

/// A mask of four random bytes that are not all zero, as a browser's would hardly be.
#[inline]
pub(crate) fn random_mask(random: &mut fastrand::Rng) -> [u8; 4] {
    random.u32(1..).to_ne_bytes()
}

#[inline]
fn apply_mask(payload: &mut [u8], mask: [u8; 4]) {
    let half = u64::from(u32::from_ne_bytes(mask));
    let word = half | half << 32;
    let (words, rest) = payload.as_chunks_mut::<8>();
    for eight in words {
        *eight = (u64::from_ne_bytes(*eight) ^ word).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's frame.
    fn server_frame(opcode: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode];
        match length {
            0..=125 => frame.push(length as u8),
            126..=65535 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend((0..length).map(|at| at as u8));
        frame
    }

    #[test]
    fn a_frame_split_anywhere_is_incomplete_and_then_whole() {
        for length in [0, 1, 125, 126, 127, 1000, 65535, 65536, 70000] {
            let whole = server_frame(2, length);
            let step = (whole.len() / 300).max(1);
            for split in (0..whole.len()).step_by(step).chain(0..whole.len().min(16)) {
                match parse(&whole[..split]) {
                    Parsed::Incomplete { needed } => {
                        assert!(needed > split && needed <= whole.len(), "{length} at {split}");
                    }
                    other => panic!("{length} bytes split at {split}: {other:?}"),
                }
            }
            let mut with_next = whole.clone();
            with_next.extend(server_frame(1, 3));
            let expected = Parsed::Frame {
                opcode: Opcode::Binary,
                payload: &whole[whole.len() - length..],
                total: whole.len(),
            };
            assert_eq!(parse(&with_next), expected);
        }
    }

    #[test]
    fn what_a_server_may_not_send_is_malformed() {
        for (what, bytes) in [
            ("fragment", &[0x01, 0][..]),
            ("continuation", &[0x80, 0]),
            ("compressed", &[0xc1, 0]),
            ("masked", &[0x81, 0x81, 1, 2, 3, 4, 5]),
            ("huge", &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            assert!(matches!(parse(bytes), Parsed::Malformed(_)), "{what}");
        }
    }

    #[test]
    fn a_written_frame_unmasks_to_its_parts() {
        for length in [0, 1, 7, 8, 9, 125, 126, 1000, 65535, 65536] {
            let payload: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
            let (left, right) = payload.split_at(length / 3);
            let mut out = vec![9];
            let mask = [1, 2, 3, 250];
            write(&mut out, Opcode::Text, mask, &[left, right]);
            let header = match length {
                0..=125 => 2,
                126..=65535 => 4,
                _ => 10,
            };
            assert_eq!(out[1], 0x81);
            assert_eq!(out[2] & 0x80, 0x80, "masked");
            assert_eq!(out[1 + header..5 + header], mask);
            let unmasked: Vec<u8> = out[5 + header..]
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask)
                .collect();
            assert_eq!(unmasked, payload);
            // The length is the server's parser's to read; ours reads it once the mask bit is off.
            let mut unflagged = out[1..1 + header].to_vec();
            unflagged[1] &= 0x7f;
            unflagged.extend(&payload);
            assert_eq!(
                parse(&unflagged),
                Parsed::Frame { opcode: Opcode::Text, payload: &payload, total: header + length }
            );
        }
    }

    #[test]
    fn a_mask_is_never_zero() {
        let mut random = fastrand::Rng::with_seed(7);
        assert!((0..10_000).all(|_| random_mask(&mut random) != [0; 4]));
    }
}
