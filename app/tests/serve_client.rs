//! The official client's files, as a browser on another origin asks for them.

#![allow(clippy::unwrap_used)]

mod harness;

use std::fs;
use std::net::SocketAddr;

use harness::{Inside, Response, Wire, get};
use yamabiko::http::Cors;
use yamabiko::{App, Config, ServeClient};

/// A server with a bundle of one file, and `cors` for any origin.
fn start() -> SocketAddr {
    let package = std::env::temp_dir().join(format!("yamabiko-served-{}", std::process::id()));
    fs::create_dir_all(package.join("dist")).unwrap();
    fs::write(package.join("package.json"), r#"{"version":"1.2.3"}"#).unwrap();
    fs::write(package.join("dist/socket.io.js"), "var io;").unwrap();
    let mut config =
        Config { serve_client: ServeClient::From(package.clone()), ..Config::default() };
    config.settings.shards = Some(1);
    config.settings.cors = Some(Cors::default());
    let address = Inside::serve(config, |_core| App::new()).address();
    // They are in memory now.
    fs::remove_dir_all(package).unwrap();
    address
}

#[test]
fn files_are_served_across_origins() {
    let mut wire = Wire::open(start());
    let file = "/socket.io/socket.io.js";
    let origin =
        |response: &Response| response.header("access-control-allow-origin").map(str::to_owned);
    let plain = wire.ask(get(file, "Origin: http://elsewhere\r\n"));
    assert_eq!((plain.status, &*plain.body), (200, "var io;"));
    assert_eq!(plain.header("etag"), Some("\"1.2.3\""));
    assert_eq!(origin(&plain).as_deref(), Some("*"));

    let known = wire.ask(get(file, "If-None-Match: \"1.2.3\"\r\n"));
    assert_eq!((known.status, &*known.body), (304, ""));
    assert_eq!(origin(&known).as_deref(), Some("*"));

    let preflight =
        get(file, "Access-Control-Request-Method: GET\r\n").replace("GET /", "OPTIONS /");
    let preflight = wire.ask(preflight);
    assert_eq!((preflight.status, &*preflight.body), (204, ""));
    assert!(preflight.header("access-control-allow-methods").is_some());

    let unknown = wire.ask(get("/socket.io/other.js", ""));
    assert_eq!(unknown.status, 400);
    assert_eq!(unknown.body, r#"{"code":0,"message":"Transport unknown"}"#);
}
