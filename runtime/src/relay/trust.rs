//! Who may say whose a connection is: by its address, and for nodes of the cluster by a secret they share.
//!
//! The secret does not travel. A node signs the header it sends, with the client's address and the number
//! of hops in it (HMAC-SHA256), in a field that comes last. Who can read the cluster's network could send
//! such a header again: it vouches for its sender, and keeps nothing secret.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use sha2::Sha256;
use yamabiko_protocol::http::{Head, forwarded_for};
use yamabiko_protocol::proxy::{self, Header, Sender};

use super::origin::{HOPS_MAX, Origin};
use crate::entrance::Entrance;
use crate::settings::{Secret, Settings};

const PROOF_BYTES: usize = 32;

/// Whom this node believes.
pub(crate) struct Trust {
    secret: Option<Hmac<Sha256>>,
    peers: Vec<IpNet>,
    proxies: Vec<IpNet>,
    /// Connections of proxies begin with a header.
    proxies_greet: bool,
    /// Requests of proxies name their clients.
    proxies_name: bool,
}

/// Why a header is not believed. Whoever sent it is a stranger, or its settings are not ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// There is no proof, and one is needed.
    NoProof,
    /// The proof is that of other bytes or another secret.
    WrongProof,
    /// The number of hops is none that a node would send.
    Hops,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doubt::NoProof => "it does not prove that it knows the secret",
            Doubt::WrongProof => "its proof is made with another secret",
            Doubt::Hops => "it does not say how far the connection has come, or too far",
        })
    }
}

impl Trust {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            secret: settings.cluster.secret.as_ref().map(signer),
            peers: settings.cluster.peers.clone(),
            proxies: settings.trusted_proxies.clone(),
            proxies_greet: settings.proxy_protocol,
            proxies_name: settings.forwarded_for,
        }
    }

    /// Whether all who come in here speak for themselves.
    pub(crate) fn is_plain(&self, entrance: Entrance) -> bool {
        entrance == Entrance::Clients && !self.proxies_greet
    }

    /// Whether somebody with this address may be one of those who are expected here.
    pub(super) fn may_come(&self, entrance: Entrance, address: IpAddr) -> bool {
        match entrance {
            Entrance::Cluster if self.peers.is_empty() => self.secret.is_some(),
            Entrance::Cluster => is_in(&self.peers, address),
            Entrance::Clients => is_in(&self.proxies, address),
        }
    }

    /// Whose a request is that has come from `peer`. A proxy's own port says nothing of its client's.
    pub(super) fn client_of(&self, peer: SocketAddr, head: &Head<'_>) -> SocketAddr {
        if !self.proxies_name {
            return peer;
        }
        let client = forwarded_for(head, peer.ip(), |address| is_in(&self.proxies, address));
        if client == peer.ip() { peer } else { SocketAddr::new(client, 0) }
    }

    /// Whose a connection is whose sender may come in here.
    pub(super) fn judge(&self, entrance: Entrance, header: &Header<'_>) -> Result<Origin, Doubt> {
        let address = match header.sender() {
            Sender::Client { source, .. } => {
                Some(SocketAddr::new(source.ip().to_canonical(), source.port()))
            }
            Sender::Itself | Sender::Unknown => None,
        };
        if entrance == Entrance::Clients {
            return Ok(Origin { address, hops: 0 });
        }
        self.prove(header)?;
        let hops = match header.tlv(proxy::HOPS).map(|tlv| tlv.value) {
            Some(&[hops @ 1..=HOPS_MAX]) => hops,
            _ => return Err(Doubt::Hops),
        };
        Ok(Origin { address, hops })
    }

    fn prove(&self, header: &Header<'_>) -> Result<(), Doubt> {
        let Some(secret) = &self.secret else { return Ok(()) };
        let proof = header.tlv(proxy::PROOF).ok_or(Doubt::NoProof)?;
        if proof.end() != header.raw().len() {
            return Err(Doubt::WrongProof);
        }
        // It takes as long for every wrong proof.
        let signed = secret.clone().chain_update(&header.raw()[..proof.at]);
        signed.verify_slice(proof.value).map_err(|_| Doubt::WrongProof)
    }

    /// Writes the header of a connection that this node passes on.
    pub(super) fn write_header(
        &self,
        out: &mut Vec<u8>,
        source: SocketAddr,
        destination: SocketAddr,
        hops: u8,
    ) {
        let hops = (proxy::HOPS, &[hops][..]);
        let Some(secret) = &self.secret else {
            return proxy::write(out, source, destination, &[hops]);
        };
        let begin = out.len();
        let proof = (proxy::PROOF, &[0; PROOF_BYTES][..]);
        proxy::write(out, source, destination, &[hops, proof]);
        let at = out.len() - PROOF_BYTES;
        // Without the field's own type and length.
        let signed = secret.clone().chain_update(&out[begin..at - 3]).finalize();
        out[at..].copy_from_slice(&signed.into_bytes());
    }
}

fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

pub(crate) fn signer(secret: &Secret) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(secret: Option<&str>, peers: &[&str]) -> Trust {
        let secret = secret.map(|secret| signer(&Secret::from(secret)));
        let peers = peers.iter().map(|it| it.parse().unwrap()).collect();
        Trust { secret, peers, proxies: Vec::new(), proxies_greet: false, proxies_name: false }
    }

    fn header(trust: &Trust, hops: u8) -> Vec<u8> {
        let mut out = Vec::new();
        let (source, destination) = ("192.0.2.1:4660", "198.51.100.7:443");
        trust.write_header(&mut out, source.parse().unwrap(), destination.parse().unwrap(), hops);
        out
    }

    fn judged(trust: &Trust, bytes: &[u8]) -> Result<Origin, Doubt> {
        let (header, _) = Header::read(bytes).unwrap().expect("it is whole");
        trust.judge(Entrance::Cluster, &header)
    }

    #[test]
    fn a_header_of_ours_is_believed() {
        for trust in [trust(Some("a secret that nodes share"), &[]), trust(None, &["10.0.0.0/8"])] {
            for hops in [1, 2] {
                let address = Some("192.0.2.1:4660".parse().unwrap());
                assert_eq!(judged(&trust, &header(&trust, hops)), Ok(Origin { address, hops }));
            }
            for hops in [0, 3, 255] {
                assert_eq!(judged(&trust, &header(&trust, hops)), Err(Doubt::Hops));
            }
        }
    }

    #[test]
    fn no_bit_of_a_header_can_be_changed() {
        let trust = trust(Some("a secret that nodes share"), &[]);
        let bytes = header(&trust, 1);
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Some((header, _))) = Header::read(&forged) {
                assert!(trust.judge(Entrance::Cluster, &header).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_stranger_has_no_proof() {
        let ours = trust(Some("a secret that nodes share"), &[]);
        let other = trust(Some("a secret of other nodes"), &[]);
        assert_eq!(judged(&ours, &header(&other, 1)), Err(Doubt::WrongProof));
        assert_eq!(judged(&ours, &header(&trust(None, &[]), 1)), Err(Doubt::NoProof));
        // Something behind it that is not signed.
        let mut longer = header(&ours, 1);
        longer.extend_from_slice(&[proxy::HOPS, 0, 1, 2]);
        longer[15] += 4;
        assert_eq!(judged(&ours, &longer), Err(Doubt::WrongProof));
    }

    #[test]
    fn addresses_are_those_of_the_list_if_there_is_one() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let listed = trust(None, &["10.1.0.0/16", "2001:db8::/32", "192.0.2.7/32"]);
        for (text, may_come) in [
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(listed.may_come(Entrance::Cluster, address(text)), may_come, "{text}");
        }
        assert!(trust(Some("a secret"), &[]).may_come(Entrance::Cluster, address("10.2.0.1")));
        assert!(!trust(None, &[]).may_come(Entrance::Cluster, address("10.2.0.1")));
        assert!(!trust(None, &["0.0.0.0/0"]).may_come(Entrance::Clients, address("10.2.0.1")));
    }
}
