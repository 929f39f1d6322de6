//! A request's body, by length or in chunks, in any pieces.
//!
//! The input's first line is `chunked` or a length; the rest is what the connection delivers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cuts;
use yamabiko_protocol::http::{BodyDecoder, BodyLength, HttpError};
use yamabiko_protocol::limits::HttpLimits;

const LIMITS: HttpLimits = HttpLimits {
    head_bytes_max: 256,
    headers_max: 8,
    target_bytes_max: 64,
    body_bytes_max: 512,
    chunk_line_bytes_max: 32,
    trailer_bytes_max: 64,
};

fuzz_target!(|input: &[u8]| {
    let line_end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    let wire = input.get(line_end + 1..).unwrap_or_default();
    let length = match std::str::from_utf8(&input[..line_end]).map(str::parse) {
        Ok(Ok(length)) => BodyLength::Length(length),
        _ => BodyLength::Chunked,
    };
    let Ok(decoder) = BodyDecoder::new(length, &LIMITS) else {
        let BodyLength::Length(length) = length else { panic!("refused without a length") };
        assert!(length > LIMITS.body_bytes_max as u64);
        return;
    };
    let whole = decode(&decoder, &[wire]);
    for pieces in cuts(wire) {
        assert_eq!(decode(&decoder, &pieces), whole);
    }
    if let Some(body) = decoder.whole(wire) {
        assert_eq!(whole, Ok((body.len(), true, body.to_vec())));
    }
    if let (BodyLength::Length(length), Ok((taken, is_done, _))) = (length, &whole) {
        assert_eq!(*is_done, wire.len() as u64 >= length);
        assert!(*taken as u64 <= length);
    }
});

/// Bytes taken, whether the body is complete, and the body; or why not.
type Decoded = Result<(usize, bool, Vec<u8>), HttpError>;

fn decode(decoder: &BodyDecoder, pieces: &[&[u8]]) -> Decoded {
    let mut decoder = decoder.clone();
    let mut body = Vec::new();
    let (mut taken, mut is_done) = decoder.decode(b"", &mut body)?;
    for piece in pieces {
        if is_done {
            break;
        }
        let (len, done) = decoder.decode(piece, &mut body)?;
        assert!(done || len == piece.len(), "bytes are left over, but the body is not complete");
        assert!(body.len() <= LIMITS.body_bytes_max);
        taken += len;
        is_done = done;
    }
    Ok((taken, is_done, body))
}
