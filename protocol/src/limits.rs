//! Every bound on what a peer may make a server hold, with its default. Units are in the names.
//!
//! Defaults that Socket.IO has are Socket.IO's; the others are ours and chosen so that an official
//! client with default settings never meets them.

/// Bounds on one HTTP/1.1 request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Request line and headers together, in bytes; beyond it: 431.
    pub head_bytes_max: usize,
    /// Number of header fields; beyond it: 431.
    pub headers_max: usize,
    /// Request target (path and query), in bytes; beyond it: 414.
    pub target_bytes_max: usize,
    /// Decoded body, in bytes; beyond it: 413. Socket.IO's `maxHttpBufferSize`.
    pub body_bytes_max: usize,
    /// One chunk-size line with its extensions, in bytes; beyond it: 400.
    pub chunk_line_bytes_max: usize,
    /// All trailer fields of a chunked body together, in bytes; beyond it: 431.
    pub trailer_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 * 1024,
            headers_max: 100,
            target_bytes_max: 8 * 1024,
            body_bytes_max: MESSAGE_BYTES_MAX,
            chunk_line_bytes_max: 256,
            trailer_bytes_max: 4 * 1024,
        }
    }
}

/// Socket.IO's default `maxHttpBufferSize`: the largest message, and the largest polling body.
pub const MESSAGE_BYTES_MAX: usize = 1_000_000;

/// Bounds on one WebSocket message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebSocketLimits {
    /// Payload of one message, all its fragments together, in bytes; beyond it: 1009, decided by the
    /// frame's header, before anything is kept. Socket.IO's `maxHttpBufferSize`.
    pub message_bytes_max: usize,
}

impl Default for WebSocketLimits {
    fn default() -> Self {
        Self { message_bytes_max: MESSAGE_BYTES_MAX }
    }
}

/// Payload of one ping, pong or close frame, in bytes: RFC 6455 section 5.5, so not an option.
pub const CONTROL_PAYLOAD_BYTES_MAX: usize = 125;

/// A header of the PROXY protocol, in bytes. Addresses take 28 or 52 of them; balancers add fields, the
/// longest of which are parts of certificates. What is longer has another purpose than ours, so this is no
/// option.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;

/// Bounds on one Socket.IO packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketLimits {
    /// Binary attachments of one packet, as the reference parser counts them.
    pub attachments_max: usize,
    /// Bytes of all attachments of one packet together.
    pub attachment_bytes_max: usize,
    /// Bytes of a namespace's name.
    pub namespace_bytes_max: usize,
    /// Nesting of arrays and objects in the JSON of a packet.
    pub json_depth_max: usize,
}

impl Default for PacketLimits {
    fn default() -> Self {
        Self {
            attachments_max: 10,
            attachment_bytes_max: 10 * MESSAGE_BYTES_MAX,
            namespace_bytes_max: 512,
            json_depth_max: 128,
        }
    }
}

/// Bounds on one message from another node, or from whoever else writes to the same Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterLimits {
    /// The message, in bytes. Redis itself takes 512 MiB.
    pub message_bytes_max: usize,
    /// Nesting of lists and maps in it, never more than 127. Around an event there are up to 3 levels: one
    /// of a client that nests deeper than what is left stays on its node.
    pub depth_max: usize,
    /// Pieces of binary data in one event that become attachments: each costs its placeholder and its
    /// place in a list, however short it is. More than clients may send, as it is the apps that do.
    pub attachments_max: usize,
}

impl Default for ClusterLimits {
    fn default() -> Self {
        Self { message_bytes_max: 16 * 1024 * 1024, depth_max: 127, attachments_max: 1024 }
    }
}

const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize);
