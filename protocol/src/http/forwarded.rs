//! `X-Forwarded-For`: through whom a request has come, as each proxy has added its client's address at the
//! end. What a client itself writes there is worth nothing, so it is read from the end, and only as far as
//! the proxies are known: Express does the same with its `trust proxy`.

use std::net::{IpAddr, SocketAddr};

use super::Head;

/// The client's address of a request that has come from `peer`: the last one that no known proxy has, or
/// the first of all if every one is a proxy's. What is no address ends the search at the proxy that said it.
pub fn forwarded_for(head: &Head<'_>, peer: IpAddr, is_proxy: impl Fn(IpAddr) -> bool) -> IpAddr {
    let values = head.headers().filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
    let values: Vec<&str> = values.map(|(_, value)| value).collect();
    let mut client = peer;
    for entry in values.iter().rev().flat_map(|value| value.rsplit(',')) {
        if !is_proxy(client) {
            break;
        }
        match address(entry.trim_matches([' ', '\t'])) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// An address, with or without a port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok();
    let address = address.or_else(|| text.parse().ok().map(|both: SocketAddr| both.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(headers: &str) -> String {
        let raw = format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let head = Head::reparse(raw.as_bytes()).expect("a head");
        let is_proxy = |address: IpAddr| address.to_string().starts_with("10.");
        forwarded_for(&head, "10.0.0.1".parse().unwrap(), is_proxy).to_string()
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        for (headers, expected) in [
            ("", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            ("x-forwarded-for:192.0.2.1 ,10.0.0.2\r\n", "192.0.2.1"),
            // What the client has made up.
            ("X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.0.0.2\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.1"),
            // All of them are proxies.
            ("X-Forwarded-For: 10.0.0.3, 10.0.0.2\r\n", "10.0.0.3"),
            // It was not an address that the proxy has seen.
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1,\r\n", "10.0.0.1"),
            ("X-Forwarded-For: 192.0.2.1, x, 10.0.0.2\r\n", "10.0.0.2"),
            // As some write them.
            ("X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1"),
            ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1"),
            ("X-Forwarded-For: [2001:db8::1]:4711\r\n", "2001:db8::1"),
            ("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1"),
        ] {
            assert_eq!(client(headers), expected, "{headers}");
        }
    }

    #[test]
    fn whoever_is_no_proxy_speaks_for_itself() {
        let raw = "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
        let head = Head::reparse(raw.as_bytes()).expect("a head");
        let peer = "198.51.100.1".parse().unwrap();
        assert_eq!(forwarded_for(&head, peer, |_| false), peer);
    }
}
