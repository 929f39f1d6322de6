//! WebSocket frames (RFC 6455, section 5): masked ones in, bare ones out.
//!
//! It refuses to know fragments and extensions, which no client of the benchmark sends.

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// What the front of the bytes received is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<'a> {
    /// A frame, unmasked in place, and how many bytes it took.
    Frame { opcode: u8, payload: &'a [u8], used: usize },
    /// More bytes are needed.
    Partial,
    /// Nothing a client may send: an unmasked frame, or a part of a message.
    Broken,
}

/// Takes one frame from the front. Bytes stay masked until their frame is complete.
#[inline]
pub(crate) fn take(bytes: &mut [u8]) -> Taken<'_> {
    let [first, second, ..] = *bytes else { return Taken::Partial };
    if first & 0x80 == 0 || second & 0x80 == 0 {
        return Taken::Broken;
    }
    let (mask_at, length) = match second & 0x7f {
        126 => match bytes.get(2..4) {
            Some(&[high, low]) => (4, usize::from(u16::from_be_bytes([high, low]))),
            _ => return Taken::Partial,
        },
        127 => match bytes.get(2..10).and_then(|length| <[u8; 8]>::try_from(length).ok()) {
            Some(length) => (10, u64::from_be_bytes(length) as usize),
            None => return Taken::Partial,
        },
        short => (2, usize::from(short)),
    };
    let start = mask_at + 4;
    let Some(used) = length.checked_add(start) else { return Taken::Broken };
    let Some(frame) = bytes.get_mut(..used) else { return Taken::Partial };
    let (head, payload) = frame.split_at_mut(start);
    let mask = [head[mask_at], head[mask_at + 1], head[mask_at + 2], head[mask_at + 3]];
    unmask(payload, mask);
    Taken::Frame { opcode: first & 0x0f, payload, used }
}

/// Eight bytes at a time.
#[inline]
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let word = u64::from(u32::from_ne_bytes(mask)) * 0x1_0000_0001;
    let (words, end) = payload.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, mask) in end.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= mask;
    }
}

/// Appends a frame whose payload is the parts, one after the other.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    out.reserve(length + 10);
    let first = 0x80 | opcode;
    match length {
        0..126 => out.extend_from_slice(&[first, length as u8]),
        126..0x1_0000 => {
            let [high, low] = (length as u16).to_be_bytes();
            out.extend_from_slice(&[first, 126, high, low]);
        }
        _ => {
            out.extend_from_slice(&[first, 127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, opcode, &[payload]);
        let start = bytes.len() - payload.len();
        bytes[1] |= 0x80;
        bytes.splice(start..start, [1, 2, 3, 4]);
        for (byte, mask) in bytes[start + 4..].iter_mut().zip([1, 2, 3, 4].into_iter().cycle()) {
            *byte ^= mask;
        }
        bytes
    }

    #[test]
    fn every_length_comes_back_whole_and_only_whole() {
        for length in [0, 1, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 70_001] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut bytes = masked(BINARY, &payload);
            let used = bytes.len();
            for cut in [1, 2, 3, 9, used - 1].into_iter().filter(|cut| *cut < used) {
                assert_eq!(take(&mut bytes[..cut]), Taken::Partial, "{length} cut at {cut}");
            }
            bytes.push(0x81);
            let whole = Taken::Frame { opcode: BINARY, payload: &payload, used };
            assert_eq!(take(&mut bytes), whole, "{length}");
        }
    }

    #[test]
    fn what_no_client_may_send_is_broken() {
        assert_eq!(take(&mut [0x81, 0x00]), Taken::Broken);
        assert_eq!(take(&mut [0x01, 0x80, 1, 2, 3, 4]), Taken::Broken);
        let mut endless = [0xff; 14];
        assert_eq!(take(&mut endless), Taken::Broken);
    }
}
