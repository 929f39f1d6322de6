//! The handshake packet: the first thing a client hears.

use std::fmt::Write as _;

use super::id::SessionId;
use super::settings::Settings;
use super::transport::Transport;

/// The open packet of a session that starts on `transport`, `0{…}`: exactly five keys, in the order
/// of the reference.
pub fn packet(sid: SessionId, transport: Transport, settings: &Settings) -> String {
    let upgrades = match transport {
        Transport::Polling if settings.allow_upgrades && settings.transports.websocket => {
            "\"websocket\""
        }
        Transport::Polling | Transport::WebSocket => "",
    };
    let mut out = String::with_capacity(160);
    // The alphabet of ids needs no escapes.
    write!(
        out,
        r#"0{{"sid":"{sid}","upgrades":[{upgrades}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
        settings.ping_interval_ms, settings.ping_timeout_ms, settings.max_payload,
    )
    .expect("writing to a String cannot fail");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::transport::Transports;

    fn sid() -> SessionId {
        SessionId::parse("fsUa2hpngZvtLS5GAAAA").expect("an id")
    }

    #[test]
    fn the_handshake_is_the_references_byte_by_byte() {
        assert_eq!(
            packet(sid(), Transport::Polling, &Settings::default()),
            r#"0{"sid":"fsUa2hpngZvtLS5GAAAA","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}"#
        );
    }

    #[test]
    fn upgrades_are_offered_only_where_they_exist() {
        let defaults = Settings::default();
        let no_upgrades = Settings { allow_upgrades: false, ..defaults.clone() };
        let transports = Transports { polling: true, websocket: false };
        let no_websocket = Settings { transports, ..defaults.clone() };
        for (transport, settings) in [
            (Transport::WebSocket, &defaults),
            (Transport::Polling, &no_upgrades),
            (Transport::Polling, &no_websocket),
        ] {
            let packet = packet(sid(), transport, settings);
            assert!(packet.contains(r#""upgrades":[],"#), "{packet}");
        }
    }
}
