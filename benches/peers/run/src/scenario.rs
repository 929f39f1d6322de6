//! The scenarios: what the generator is told, who takes part, and what we want to reach.
//!
//! A table only. How a scenario is run stands in `contest.rs`, how its runs are judged in `figures.rs`
//! and `target.rs`.

use serde::Serialize;

use crate::target::Target;

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Scenario {
    /// What the report, the command line and the logs call it.
    pub(crate) name: &'static str,
    /// One sentence for the report.
    pub(crate) what: &'static str,
    /// The generator's scenario.
    pub(crate) load: Load,
    /// Connections that are open at once.
    pub(crate) connections: u32,
    /// Messages each sender keeps on the way.
    pub(crate) outstanding: u32,
    /// Bytes of a message: the WebSocket frame's payload, or the attachment of `binary`.
    pub(crate) payload: u32,
    /// Rooms over which the connections are spread.
    pub(crate) rooms: u32,
    /// Cores the server is pinned to and told of.
    pub(crate) cores: usize,
    /// The servers are two nodes with a Redis between them. Those that can be both are told.
    pub(crate) over_redis: bool,
    /// Seconds the window must have at least, whatever the command line asks for.
    pub(crate) seconds_min: u32,
    /// The same load on one core, for those on two.
    pub(crate) on_one_core: Option<&'static str>,
    /// Names of `peer::PEERS` that take part, in the report's order.
    #[serde(skip)]
    pub(crate) peers: &'static [&'static str],
    /// What Yamabiko wants to reach.
    #[serde(skip)]
    pub(crate) targets: &'static [Target],
}

/// A scenario of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Load {
    /// TCP, upgrade, open, CONNECT, its ack, close; again and again.
    Connects,
    /// Connections in a room that say nothing.
    Idle,
    /// Events with an ack over WebSocket.
    Echo,
    /// The same with one attachment.
    Binary,
    /// The same over long polling.
    Polling,
    /// One room, one sender.
    Fanout,
    /// Many rooms, one sender in each.
    Rooms,
}

impl Load {
    /// The generator's word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Idle => "idle",
            Self::Echo => "echo",
            Self::Binary => "binary",
            Self::Polling => "polling",
            Self::Fanout => "fanout",
            Self::Rooms => "rooms",
        }
    }

    /// What is counted as a message, in the plural.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Fanout | Self::Rooms => "deliveries",
            _ => "messages",
        }
    }
}

impl Scenario {
    /// Seconds of the window when the command line asks for `asked`.
    pub(crate) fn seconds(&self, asked: u32) -> u32 {
        asked.max(self.seconds_min)
    }

    /// Whether it measures connections that say nothing.
    pub(crate) fn is_idle(&self) -> bool {
        self.load == Load::Idle
    }
}

/// Bytes of an echo's frame where the scenario does not say otherwise.
const SMALL: u32 = 64;
/// One ping interval: a shorter window would see heartbeats or not, by chance.
const HEARTBEAT_SECONDS: u32 = 25;

const ONE_CORE: &[&str] =
    &["yamabiko", "floor-epoll", "floor-uring", "uws", "socketioxide", "node"];
const TWO_CORES: &[&str] = &["yamabiko", "floor-epoll", "floor-uring", "socketioxide", "cluster"];
/// The floor's threads share no rooms.
const TWO_CORES_FANOUT: &[&str] = &["yamabiko", "socketioxide", "cluster"];

const OVER_REDIS: &[&str] = &["yamabiko", "node-redis"];

const PLAIN: Scenario = Scenario {
    name: "",
    what: "",
    load: Load::Echo,
    connections: 1,
    outstanding: 1,
    payload: SMALL,
    rooms: 1,
    cores: 1,
    over_redis: false,
    seconds_min: 1,
    on_one_core: None,
    peers: ONE_CORE,
    targets: &[],
};

/// All scenarios, in the report's order.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "connects",
        what: "200 clients at once connect (TCP, upgrade, open, CONNECT, its ack), close and do it again",
        load: Load::Connects,
        connections: 200,
        targets: &[Target::rate(40e3)],
        ..PLAIN
    },
    Scenario {
        name: "idle",
        what: "10,000 connections, each in one room, say nothing for one ping interval",
        load: Load::Idle,
        connections: 10_000,
        seconds_min: HEARTBEAT_SECONDS,
        targets: &[Target::memory(2048.0), Target::idle_cpu(2.0)],
        ..PLAIN
    },
    Scenario {
        name: "echo-50x8",
        what: "50 connections echo 64 bytes with an ack, 8 outstanding each",
        connections: 50,
        outstanding: 8,
        targets: &[Target::rate(1.2e6).in_order()],
        ..PLAIN
    },
    Scenario {
        name: "echo-400x1",
        what: "400 connections echo 64 bytes with an ack, one at a time",
        connections: 400,
        targets: &[Target::rate(265e3)],
        ..PLAIN
    },
    Scenario {
        name: "echo-1000x1",
        what: "1,000 connections echo 64 bytes with an ack, one at a time",
        connections: 1000,
        ..PLAIN
    },
    Scenario {
        name: "binary-50x8",
        what: "50 connections echo an attachment of 1 KiB with an ack, 8 outstanding each",
        load: Load::Binary,
        connections: 50,
        outstanding: 8,
        payload: 1024,
        targets: &[Target::rate(700e3).in_order()],
        ..PLAIN
    },
    Scenario {
        name: "fanout-1000x8",
        what: "one of 1,000 members sends to the room, 8 broadcasts on the way",
        load: Load::Fanout,
        connections: 1000,
        outstanding: 8,
        targets: &[Target::rate(2.3e6)],
        ..PLAIN
    },
    Scenario {
        name: "fanout-1000x1",
        what: "one of 1,000 members sends to the room, each broadcast after all have the last",
        load: Load::Fanout,
        connections: 1000,
        targets: &[Target::rate(330e3)],
        ..PLAIN
    },
    Scenario {
        name: "fanout-10000x1",
        what: "one of 10,000 members sends to the room, each broadcast after all have the last",
        load: Load::Fanout,
        connections: 10_000,
        ..PLAIN
    },
    Scenario {
        name: "rooms-100x10",
        what: "100 rooms of 10, one member of each sends to it, 8 broadcasts on the way in each",
        load: Load::Rooms,
        connections: 1000,
        outstanding: 8,
        rooms: 100,
        targets: &[Target::rate(1.7e6)],
        ..PLAIN
    },
    Scenario {
        name: "polling-100",
        what: "100 connections echo 64 bytes over long polling, a POST and a GET each",
        load: Load::Polling,
        connections: 100,
        targets: &[Target::rate(110e3)],
        ..PLAIN
    },
    Scenario {
        name: "echo-50x8-2",
        what: "the load of echo-50x8 with two cores for the server",
        connections: 50,
        outstanding: 8,
        cores: 2,
        on_one_core: Some("echo-50x8"),
        peers: TWO_CORES,
        targets: &[Target::two_cores(1.1)],
        ..PLAIN
    },
    Scenario {
        name: "echo-400x1-2",
        what: "the load of echo-400x1 with two cores for the server",
        connections: 400,
        cores: 2,
        on_one_core: Some("echo-400x1"),
        peers: TWO_CORES,
        targets: &[Target::two_cores(1.1)],
        ..PLAIN
    },
    Scenario {
        name: "fanout-1000x8-2",
        what: "the load of fanout-1000x8 with two cores for the server",
        load: Load::Fanout,
        connections: 1000,
        outstanding: 8,
        cores: 2,
        on_one_core: Some("fanout-1000x8"),
        peers: TWO_CORES_FANOUT,
        targets: &[Target::two_cores(1.1)],
        ..PLAIN
    },
    Scenario {
        name: "fanout-1000x8-redis",
        what: "the load of fanout-1000x8 on two nodes of a cluster; their Redis is on the same core and counted",
        load: Load::Fanout,
        connections: 1000,
        outstanding: 8,
        over_redis: true,
        peers: OVER_REDIS,
        ..PLAIN
    },
    Scenario {
        name: "rooms-100x10-redis",
        what: "the load of rooms-100x10 on two nodes of a cluster; their Redis is on the same core and counted",
        load: Load::Rooms,
        connections: 1000,
        outstanding: 8,
        rooms: 100,
        over_redis: true,
        peers: OVER_REDIS,
        ..PLAIN
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::peer::PEERS;

    #[test]
    fn names_are_unique_and_point_at_what_exists() {
        let names: HashSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), SCENARIOS.len());
        for scenario in SCENARIOS {
            for peer in scenario.peers {
                assert!(PEERS.iter().any(|known| known.name == *peer), "{peer}");
            }
            assert!(scenario.peers.contains(&"yamabiko"));
        }
    }

    #[test]
    fn two_cores_carry_the_load_of_one() {
        for two in SCENARIOS.iter().filter(|scenario| scenario.cores == 2) {
            let one = two.on_one_core.unwrap();
            let one = SCENARIOS.iter().find(|scenario| scenario.name == one).unwrap();
            assert_eq!((one.cores, one.load, one.connections), (1, two.load, two.connections));
            assert_eq!((one.outstanding, one.payload), (two.outstanding, two.payload));
        }
    }

    #[test]
    fn idle_sees_every_heartbeat_once() {
        let idle = SCENARIOS.iter().find(|scenario| scenario.is_idle()).unwrap();
        assert_eq!((idle.seconds(4), idle.seconds(50)), (25, 50));
    }
}
