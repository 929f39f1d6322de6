//! A header of the PROXY protocol: in any pieces the same, and what is read of a client can be written
//! again and reads as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use yamabiko_protocol::limits::PROXY_HEADER_BYTES_MAX;
use yamabiko_protocol::proxy::{CRC32C, Header, SIGNATURE, Sender, write};

fuzz_target!(|input: &[u8]| {
    check(input);
    // Else hardly an input would get past it.
    check(&[&SIGNATURE[..], input].concat());
});

fn check(bytes: &[u8]) {
    let whole = Header::read(bytes);
    for len in 0..bytes.len() {
        match (Header::read(&bytes[..len]), whole) {
            (Ok(None), _) => {}
            (Ok(Some((header, end))), Ok(Some(expected))) => {
                assert!(end <= len);
                assert_eq!((header, end), expected);
            }
            (Err(early), Err(late)) => assert_eq!(early, late),
            (early, late) => panic!("{early:?}, then {late:?}"),
        }
    }
    if let Ok(Some((header, len))) = whole {
        assert!(len <= bytes.len() && len <= PROXY_HEADER_BYTES_MAX);
        assert_eq!(header.raw(), &bytes[..len]);
        sound(&header);
    }
}

fn sound(header: &Header<'_>) {
    let mut end = None;
    for tlv in header.tlvs() {
        assert!(end.is_none_or(|end| end == tlv.at), "fields follow each other");
        assert_eq!(&header.raw()[tlv.end() - tlv.value.len()..tlv.end()], tlv.value);
        end = Some(tlv.end());
    }
    assert!(end.is_none_or(|end| end == header.raw().len()));
    let Sender::Client { source, destination } = header.sender() else { return };
    let tlvs: Vec<_> = header.tlvs().map(|tlv| (tlv.kind, tlv.value)).collect();
    let mut again = Vec::new();
    write(&mut again, source, destination, &tlvs);
    assert!(again.len() <= header.raw().len(), "IPv4 inside IPv6 gets shorter, nothing longer");
    if tlvs.iter().any(|(kind, _)| *kind == CRC32C) && again != header.raw() {
        return;
    }
    let (read, len) = Header::read(&again).expect("a header").expect("the whole of it");
    assert_eq!(len, again.len());
    let Sender::Client { source: from, destination: to } = read.sender() else {
        panic!("{:?}", read.sender())
    };
    assert_eq!(from.ip().to_canonical(), source.ip().to_canonical());
    assert_eq!(to.ip().to_canonical(), destination.ip().to_canonical());
    assert_eq!((from.port(), to.port()), (source.port(), destination.port()));
    assert!(read.tlvs().map(|tlv| (tlv.kind, tlv.value)).eq(tlvs));
}
