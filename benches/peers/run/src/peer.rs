//! The peers: what they are and how they come to be. Building them is `workshop.rs`, running `server.rs`.

/// The name of the one that is compared with all others.
pub(crate) const OURS: &str = "yamabiko";

/// A server that takes part.
#[derive(Debug)]
pub(crate) struct Peer {
    /// What the report, the command line and the logs call it.
    pub(crate) name: &'static str,
    /// One line for the report.
    pub(crate) what: &'static str,
    /// How it is made and started.
    pub(crate) recipe: Recipe,
    /// Whom it is compared with on one core, when that is somebody else.
    pub(crate) on_one_core: Option<&'static str>,
}

/// How a peer is made and started. Directories are below the repository's root.
#[derive(Debug)]
pub(crate) enum Recipe {
    /// An npm package, of which one script is started.
    Node {
        directory: &'static str,
        script: &'static str,
        /// Packages whose versions the report names.
        packages: &'static [&'static str],
    },
    /// A package of a Cargo workspace.
    Cargo {
        directory: &'static str,
        /// `None`: the workspace's only one.
        package: Option<&'static str>,
        binary: &'static str,
        arguments: &'static [&'static str],
        /// Packages whose versions the report names, from the workspace's lock file. None: the commit
        /// is named instead.
        packages: &'static [&'static str],
    },
}

/// Directory of the peers that run on Node.
const NODE: &str = "benches/peers/node";

/// All peers, in the report's order.
pub(crate) const PEERS: &[Peer] = &[
    Peer {
        name: OURS,
        what: "Yamabiko, public API only",
        recipe: Recipe::Cargo {
            directory: ".",
            package: Some("yamabiko-bench-server"),
            binary: "yamabiko-bench-server",
            arguments: &[],
            packages: &[],
        },
        on_one_core: None,
    },
    floor(
        "floor-epoll",
        "answers the same bytes and does nothing else, on epoll",
        &["--engine", "epoll"],
    ),
    floor(
        "floor-uring",
        "answers the same bytes and does nothing else, on io_uring",
        &["--engine", "uring"],
    ),
    Peer {
        name: "uws",
        what: "Socket.IO for Node on µWebSockets.js",
        recipe: Recipe::Node {
            directory: NODE,
            script: "uws.mjs",
            packages: &["socket.io", "uwebsockets"],
        },
        on_one_core: None,
    },
    Peer {
        name: "socketioxide",
        what: "socketioxide on axum and tokio",
        recipe: Recipe::Cargo {
            directory: "benches/peers/socketioxide",
            package: None,
            binary: "socketioxide",
            arguments: &[],
            packages: &["socketioxide", "axum", "tokio"],
        },
        on_one_core: None,
    },
    Peer {
        name: "node",
        what: "Socket.IO for Node on its default engine",
        recipe: Recipe::Node { directory: NODE, script: "server.mjs", packages: &["socket.io"] },
        on_one_core: None,
    },
    Peer {
        name: "cluster",
        what: "Socket.IO for Node as two worker processes with sticky sessions",
        recipe: Recipe::Node {
            directory: NODE,
            script: "cluster.mjs",
            packages: &["socket.io", "@socket.io/sticky", "@socket.io/cluster-adapter"],
        },
        on_one_core: Some("node"),
    },
    Peer {
        name: "node-redis",
        what: "Socket.IO for Node as two processes with the Redis adapter, and their redis-server",
        recipe: Recipe::Node {
            directory: NODE,
            script: "redis.mjs",
            packages: &["socket.io", "@socket.io/redis-adapter"],
        },
        on_one_core: None,
    },
];

/// The floor with one of its engines.
const fn floor(name: &'static str, what: &'static str, arguments: &'static [&'static str]) -> Peer {
    let recipe = Recipe::Cargo {
        directory: "benches/peers/floor",
        package: None,
        binary: "floor",
        arguments,
        packages: &[],
    };
    Peer { name, what, recipe, on_one_core: None }
}

impl Peer {
    /// Whether a name of the command line means this one: its own, or that of its family (`floor`).
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name == name || self.name.split_once('-').is_some_and(|(family, _)| family == name)
    }

    /// The peer whose one-core runs its two-core runs are held against.
    pub(crate) fn one_core_peer(&self) -> &'static str {
        self.on_one_core.unwrap_or(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_all_its_engines() {
        let floor: Vec<_> =
            PEERS.iter().filter(|peer| peer.answers_to("floor")).map(|peer| peer.name).collect();
        assert_eq!(floor, ["floor-epoll", "floor-uring"]);
        let one: Vec<_> = PEERS
            .iter()
            .filter(|peer| peer.answers_to("floor-uring"))
            .map(|peer| peer.name)
            .collect();
        assert_eq!(one, ["floor-uring"]);
    }

    #[test]
    fn the_cluster_is_held_against_node() {
        let cluster = PEERS.iter().find(|peer| peer.name == "cluster").unwrap();
        assert_eq!(cluster.one_core_peer(), "node");
        assert_eq!(PEERS[0].one_core_peer(), OURS);
    }
}
