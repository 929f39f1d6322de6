//! Bytes as text, for what has to be text in Redis: base64 (RFC 4648 section 4).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::cluster::malformed::Malformed;

/// With padding; without it, it is read as well, as Node does.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Puts into `bytes` what `text` stands for, in place of what is there.
pub(super) fn read(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), Malformed> {
    bytes.clear();
    BASE64.decode_vec(text, bytes).map_err(|_| Malformed::Syntax)
}

/// Appends `bytes` as text.
pub(super) fn write(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    let len = base64::encoded_len(bytes.len(), true).expect("less than half of all addresses");
    out.resize(start + len, 0);
    BASE64.encode_slice(bytes, &mut out[start..]).expect("as long as it said");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_written_is_read_with_or_without_padding() {
        for len in 0..9 {
            let bytes: Vec<u8> = (0..len).map(|byte| byte * 31).collect();
            let mut text = b"x".to_vec();
            write(&mut text, &bytes);
            let padded = &text[1..];
            let bare = padded.trim_ascii_end().strip_suffix(b"==").unwrap_or(padded);
            for text in [padded, bare, bare.strip_suffix(b"=").unwrap_or(bare)] {
                let mut read_again = b"left over".to_vec();
                read(text, &mut read_again).unwrap();
                assert_eq!(read_again, bytes);
            }
        }
    }
}
