//! The payload of close frames (RFC 6455 sections 5.5.1 and 7.4).

use super::{CloseCode, Violation};
use crate::limits::CONTROL_PAYLOAD_BYTES_MAX;

/// The longest reason that fits beside its code, in bytes.
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_PAYLOAD_BYTES_MAX - 2;

/// Code and reason of a close frame's unmasked payload.
pub(super) fn parse(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::CloseTruncated) };
    };
    let code = u16::from_be_bytes(*code);
    if !may_be_sent(code) {
        return Err(Violation::CloseCode(code));
    }
    let reason = std::str::from_utf8(reason).map_err(|_| Violation::InvalidCloseReason)?;
    Ok(Some((CloseCode::from(code), reason)))
}

/// Whether the code may be on the wire: the codes registered with IANA, except those that only stand
/// for "no code", "no close frame" and "TLS failed", and the ranges of libraries and applications.
pub(super) fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_verdict() {
        // 1004 is reserved; 1005, 1006 and 1015 only stand for events; 1016 to 2999 are nobody's yet.
        for code in 0..=u16::MAX {
            let right = (1000..1015).contains(&code) && ![1004, 1005, 1006].contains(&code)
                || (3000..5000).contains(&code);
            let bytes = code.to_be_bytes();
            let expected = if right {
                Ok(Some((CloseCode::from(code), "")))
            } else {
                Err(Violation::CloseCode(code))
            };
            assert_eq!(parse(&bytes), expected);
            // tungstenite's opinion differs only where it does not know 1014, Bad Gateway.
            assert_eq!(right, CloseCode::from(code).is_allowed() || code == 1014);
        }
    }
}
