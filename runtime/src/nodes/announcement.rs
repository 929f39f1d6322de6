//! What a node says of itself.

use std::net::SocketAddr;

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// An announcement of a node is a few hundred bytes.
const BYTES_MAX: usize = 4096;
/// Hexadecimal digits of a signature behind the JSON, after a line break.
const PROOF_CHARS: usize = 64;

/// Why it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Occasion {
    /// It has just come, and wants to know who else is there.
    Hello,
    /// It is still there.
    Here,
    /// It leaves.
    Bye,
}

/// What a node says of itself. Members that are not known here are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    pub(crate) occasion: Occasion,
    /// The node's name, by which its messages are known too.
    pub(crate) uid: Box<str>,
    /// The number that its ids carry.
    pub(crate) slot: u16,
    /// How long it has been there, by its own clock.
    pub(crate) age_ms: u64,
    /// Where it takes connections that other nodes pass on, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<SocketAddr>,
    /// Where clients reach it, if that is nobody else's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<Box<str>>,
    #[serde(default)]
    pub(crate) version: Box<str>,
    /// Clients that it has.
    #[serde(default)]
    pub(crate) clients: u64,
    /// How many of them it should have, beside others.
    #[serde(default = "one")]
    pub(crate) weight: u32,
    /// New clients should go elsewhere.
    #[serde(default)]
    pub(crate) is_draining: bool,
}

fn one() -> u32 {
    1
}

/// The channel on which the nodes of a cluster announce themselves. Nothing of Node's is called like it.
pub(crate) fn channel(prefix: &str) -> String {
    format!("yamabiko#{prefix}#nodes")
}

impl Announcement {
    pub(crate) fn encode(&self, secret: Option<&Hmac<Sha256>>) -> Vec<u8> {
        let mut out = serde_json::to_vec(self).expect("numbers and text are always JSON");
        if let Some(secret) = secret {
            let proof = secret.clone().chain_update(&out).finalize().into_bytes();
            out.push(b'\n');
            out.extend(proof.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
        }
        out
    }

    /// Reads what somebody says; with a secret only what was signed with it.
    pub(crate) fn decode(
        message: &[u8],
        secret: Option<&Hmac<Sha256>>,
    ) -> Result<Self, &'static str> {
        if message.len() > BYTES_MAX {
            return Err("it is too long");
        }
        let end = message.iter().position(|byte| *byte == b'\n');
        let (json, proof) = message.split_at(end.unwrap_or(message.len()));
        if let Some(secret) = secret {
            let proof = read_proof(proof).ok_or("it is not signed")?;
            let signed = secret.clone().chain_update(json);
            signed.verify_slice(&proof).map_err(|_| "it is signed with another secret")?;
        }
        let it: Self = serde_json::from_slice(json).map_err(|_| "it cannot be read")?;
        match it.uid.is_empty() || it.weight == 0 {
            true => Err("it cannot be true"),
            false => Ok(it),
        }
    }
}

fn read_proof(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_prefix(b"\n").filter(|digits| digits.len() == PROOF_CHARS)?;
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use hmac::KeyInit;

    pub(crate) fn of(uid: &str, slot: u16, age_ms: u64) -> Announcement {
        Announcement {
            occasion: Occasion::Here,
            uid: uid.into(),
            slot,
            age_ms,
            address: Some(([10, 0, 0, slot.to_be_bytes()[1]], 3001).into()),
            url: None,
            version: "1".into(),
            clients: 0,
            weight: 1,
            is_draining: false,
        }
    }

    fn secret(text: &str) -> Hmac<Sha256> {
        Hmac::new_from_slice(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_was_said_is_read() {
        let said = Announcement { url: Some("https://a".into()), ..of("a", 7, 5) };
        for secret in [None, Some(secret("a secret that nodes share"))] {
            let message = said.encode(secret.as_ref());
            assert_eq!(Announcement::decode(&message, secret.as_ref()), Ok(said.clone()));
        }
        // A node without the secret believes everybody.
        let message = said.encode(Some(&secret("a secret that nodes share")));
        assert_eq!(Announcement::decode(&message, None), Ok(said));
        let later = br#"{"occasion":"here","uid":"b","slot":1,"age_ms":0,"more":[1]}"#;
        let it = Announcement::decode(later, None).unwrap();
        assert_eq!((it.weight, it.address, it.is_draining), (1, None, false));
    }

    #[test]
    fn nobody_speaks_for_another() {
        let ours = secret("a secret that nodes share");
        let message = of("a", 7, 5).encode(Some(&ours));
        for bit in 0..message.len() * 8 {
            let mut forged = message.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            // Upper case is the same digit.
            let is_same =
                forged.eq_ignore_ascii_case(&message) && bit / 8 > message.len() - PROOF_CHARS;
            assert_eq!(Announcement::decode(&forged, Some(&ours)).is_ok(), is_same, "bit {bit}");
        }
        let unsigned = of("a", 7, 5).encode(None);
        assert_eq!(Announcement::decode(&unsigned, Some(&ours)), Err("it is not signed"));
        let other = of("a", 7, 5).encode(Some(&secret("a secret of other nodes")));
        assert_eq!(
            Announcement::decode(&other, Some(&ours)),
            Err("it is signed with another secret")
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for nonsense in [&b""[..], b"\n", b"{}", b"[]", b"\xff", b"{\"uid\":\"a\"}", &[b'['; 5000]]
        {
            assert!(Announcement::decode(nonsense, None).is_err());
        }
        for odd in [Announcement { weight: 0, ..of("a", 1, 0) }, of("", 1, 0)] {
            assert_eq!(Announcement::decode(&odd.encode(None), None), Err("it cannot be true"));
        }
    }
}
