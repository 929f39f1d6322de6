//! Counters of one shard: written by the shard alone, read from anywhere.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter or gauge with one writer: reading it elsewhere sees a recent value.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning shard may call this, which is why it needs no locked instruction.
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts `n`, for gauges.
    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(n), Ordering::Relaxed);
    }

    /// The current value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! shard_metrics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one shard counts. Gauges say so; everything else only grows.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct ShardMetrics {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl ShardMetrics {
            /// Every name with its value, in declaration order.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)*]
            }
        }
    };
}

shard_metrics! {
    /// Gauge: open TCP connections.
    connections,
    /// Gauge: open Engine.IO sessions.
    sessions,
    /// Gauge: Socket.IO sockets connected to a namespace.
    sockets,
    /// Gauge: rooms with members on this shard.
    rooms,
    /// Gauge: namespaces with sockets on this shard.
    namespaces,
    /// Gauge: handlers that wait (tasks).
    tasks,
    /// Connections accepted by this shard's listener.
    connections_accepted,
    /// Connections refused because of the connection limit or a lack of descriptors.
    connections_refused,
    /// Connections that moved here from another shard of the node.
    handoffs_in,
    /// Connections that moved to another shard of the node.
    handoffs_out,
    /// Gauge: connections of clients that are passed on to other nodes. Each of them counts twice among
    /// `connections`: it, and ours to the other node.
    relays,
    /// Connections of clients that were passed on to other nodes.
    relays_out,
    /// Connections of clients that other nodes have passed on to this one.
    relays_in,
    /// Requests for other nodes that were refused here, as their node could not be reached or they had come
    /// too far.
    relays_failed,
    /// Times that one side of a relayed connection was not read from, as the other was slow (limit
    /// `relay_bytes_max`).
    relays_held,
    /// Bytes of clients passed on to other nodes.
    relay_bytes_out,
    /// Bytes of other nodes passed on to clients.
    relay_bytes_in,
    /// Connections closed that were expected from another node or a proxy, and were not from one.
    strangers,
    /// HTTP requests read.
    requests,
    /// Engine.IO sessions opened.
    sessions_opened,
    /// Engine.IO handshakes and requests refused with an error body.
    requests_refused,
    /// Socket.IO events received.
    events_in,
    /// Socket.IO events and acknowledgements sent, counted once per receiver.
    events_out,
    /// Bytes received.
    bytes_in,
    /// Bytes given to the kernel.
    bytes_out,
    /// HTTP requests that broke the protocol or a limit.
    http_errors,
    /// WebSocket frames that broke the protocol or a limit.
    websocket_errors,
    /// Engine.IO packets that broke the protocol.
    engine_errors,
    /// Socket.IO packets that broke the protocol or a limit.
    socket_errors,
    /// Handlers that panicked.
    handler_panics,
    /// Requests to join a namespace refused because there were too many (limit `dynamic_namespaces_max`).
    namespaces_refused,
    /// Gauge: clients that are away and may come back.
    recoverable,
    /// Sockets restored to clients that came back.
    recovered,
    /// Events and absent clients let go of before their time (limits `log_bytes_max`, `sessions_max`).
    recovery_dropped,
    /// Volatile packets dropped because the transport was not writable.
    volatile_dropped,
    /// Connections closed because their outbox was over its limit.
    outbox_overflows,
    /// Requests that took too long to arrive.
    request_timeouts,
    /// Answers that their clients did not take in time.
    response_timeouts,
    /// Broadcasts dropped because another shard's mesh line stayed full.
    mesh_dropped,
    /// Receives that found no free buffer and were armed again.
    buffers_exhausted,
    /// Times the timers were moved on: the sign that the shard lives.
    ticks,
    /// Times the supervisor woke the shard because its ticks had stopped.
    pulses,
    /// Turns of the loop that found work.
    turns,
    /// Times the shard went to sleep.
    sleeps,
}
