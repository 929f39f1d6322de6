//! The options of a server that its sessions share.
//!
//! A session holds them behind one pointer, so an idle session pays eight bytes for all of them.

use super::transport::Transports;
use crate::limits::MESSAGE_BYTES_MAX;

/// Options of the Engine.IO layer. Names and defaults are Engine.IO's where it has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// From the handshake, or the last pong, to the next ping of revision 4.
    pub ping_interval_ms: u64,
    /// How long a pong may take. Revision 3 waits for `ping_interval_ms + ping_timeout_ms`.
    pub ping_timeout_ms: u64,
    /// How long a WebSocket may take to replace polling.
    pub upgrade_timeout_ms: u64,
    /// How long a closing polling session waits for the poll that carries the close packet.
    pub close_timeout_ms: u64,
    /// What the handshake advertises as `maxPayload`, in bytes: must be what the server enforces on
    /// polling bodies and WebSocket messages, because clients split their batches by it.
    pub max_payload: usize,
    /// Transports offered.
    pub transports: Transports,
    /// Whether the handshake offers upgrades. An attempt to upgrade is accepted either way.
    pub allow_upgrades: bool,
    /// Whether revision 3 is accepted.
    pub allow_eio3: bool,
    /// Bytes that may wait for a poll, counted with what each packet costs in memory; beyond it the
    /// session is closed. Ours: the reference has no such bound.
    pub buffer_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ping_interval_ms: 25_000,
            ping_timeout_ms: 20_000,
            upgrade_timeout_ms: 10_000,
            close_timeout_ms: 30_000,
            max_payload: MESSAGE_BYTES_MAX,
            transports: Transports::default(),
            allow_upgrades: true,
            allow_eio3: false,
            buffer_bytes_max: BUFFER_BYTES_MAX,
        }
    }
}

/// Default of [`Settings::buffer_bytes_max`].
const BUFFER_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

// A message of the largest size a peer may send must be able to go back out.
const _: () = assert!(BUFFER_BYTES_MAX > MESSAGE_BYTES_MAX);
