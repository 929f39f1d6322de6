//! What nodes tell each other of a socket: Node's `RemoteSocket`, and ours.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value as Json, json};
use yamabiko_protocol::cluster::{Names, RemoteSocket, Value};
use yamabiko_protocol::http::Head;

use crate::emit::Handshake;
use crate::inquiry::SocketInfo;

/// A socket of this node as others are told of it.
pub(super) struct Portrait {
    id: String,
    rooms: Vec<String>,
    handshake: String,
    data: Box<str>,
}

impl Portrait {
    pub(super) fn of(info: SocketInfo) -> Self {
        let SocketInfo { id, rooms, handshake, data, .. } = info;
        let data = data.unwrap_or_else(|| "{}".into());
        Self { id, rooms, handshake: written(&handshake).to_string(), data }
    }

    pub(super) fn lend(&self) -> RemoteSocket<'_> {
        RemoteSocket {
            id: Cow::Borrowed(&self.id),
            handshake: Some(Value::json(&self.handshake)),
            rooms: Names::from(&self.rooms[..]),
            data: Some(Value::json(&self.data)),
        }
    }
}

/// A socket of another node as this one's handlers see it; `None` if too little is told of it.
pub(super) fn seen(socket: &RemoteSocket<'_>) -> Option<SocketInfo> {
    let handshake = socket.handshake.map(|value| read(&json_of(&value)?)).unwrap_or_default()?;
    Some(SocketInfo {
        id: socket.id.clone().into_owned(),
        shard: None,
        rooms: socket.rooms.iter().map(Cow::into_owned).collect(),
        handshake,
        data: socket.data.and_then(|data| json_of(&data)).map(|data| data.to_string().into()),
    })
}

/// A value without its binary data, which JSON has no place for.
fn json_of(value: &Value<'_>) -> Option<Json> {
    let (mut text, mut attachments) = (Vec::new(), Vec::new());
    value.write_json(&mut text, &mut attachments, usize::MAX).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A handshake as Node has it.
fn written(handshake: &Handshake) -> Json {
    let (mut headers, mut query) = (Map::new(), Map::new());
    let mut url = String::from("/");
    if let Some(head) = Head::reparse(&handshake.head) {
        url = head.target().into();
        for (name, value) in head.headers() {
            let name = name.to_ascii_lowercase();
            let between = if name == "cookie" { "; " } else { ", " };
            match headers.get_mut(&name) {
                Some(Json::String(before)) => {
                    before.push_str(between);
                    before.push_str(value);
                }
                _ => drop(headers.insert(name, value.into())),
            }
        }
        for (name, value) in head.query().pairs() {
            match query.get_mut(&*name) {
                Some(Json::Array(values)) => values.push(value.into()),
                Some(before) => *before = json!([before.take(), value]),
                None => drop(query.insert(name.into(), value.into())),
            }
        }
    }
    let issued = handshake.issued_ms;
    let time = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(issued));
    let auth = handshake.auth.as_deref().and_then(|auth| serde_json::from_str(auth).ok());
    json!({
        "xdomain": headers.contains_key("origin"),
        "headers": headers,
        "time": time,
        "address": handshake.address.ip().to_canonical().to_string(),
        "secure": false,
        "issued": issued,
        "url": url,
        "query": query,
        "auth": auth.unwrap_or_else(|| json!({})),
    })
}

/// The other way round: the request is written again, as it may have been.
fn read(handshake: &Json) -> Option<Handshake> {
    let url = handshake.get("url").and_then(Json::as_str).unwrap_or_default();
    let headers = handshake.get("headers").and_then(Json::as_object).into_iter().flatten();
    let address = handshake.get("address").and_then(Json::as_str).unwrap_or_default();
    let ip = address.parse::<IpAddr>().unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let eio = handshake.pointer("/query/EIO").and_then(Json::as_str);
    let head = head(url, headers.filter_map(|(name, value)| Some((&**name, value.as_str()?))));
    // What cannot be a request's head is as good as none.
    let head = if Head::reparse(&head).is_some() { head } else { self::head("/", []) };
    Some(Handshake {
        address: address.parse().unwrap_or(SocketAddr::new(ip, 0)),
        head,
        issued_ms: handshake.get("issued").and_then(Json::as_u64).unwrap_or_default(),
        auth: handshake.get("auth").filter(|auth| !auth.is_null()).map(Json::to_string),
        revision: if eio == Some("3") { 3 } else { 4 },
    })
}

/// A request's head. HTTP/1.0, as there nothing is missing that another node did not tell.
fn head<'a>(url: &str, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Bytes {
    let is_url = url.starts_with('/') && url.bytes().all(|byte| byte.is_ascii_graphic());
    let mut head = format!("GET {} HTTP/1.0\r\n", if is_url { url } else { "/" });
    for (name, value) in headers {
        if HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok() {
            head.extend([name, ": ", value, "\r\n"]);
        }
    }
    head.push_str("\r\n");
    Bytes::from(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(head: &str) -> Handshake {
        Handshake {
            address: "[::ffff:10.0.0.7]:4321".parse().unwrap(),
            head: Bytes::from(head.to_owned()),
            issued_ms: 1_795_406_000_645,
            auth: Some(r#"{"token":"x"}"#.into()),
            revision: 4,
        }
    }

    #[test]
    fn a_handshake_is_told_as_node_tells_it() {
        let head = "GET /socket.io/?EIO=4&transport=polling&a=1&a=2 HTTP/1.1\r\nHost: here\r\n\
                    Cookie: a=1\r\nCookie: b=2\r\nX-Two: 1\r\nx-two: 2\r\nOrigin: http://o\r\n\r\n";
        let told = written(&handshake(head));
        assert_eq!(told["headers"]["host"], "here");
        assert_eq!(told["headers"]["cookie"], "a=1; b=2");
        assert_eq!(told["headers"]["x-two"], "1, 2");
        assert_eq!(told["query"], json!({"EIO": "4", "transport": "polling", "a": ["1", "2"]}));
        assert_eq!(told["url"], "/socket.io/?EIO=4&transport=polling&a=1&a=2");
        assert_eq!((&told["address"], &told["xdomain"]), (&json!("10.0.0.7"), &json!(true)));
        assert_eq!(
            (&told["issued"], &told["secure"]),
            (&json!(1_795_406_000_645_u64), &json!(false))
        );
        assert_eq!(told["auth"], json!({"token": "x"}));
    }

    #[test]
    fn what_is_told_can_be_read() {
        let head = "GET /socket.io/?EIO=3&x=%20 HTTP/1.1\r\nHost: here\r\nUser-Agent: a b\r\n\r\n";
        let again = read(&written(&handshake(head))).unwrap();
        let parsed = Head::reparse(&again.head).expect("it is a head");
        assert_eq!(parsed.target(), "/socket.io/?EIO=3&x=%20");
        assert_eq!(
            (parsed.header("host"), parsed.header("User-Agent")),
            (Some("here"), Some("a b"))
        );
        assert_eq!((again.revision, again.issued_ms), (3, 1_795_406_000_645));
        assert_eq!(again.address.ip().to_string(), "10.0.0.7");
        assert_eq!(again.auth.as_deref(), Some(r#"{"token":"x"}"#));
    }

    #[test]
    fn nobody_writes_a_head_for_us() {
        for told in [
            json!({"url": "/ HTTP/1.1\r\nEvil: 1", "headers": {"a": "b\r\nEvil: 1", "c:d": "e", "": "f"}}),
            json!({"url": 7, "headers": ["a"], "address": "nowhere", "issued": "x", "auth": null}),
            json!(null),
        ] {
            let handshake = read(&told).unwrap();
            let head = Head::reparse(&handshake.head).expect("it is a head");
            assert_eq!((head.target(), head.headers().count()), ("/", 0), "{told}");
            assert!(handshake.address.ip().is_unspecified() && handshake.auth.is_none());
        }
    }
}
