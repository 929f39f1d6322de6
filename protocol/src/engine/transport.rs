//! The transports a session can use, by their names on the wire.

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP long-polling, JSONP included.
    Polling,
    /// WebSocket.
    WebSocket,
}

impl Transport {
    /// The value of the query parameter `transport`, also what applications see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Which transports a server offers. Both, unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transports {
    /// HTTP long-polling.
    pub polling: bool,
    /// WebSocket.
    pub websocket: bool,
}

impl Transports {
    /// The enabled transport of that name. Names are compared whole: nothing a client writes here
    /// reaches a table of properties (CVE-2023-31125 was `constructor`).
    pub fn enabled(self, name: &str) -> Option<Transport> {
        match name {
            "polling" if self.polling => Some(Transport::Polling),
            "websocket" if self.websocket => Some(Transport::WebSocket),
            _ => None,
        }
    }
}

impl Default for Transports {
    fn default() -> Self {
        Self { polling: true, websocket: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabled_names_are_transports() {
        let both = Transports::default();
        for transport in [Transport::Polling, Transport::WebSocket] {
            assert_eq!(both.enabled(transport.name()), Some(transport));
        }
        let none = Transports { polling: false, websocket: false };
        for name in ["polling", "websocket", "webtransport", "", "Polling", "constructor"] {
            assert_eq!(none.enabled(name), None, "{name}");
        }
    }
}
