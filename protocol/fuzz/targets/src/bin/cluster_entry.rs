//! An entry of a stream: names and values of its fields by turns, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_fuzz_targets::cluster::TIGHT;
use yamabiko_protocol::cluster::streams::{STREAM, Streams, entry};
use yamabiko_protocol::cluster::{Envelope, Unwritable};
use yamabiko_protocol::limits::ClusterLimits;

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
    let fields = || lines.chunks_exact(2).map(|pair| (pair[0], pair[1]));
    let limits = ClusterLimits::default();
    let mut scratch = Vec::new();
    let Ok(envelope) = entry::decode(fields(), &mut scratch, &limits) else {
        return assert!(entry::decode(fields(), &mut Vec::new(), &TIGHT).is_err());
    };
    let streams = Streams::new(STREAM, 5);
    assert!(streams.all().contains(&streams.of(&envelope.namespace)));
    for only_plaintext in [false, true] {
        comes_back(&envelope, only_plaintext, &limits);
    }
});

fn comes_back(envelope: &Envelope<'_>, only_plaintext: bool, limits: &ClusterLimits) {
    let mut out = Vec::new();
    let fields = match entry::encode(envelope, only_plaintext, &mut out) {
        Ok(fields) => fields,
        Err(error) => return assert_eq!(error, Unwritable::Key),
    };
    let kind = fields.kind.to_string();
    let pairs: [(&[u8], &[u8]); 4] = [
        (b"uid", fields.uid.as_bytes()),
        (b"nsp", fields.nsp.as_bytes()),
        (b"type", kind.as_bytes()),
        (b"data", fields.data),
    ];
    let mut scratch = Vec::new();
    let again = entry::decode(pairs, &mut scratch, limits).expect("what we write");
    assert_eq!((&again.sender, &again.namespace), (&envelope.sender, &envelope.namespace));
    let mut twice = Vec::new();
    let again = entry::encode(&again, only_plaintext, &mut twice).expect("what we read");
    assert_eq!(again, fields);
}
