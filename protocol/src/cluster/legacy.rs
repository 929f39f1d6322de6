//! MessagePack as it was before it had binary data: the dialect of `msgpack-js`, which the first emitters
//! (`socket.io-emitter` 1) and adapters (`socket.io-redis` 1) write.
//!
//! It has three markers of its own that mean something else today. Each has a modern one for the same,
//! with a length of the same size, so that a message is corrected where it lies.

use super::malformed::Malformed;

/// Turns a message in the dialect of `msgpack-js` into MessagePack of today, in place: `undefined`
/// becomes nil, a `Buffer` binary data.
///
/// Nothing in a message tells which dialect it is in. So this is for what a decoder has refused: a message
/// with one of these markers nearly always is no message at all when read as MessagePack of today. (The
/// exception, a `Buffer` of exactly 15 bytes, [`Broadcast::decode`](super::classic::Broadcast::decode)
/// knows and refuses.)
///
/// # Errors
/// [`Malformed::Syntax`] if it is no message in that dialect, either, or has none of these markers. It is
/// then as it was.
pub fn modernise(message: &mut [u8]) -> Result<(), Malformed> {
    // Nothing is changed before all of it was read.
    let changes = walk(message, |_, _| ()).ok_or(Malformed::Syntax)?;
    if changes == 0 {
        return Err(Malformed::Syntax);
    }
    walk(message, |marker, modern| *marker = modern);
    Ok(())
}

/// Goes through the one value that the message is, and calls `change` at each marker of the dialect's own;
/// returns how many there are, or `None` if it is no such value.
fn walk(message: &mut [u8], mut change: impl FnMut(&mut u8, u8)) -> Option<usize> {
    let (mut at, mut left, mut changes) = (0_usize, 1_usize, 0_usize);
    while left > 0 {
        left -= 1;
        let marker = *message.get(at)?;
        let number = |len: usize| {
            let bytes = message.get(at + 1..at + 1 + len)?;
            Some(bytes.iter().fold(0_usize, |number, &byte| number << 8 | usize::from(byte)))
        };
        // How many bytes follow the marker, and how many values.
        let (bytes, values) = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 | 0xc4 => (0, 0),
            0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
            0x90..=0x9f => (0, usize::from(marker & 0x0f)),
            0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
            0xcc | 0xd0 => (1, 0),
            0xcd | 0xd1 => (2, 0),
            0xca | 0xce | 0xd2 => (4, 0),
            0xcb | 0xcf | 0xd3 => (8, 0),
            0xd8 | 0xda => (2 + number(2)?, 0),
            0xd9 | 0xdb => (4_usize.checked_add(number(4)?)?, 0),
            0xdc => (2, number(2)?),
            0xdd => (4, number(4)?),
            0xde => (2, 2 * number(2)?),
            0xdf => (4, number(4)?.checked_mul(2)?),
            _ => return None,
        };
        let end = at.checked_add(1)?.checked_add(bytes)?;
        left = left.checked_add(values)?;
        // Each value takes a byte at least.
        if end > message.len() || left > message.len() - end {
            return None;
        }
        let modern = match marker {
            0xc4 => Some(0xc0),
            0xd8 => Some(0xc5),
            0xd9 => Some(0xc6),
            _ => None,
        };
        if let Some(modern) = modern {
            changes += 1;
            change(&mut message[at], modern);
        }
        at = end;
    }
    (at == message.len()).then_some(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_markers_are_replaced() {
        let mut message =
            b"\x94\xc4\xd8\0\x02\xc4\xd8\xd9\0\0\0\x01\xd9\x81\xa1\xc4\xda\0\x01\xc4".to_vec();
        modernise(&mut message).unwrap();
        assert_eq!(
            message,
            b"\x94\xc0\xc5\0\x02\xc4\xd8\xc6\0\0\0\x01\xd9\x81\xa1\xc4\xda\0\x01\xc4"
        );
    }

    #[test]
    fn whatever_else_stays_as_it_was() {
        for other in [
            &b""[..],
            b"\x93\x01\xa1a\xc0",
            b"\x92\xc4",
            b"\xc4\xc4",
            b"\xd8\0\x03ab",
            b"\xd9\xff\xff\xff\xffab",
            b"\xdd\xff\xff\xff\xff\xc4",
            b"\xdf\xff\xff\xff\xff\xc4\xc4",
            b"\x92\xc4\xc7\x01\0a",
        ] {
            let mut message = other.to_vec();
            assert_eq!(modernise(&mut message), Err(Malformed::Syntax), "{other:02x?}");
            assert_eq!(message, other);
        }
    }
}
