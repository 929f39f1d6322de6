//! The PROXY protocol, version 2: who a connection really comes from, said by whoever passes it on, in a
//! header before its first byte (haproxy.org, `proxy-protocol.txt`, section 2.2).
//!
//! It owns the header's bytes both ways: addresses of TCP over IPv4 and IPv6, and the fields of any type
//! and value behind them (TLVs), with the checksum among them. It refuses to know whom to believe: a header
//! is a claim, and whether its sender may make it is for the caller to find out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// What every header begins with. No request of HTTP does.
pub const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The type of the field with the checksum of the header (section 2.2.3).
pub const CRC32C: u8 = 0x03;
/// The type of the field in which one of our nodes proves to another that it is one; one of those that
/// anybody may give a meaning (section 2.2.7).
pub const PROOF: u8 = 0xe0;
/// The type of the field that says how many nodes have passed the connection on, in one byte.
pub const HOPS: u8 = 0xe1;

/// Signature, version and command, family, length.
const FIXED_BYTES: usize = 16;
/// Type and length of a field.
const TLV_HEAD_BYTES: usize = 3;

const VERSION: u8 = 0x20;
const COMMAND_LOCAL: u8 = 0x0;
const COMMAND_PROXY: u8 = 0x1;
/// Address family and transport, in one byte.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// A header that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    raw: &'a [u8],
    tlvs_at: usize,
    sender: Sender,
}

/// Who is at the other end, according to a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Whoever has sent the header speaks for itself: its health is checked that way.
    Itself,
    /// Somebody of whom the header does not say an address of TCP.
    Unknown,
    /// A client, and the address it has connected to.
    Client {
        /// The client's own address.
        source: SocketAddr,
        /// The address that the client has connected to.
        destination: SocketAddr,
    },
}

/// A field behind the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
    /// Where it begins in the header.
    pub at: usize,
}

/// Why something is no header. The peer's fault, each of them; the connection cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin with the signature.
    NoSignature,
    /// A version other than 2.
    Version(u8),
    /// Neither LOCAL nor PROXY.
    Command(u8),
    /// A family or transport that does not exist.
    Family(u8),
    /// It is longer than [`PROXY_HEADER_BYTES_MAX`].
    TooLong(usize),
    /// It ends inside the addresses.
    Addresses,
    /// It ends inside a field.
    Tlv,
    /// Its checksum is another one than that of its bytes.
    Checksum,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::NoSignature => {
                f.write_str("it begins with no header of the PROXY protocol 2")
            }
            Malformed::Version(version) => write!(f, "its header is of version {version}"),
            Malformed::Command(command) => write!(f, "its header has command {command}"),
            Malformed::Family(family) => write!(f, "its header has the family {family:#04x}"),
            Malformed::TooLong(len) => write!(f, "its header has {len} bytes"),
            Malformed::Addresses => f.write_str("its header ends inside the addresses"),
            Malformed::Tlv => f.write_str("its header ends inside a field"),
            Malformed::Checksum => f.write_str("its header has another checksum"),
        }
    }
}

impl std::error::Error for Malformed {}

impl<'a> Header<'a> {
    /// Reads the header that `bytes` begin with, and how long it is; `None` while it is not whole.
    ///
    /// # Errors
    /// [`Malformed`], as early as the bytes tell.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let known = bytes.len().min(SIGNATURE.len());
        if bytes[..known] != SIGNATURE[..known] {
            return Err(Malformed::NoSignature);
        }
        let command = match bytes.get(12) {
            Some(byte) if byte & 0xf0 != VERSION => return Err(Malformed::Version(byte >> 4)),
            Some(byte) if byte & 0x0f > COMMAND_PROXY => {
                return Err(Malformed::Command(byte & 0x0f));
            }
            Some(byte) => byte & 0x0f,
            None => return Ok(None),
        };
        let family = match bytes.get(13) {
            Some(byte) if byte >> 4 > 3 || byte & 0x0f > 2 => return Err(Malformed::Family(*byte)),
            Some(byte) => *byte,
            None => return Ok(None),
        };
        let Some(length) = bytes.get(14..FIXED_BYTES) else { return Ok(None) };
        let len = FIXED_BYTES + usize::from(u16::from_be_bytes([length[0], length[1]]));
        if len > PROXY_HEADER_BYTES_MAX {
            return Err(Malformed::TooLong(len));
        }
        let Some(raw) = bytes.get(..len) else { return Ok(None) };
        Self::whole(raw, command, family).map(|header| Some((header, len)))
    }

    fn whole(raw: &'a [u8], command: u8, family: u8) -> Result<Self, Malformed> {
        let body = &raw[FIXED_BYTES..];
        let addresses = address_bytes(family);
        if command == COMMAND_LOCAL || addresses == 0 {
            // What such a header says of addresses is to be passed over, whatever it is: fields are
            // looked for where they ought to be, and there may be something else.
            let sender = if command == COMMAND_LOCAL { Sender::Itself } else { Sender::Unknown };
            let tlvs_at = FIXED_BYTES + addresses.min(body.len());
            return match (Self { raw, tlvs_at, sender }).checked() {
                Err(Malformed::Tlv) => Ok(Self { raw, tlvs_at: raw.len(), sender }),
                checked => checked,
            };
        }
        if body.len() < addresses {
            return Err(Malformed::Addresses);
        }
        let sender = match family {
            TCP_OVER_IPV4 => client::<4>(body, |octets| Ipv4Addr::from(octets).into()),
            TCP_OVER_IPV6 => client::<16>(body, |octets| Ipv6Addr::from(octets).into()),
            _ => Some(Sender::Unknown),
        };
        let sender = sender.ok_or(Malformed::Addresses)?;
        Self { raw, tlvs_at: FIXED_BYTES + addresses, sender }.checked()
    }

    /// Who is at the other end.
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// The header as it came.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The fields behind the addresses, in their order.
    pub fn tlvs(&self) -> impl Iterator<Item = Tlv<'a>> + use<'a> {
        let (raw, mut at) = (self.raw, self.tlvs_at);
        std::iter::from_fn(move || {
            let tlv = Tlv::read(raw, at)?;
            at = tlv.end();
            Some(tlv)
        })
    }

    /// The first field of this type.
    pub fn tlv(&self, kind: u8) -> Option<Tlv<'a>> {
        self.tlvs().find(|tlv| tlv.kind == kind)
    }

    /// Every field is whole, and the checksum fits if there is one.
    fn checked(self) -> Result<Self, Malformed> {
        let end = self.tlvs().last().map_or(self.tlvs_at, |tlv| tlv.end());
        if end != self.raw.len() {
            return Err(Malformed::Tlv);
        }
        let Some(tlv) = self.tlv(CRC32C) else { return Ok(self) };
        let Ok(told) = <[u8; 4]>::try_from(tlv.value) else { return Err(Malformed::Tlv) };
        let at = tlv.at + TLV_HEAD_BYTES;
        let sum = crc32c(&[&self.raw[..at], &[0; 4], &self.raw[at + 4..]]);
        if sum == u32::from_be_bytes(told) { Ok(self) } else { Err(Malformed::Checksum) }
    }
}

impl<'a> Tlv<'a> {
    fn read(raw: &'a [u8], at: usize) -> Option<Self> {
        let head = raw.get(at..at + TLV_HEAD_BYTES)?;
        let from = at + TLV_HEAD_BYTES;
        let len = usize::from(u16::from_be_bytes([head[1], head[2]]));
        Some(Self { kind: head[0], value: raw.get(from..from + len)?, at })
    }

    /// Where it ends in the header.
    pub fn end(&self) -> usize {
        self.at + TLV_HEAD_BYTES + self.value.len()
    }
}

/// Writes a header for a client's connection, with these fields behind the addresses. Their values must
/// leave it below [`PROXY_HEADER_BYTES_MAX`], which is the caller's business; those that do not are left out.
///
/// Two addresses of different families are written as IPv6.
pub fn write(out: &mut Vec<u8>, source: SocketAddr, destination: SocketAddr, tlvs: &[(u8, &[u8])]) {
    let begin = out.len();
    out.extend_from_slice(&SIGNATURE);
    out.push(VERSION | COMMAND_PROXY);
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            out.extend_from_slice(&[TCP_OVER_IPV4, 0, 0]);
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        (source, destination) => {
            out.extend_from_slice(&[TCP_OVER_IPV6, 0, 0]);
            out.extend_from_slice(&in_ipv6(source).octets());
            out.extend_from_slice(&in_ipv6(destination).octets());
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    for (kind, value) in tlvs {
        if out.len() - begin + TLV_HEAD_BYTES + value.len() > PROXY_HEADER_BYTES_MAX {
            continue;
        }
        out.push(*kind);
        out.extend_from_slice(&(value.len() as u16).to_be_bytes());
        out.extend_from_slice(value);
    }
    let len = (out.len() - begin - FIXED_BYTES) as u16;
    out[begin + 14..begin + FIXED_BYTES].copy_from_slice(&len.to_be_bytes());
}

/// How long the addresses of a family are.
fn address_bytes(family: u8) -> usize {
    match family >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    }
}

/// Two addresses of `N` bytes, then two ports.
fn client<const N: usize>(body: &[u8], address: impl Fn([u8; N]) -> IpAddr) -> Option<Sender> {
    let part = |at: usize| body.get(at..at + N)?.try_into().ok().map(&address);
    let port = |at: usize| Some(u16::from_be_bytes(*body.get(at..)?.first_chunk()?));
    Some(Sender::Client {
        source: SocketAddr::new(part(0)?, port(2 * N)?),
        destination: SocketAddr::new(part(N)?, port(2 * N + 2)?),
    })
}

fn in_ipv6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// CRC32c (RFC 9260 appendix A), bit by bit: a header has a few dozen bytes, once in a connection's life.
fn crc32c(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.iter().copied().flatten() {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

const _: () = assert!(PROXY_HEADER_BYTES_MAX <= FIXED_BYTES + u16::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(source: &str, destination: &str, tlvs: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, source.parse().unwrap(), destination.parse().unwrap(), tlvs);
        out
    }

    /// A header of any command and family with this behind the fixed part.
    fn raw(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = (body.len() as u16).to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    fn refusal(bytes: &[u8]) -> Malformed {
        Header::read(bytes).expect_err("it is malformed")
    }

    #[test]
    fn the_bytes_are_those_of_the_specification() {
        let bytes = header("192.0.2.1:4660", "198.51.100.7:443", &[(HOPS, &[1])]);
        let expected = [
            &b"\r\n\r\n\0\r\nQUIT\n"[..],
            &[0x21, 0x11, 0, 16, 192, 0, 2, 1, 198, 51, 100, 7, 0x12, 0x34, 0x01, 0xbb],
            &[0xe1, 0, 1, 1],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn what_comes_behind_a_header_is_not_its_own() {
        let mut bytes = header("192.0.2.1:1", "192.0.2.2:2", &[]);
        let len = bytes.len();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
        let (header, consumed) = Header::read(&bytes).unwrap().expect("it is whole");
        assert_eq!((consumed, header.raw()), (len, &bytes[..len]));
        assert_eq!(header.tlvs().count(), 0);
    }

    #[test]
    fn addresses_of_two_families_go_as_ipv6() {
        let bytes = header("192.0.2.1:1", "[2001:db8::1]:2", &[]);
        let (header, _) = Header::read(&bytes).unwrap().expect("it is whole");
        let Sender::Client { source, destination } = header.sender() else { panic!("a client") };
        assert_eq!(source, "[::ffff:192.0.2.1]:1".parse().unwrap());
        assert_eq!(destination, "[2001:db8::1]:2".parse().unwrap());
        // A listener for both families sees IPv4 so.
        let mapped = self::header("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2", &[]);
        assert_eq!(mapped, self::header("192.0.2.1:1", "192.0.2.2:2", &[]));
    }

    #[test]
    fn a_health_check_speaks_for_itself() {
        let strange = [raw(0x20, 0, &[9; 7]), raw(0x20, 0x11, &[9; 5]), raw(0x20, 0x11, &[9; 13])];
        for bytes in [raw(0x20, 0, &[]), raw(0x20, 0x11, &[0; 12])].iter().chain(&strange) {
            let (header, len) = Header::read(bytes).unwrap().expect("it is whole");
            assert_eq!((header.sender(), len), (Sender::Itself, bytes.len()));
            assert_eq!(header.tlvs().count(), 0);
        }
        let bytes = raw(0x20, 0, &[PROOF, 0, 2, 7, 8]);
        let (header, _) = Header::read(&bytes).unwrap().expect("it is whole");
        assert_eq!(header.tlv(PROOF), Some(Tlv { kind: PROOF, value: &[7, 8], at: 16 }));
    }

    #[test]
    fn other_families_tell_no_address() {
        let unix = raw(0x21, 0x31, &[0; 216]);
        for bytes in [
            raw(0x21, 0, &[]),
            raw(0x21, 0, &[9; 9]),
            raw(0x21, 0x12, &[0; 12]),
            raw(0x21, 0x22, &[0; 36]),
            unix,
        ] {
            let (header, _) = Header::read(&bytes).unwrap().expect("it is whole");
            assert_eq!(header.sender(), Sender::Unknown, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_by_the_first_byte_that_is() {
        for (bytes, expected) in [
            (b"GET / HTTP/1.1\r\n".to_vec(), Malformed::NoSignature),
            (b"\r\n\r\n\0\r\nQUIT\r".to_vec(), Malformed::NoSignature),
            (b"PROXY TCP4 192.0.2.1".to_vec(), Malformed::NoSignature),
            ([&SIGNATURE[..], &[0x11]].concat(), Malformed::Version(1)),
            ([&SIGNATURE[..], &[0x22]].concat(), Malformed::Command(2)),
            ([&SIGNATURE[..], &[0x21, 0x41]].concat(), Malformed::Family(0x41)),
            ([&SIGNATURE[..], &[0x21, 0x13]].concat(), Malformed::Family(0x13)),
            ([&SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(), Malformed::TooLong(65_551)),
            (raw(0x21, 0x11, &[0; 11]), Malformed::Addresses),
            (raw(0x21, 0x21, &[0; 35]), Malformed::Addresses),
            (raw(0x21, 0x31, &[0; 215]), Malformed::Addresses),
            (raw(0x21, 0x11, &[0; 14]), Malformed::Tlv),
            (raw(0x21, 0x11, &[&[0; 12][..], &[HOPS, 0, 2, 1]].concat()), Malformed::Tlv),
            (raw(0x21, 0x11, &[&[0; 12][..], &[CRC32C, 0, 1, 1]].concat()), Malformed::Tlv),
        ] {
            assert_eq!(refusal(&bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_checksum_is_checked() {
        // RFC 9260 has no example; this is RFC 3720's, section B.4.
        assert_eq!(crc32c(&[&[0; 32]]), 0x8a91_36aa);
        let mut bytes = header("192.0.2.1:1", "192.0.2.2:2", &[(CRC32C, &[0; 4]), (HOPS, &[2])]);
        let sum = crc32c(&[&bytes]).to_be_bytes();
        let at = FIXED_BYTES + 12 + TLV_HEAD_BYTES;
        assert_eq!(refusal(&bytes), Malformed::Checksum);
        bytes[at..at + 4].copy_from_slice(&sum);
        let (header, _) = Header::read(&bytes).unwrap().expect("it is whole");
        assert_eq!(header.tlv(HOPS).map(|tlv| tlv.value), Some(&[2][..]));
        bytes[FIXED_BYTES] ^= 1;
        assert_eq!(refusal(&bytes), Malformed::Checksum);
    }

    #[test]
    fn a_field_that_does_not_fit_is_left_out() {
        let long = vec![7; PROXY_HEADER_BYTES_MAX];
        let bytes = header("192.0.2.1:1", "192.0.2.2:2", &[(0xe5, &long), (HOPS, &[1])]);
        let (header, _) = Header::read(&bytes).unwrap().expect("it is whole");
        assert_eq!(header.tlvs().map(|tlv| tlv.kind).collect::<Vec<_>>(), [HOPS]);
    }

    fn any_tlvs() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        // The checksum's own type apart, which has to fit.
        prop::collection::vec((4u8.., prop::collection::vec(any::<u8>(), 0..100)), 0..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(source: SocketAddr, destination: SocketAddr, tlvs in any_tlvs()) {
            let canonical = |it: SocketAddr| SocketAddr::new(it.ip().to_canonical(), it.port());
            let borrowed: Vec<_> = tlvs.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            let mut bytes = b"before".to_vec();
            write(&mut bytes, source, destination, &borrowed);
            let (header, len) = Header::read(&bytes[6..]).unwrap().expect("it is whole");
            prop_assert_eq!(len, bytes.len() - 6);
            let Sender::Client { source: from, destination: to } = header.sender() else {
                return Err(TestCaseError::fail("no client"));
            };
            prop_assert_eq!(canonical(from), canonical(source));
            prop_assert_eq!(canonical(to), canonical(destination));
            let read: Vec<_> = header.tlvs().map(|tlv| (tlv.kind, tlv.value)).collect();
            prop_assert_eq!(read, borrowed);
        }

        #[test]
        fn a_part_of_a_header_is_not_whole(source: SocketAddr, tlvs in any_tlvs(), cut: prop::sample::Index) {
            let borrowed: Vec<_> = tlvs.iter().map(|(kind, value)| (*kind, &value[..])).collect();
            let mut bytes = Vec::new();
            write(&mut bytes, source, source, &borrowed);
            prop_assert_eq!(Header::read(&bytes[..cut.index(bytes.len())]), Ok(None));
        }

        #[test]
        fn reading_is_total(start in 0usize..=16, mut bytes: Vec<u8>) {
            let valid = header("192.0.2.1:1", "192.0.2.2:2", &[(HOPS, &[1])]);
            bytes.splice(0..0, valid[..start].iter().copied());
            if let Ok(Some((header, len))) = Header::read(&bytes) {
                prop_assert!(len <= bytes.len() && len <= PROXY_HEADER_BYTES_MAX);
                prop_assert!(header.tlvs().all(|tlv| tlv.end() <= len));
            }
        }
    }
}
