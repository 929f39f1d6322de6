//! Which shard a connection comes to, with `steer_by_cpu` and without: clients on a core of their own, and
//! what each shard says it has accepted.

#![allow(clippy::unwrap_used)]

use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use yamabiko_protocol::parser::Event;
use yamabiko_runtime::{
    Application, DisconnectReason, NamespaceId, Ready, Settings, SocketKey, SocketState, serve,
};

/// Connections from one core: were each shard as likely as the other, all would come to one shard once
/// in 2⁶³ tries.
const CONNECTIONS: usize = 64;

/// Serves nobody.
struct Silent;

impl Application for Silent {
    fn namespaces(&self) -> Vec<String> {
        Vec::new()
    }

    fn connect(&self, _: SocketKey, _: NamespaceId, _: Option<&str>) {}

    fn event(&self, _: SocketKey, _: NamespaceId, _: Option<&SocketState>, _: &Event<'_>) {}

    fn disconnect(
        &self,
        _: SocketKey,
        _: NamespaceId,
        _: Option<&SocketState>,
        _: DisconnectReason,
    ) {
    }
}

/// A node inside the test's process; it ends with the process.
fn node(listen: SocketAddr, shards: usize, steer_by_cpu: bool) -> Ready {
    let settings = Settings { listen, shards: Some(shards), steer_by_cpu, ..Settings::default() };
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let silent = |_| Rc::new(Silent) as Rc<dyn Application>;
        serve(settings, silent, move |ready| sender.send(ready).unwrap()).unwrap();
    });
    receiver.recv().expect("it starts")
}

/// The cores that the node may use, in the order of its shards.
fn cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// What each shard has accepted.
fn accepted(node: &Ready) -> Vec<u64> {
    node.metrics.iter().map(|shard| shard.connections_accepted.value()).collect()
}

/// Connects from one core, and tells how many of these connections each shard has accepted.
fn accepted_from(core: usize, node: &Ready) -> Vec<u64> {
    let before = accepted(node);
    let address = node.address;
    let client = thread::spawn(move || {
        let mut here = CpuSet::new();
        here.set(core);
        sched_setaffinity(None, &here).unwrap();
        (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>()
    });
    let clients = client.join().unwrap();
    let expected = before.iter().sum::<u64>() + clients.len() as u64;
    let patience = Instant::now() + Duration::from_secs(10);
    while accepted(node).iter().sum::<u64>() < expected {
        assert!(Instant::now() < patience, "connections are lost: {:?}", accepted(node));
        thread::sleep(Duration::from_millis(5));
    }
    accepted(node).iter().zip(before).map(|(after, before)| after - before).collect()
}

#[test]
fn a_steered_connection_comes_to_the_shard_on_its_core() {
    // Of both families, as one listener may serve both.
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let cores = cores();
        let node = node(listen.parse().unwrap(), cores.len(), true);
        for (shard, core) in cores.iter().enumerate() {
            let mut expected = vec![0; cores.len()];
            expected[shard] = CONNECTIONS as u64;
            assert_eq!(accepted_from(*core, &node), expected, "core {core}");
        }
    }
}

#[test]
fn without_steering_every_shard_gets_some_from_any_core() {
    let node = node(([127, 0, 0, 1], 0).into(), 2, false);
    for core in cores() {
        let accepted = accepted_from(core, &node);
        assert!(accepted.iter().all(|count| *count > 0), "core {core}: {accepted:?}");
    }
}

#[test]
fn more_shards_than_cores_are_not_steered_and_lose_nothing() {
    let cores = cores();
    let node = node(([127, 0, 0, 1], 0).into(), cores.len() + 1, true);
    let accepted = accepted_from(cores[0], &node);
    assert!(accepted.iter().filter(|count| **count > 0).count() > 1, "{accepted:?}");
}

#[test]
fn a_core_without_a_shard_is_served_by_the_others() {
    let node = node(([127, 0, 0, 1], 0).into(), 1, true);
    for core in cores() {
        assert_eq!(accepted_from(core, &node), [CONNECTIONS as u64]);
    }
}
