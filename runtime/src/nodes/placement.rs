//! Which node a new client should connect to.

use sha2::{Digest, Sha256};

use super::roll::NodeInfo;

/// Nodes whose load is within this part of the least are as good as that one: a client is not sent elsewhere
/// for a small difference, and many clients at once are not all sent to the same.
const AS_GOOD: f64 = 0.1;
/// The same in clients, for nodes that have few.
const AS_GOOD_CLIENTS: f64 = 10.0;

/// Where a new client should go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment<'n> {
    /// There.
    pub node: &'n NodeInfo,
    /// Or else there, the best first.
    pub alternatives: Vec<&'n NodeInfo>,
}

/// Chooses a node for a new client: one with the least clients for its weight, or with a `key` always the same
/// one for the same key, as long as it is there. Nodes that are draining, or that clients cannot be told the
/// URL of, get none; `None` if no other is left. `dice` is any number.
pub fn assign<'n>(nodes: &'n [NodeInfo], key: Option<&str>, dice: u64) -> Option<Assignment<'n>> {
    let open = nodes.iter().filter(|node| !node.is_draining && node.url.is_some());
    let mut ranked: Vec<(f64, &NodeInfo)> = match key {
        Some(key) => open.map(|node| (distance(node, key), node)).collect(),
        None => open.map(|node| (load(node), node)).collect(),
    };
    ranked.sort_by(|(one, a), (other, b)| one.total_cmp(other).then_with(|| a.uid.cmp(&b.uid)));
    let (least, _) = *ranked.first()?;
    if key.is_none() {
        let limit =
            |node: &NodeInfo| least * (1.0 + AS_GOOD) + AS_GOOD_CLIENTS / f64::from(node.weight);
        let as_good = ranked.iter().take_while(|(load, node)| *load <= limit(node)).count();
        let chosen = usize::try_from(dice % as_good.max(1) as u64).unwrap_or(0);
        ranked[..=chosen].rotate_right(1);
    }
    let mut nodes = ranked.into_iter().map(|(_, node)| node);
    Some(Assignment { node: nodes.next()?, alternatives: nodes.collect() })
}

fn load(node: &NodeInfo) -> f64 {
    node.clients as f64 / f64::from(node.weight)
}

/// Rendezvous hashing: each pair of node and key has a number, and the least counts. Who leaves moves nobody
/// but its own. (Thaler and Ravishankar, 1998; weighted after Schindelhauer and Schomaker, 2005.)
fn distance(node: &NodeInfo, key: &str) -> f64 {
    let place = node.url.as_deref().unwrap_or(&node.uid);
    let digest = Sha256::new().chain_update(place).chain_update([0]).chain_update(key).finalize();
    let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    // In (0, 1): neither end has a logarithm of any use.
    let uniform = ((number >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -uniform.ln() / f64::from(node.weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, clients: u64, weight: u32) -> NodeInfo {
        NodeInfo {
            uid: name.into(),
            slot: 1,
            address: None,
            url: Some(format!("https://{name}.example")),
            version: String::new(),
            clients,
            weight,
            is_draining: false,
            is_self: false,
            silent_ms: 0,
        }
    }

    fn shares(nodes: &[NodeInfo], key: impl Fn(u64) -> Option<String>) -> Vec<usize> {
        let mut shares = vec![0; nodes.len()];
        for dice in 0..10_000 {
            let chosen = assign(nodes, key(dice).as_deref(), dice).unwrap();
            assert_eq!(chosen.alternatives.len(), nodes.len() - 1);
            shares[nodes.iter().position(|node| node == chosen.node).unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn the_least_busy_for_its_weight_gets_it() {
        let nodes = [node("a", 900, 1), node("b", 500, 1), node("c", 700, 2)];
        let chosen = assign(&nodes, None, 0).unwrap();
        assert_eq!(chosen.node.uid, "c");
        let names: Vec<_> = chosen.alternatives.iter().map(|node| &*node.uid).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(shares(&nodes, |_| None), [0, 0, 10_000]);
    }

    #[test]
    fn small_differences_do_not_count() {
        assert_eq!(shares(&[node("a", 1_000, 1), node("b", 1_050, 1)], |_| None), [5_000, 5_000]);
        assert_eq!(shares(&[node("a", 0, 1), node("b", 9, 1)], |_| None), [5_000, 5_000]);
        assert_eq!(shares(&[node("a", 0, 1), node("b", 11, 1)], |_| None), [10_000, 0]);
    }

    #[test]
    fn who_drains_or_has_no_url_gets_nobody() {
        let draining = NodeInfo { is_draining: true, ..node("a", 0, 1) };
        let nameless = NodeInfo { url: None, ..node("b", 0, 1) };
        assert_eq!(assign(&[draining.clone(), nameless.clone()], None, 0), None);
        assert_eq!(assign(&[], Some("key"), 0), None);
        let nodes = [draining, nameless, node("c", 1_000_000, 1)];
        assert_eq!(assign(&nodes, Some("key"), 7).unwrap().node.uid, "c");
    }

    #[test]
    fn a_key_stays_where_it_is_when_others_leave() {
        let all = [node("a", 0, 1), node("b", 0, 1), node("c", 0, 1), node("d", 0, 1)];
        let (mut moved, mut of_d) = (0, 0);
        for number in 0..10_000 {
            let key = number.to_string();
            let before = assign(&all, Some(&key), number).unwrap();
            let after = assign(&all[..3], Some(&key), number + 1).unwrap();
            if before.node.uid == "d" {
                of_d += 1;
                assert_eq!(after.node, before.alternatives[0], "the next best gets it");
            } else {
                moved += usize::from(before.node != after.node);
            }
        }
        assert_eq!(moved, 0);
        assert!((2_300..2_700).contains(&of_d), "{of_d}");
    }

    #[test]
    fn keys_are_shared_by_weight() {
        let nodes = [node("a", 0, 1), node("b", 0, 3)];
        let shares = shares(&nodes, |number| Some(number.to_string()));
        assert!((7_300..7_700).contains(&shares[1]), "{shares:?}");
    }
}
