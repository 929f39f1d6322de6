//! An `axum::Router` as a part of a site.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used)]

mod harness;

use std::convert::Infallible;
use std::sync::OnceLock;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::routing::{get as on_get, post as on_post};
use harness::{Inside, Wire, get};
use serde::Deserialize;
use yamabiko::http::StatusCode;
use yamabiko::{App, Config, Failure};

fn server() -> &'static Inside {
    static SERVER: OnceLock<Inside> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut config = Config::default();
        config.settings.shards = Some(2);
        config.settings.max_http_buffer_size = 100_000;
        Inside::serve(config, |_| site())
    })
}

#[derive(Deserialize)]
struct Paging {
    page: u32,
}

fn api() -> axum::Router {
    axum::Router::new()
        .route("/", on_get(async || "root"))
        .route(
            "/users/{id}",
            on_get(async |Path(id): Path<u32>, Query(paging): Query<Paging>| {
                format!("user {id} page {}", paging.page)
            }),
        )
        .route("/state", on_get(async |State(state): State<&'static str>| state))
        .route("/json", on_post(async |Json(numbers): Json<Vec<u32>>| Json(numbers.len())))
        .route("/count", on_post(async |bytes: Bytes| bytes.len().to_string()))
        .route("/echo", on_post(async |body: Body| body))
        .route("/panic", on_get(async || -> &'static str { panic!("asked for") }))
        .with_state("shared")
}

fn site() -> App {
    let fails = tower::service_fn(async |_: axum::http::Request<_>| {
        Err::<axum::http::Response<String>, _>("asked for")
    });
    let counted = tower::service_fn(async |request: axum::http::Request<_>| {
        Ok::<_, Infallible>(axum::http::Response::new(request.uri().to_string()))
    });
    App::new()
        .service("/api", api())
        .service("/fails", fails)
        .service("/where/{it}/is", counted)
        .get("/api/ours", async |_| "ours")
        .mount("/sub", App::new().service("/", api()))
        .on_error(async |failure: Failure, _| (StatusCode::BAD_GATEWAY, failure.to_string()))
}

fn post(target: &str, body: &str) -> String {
    let len = body.len();
    format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )
}

#[test]
fn a_service_answers_below_its_prefix() {
    let mut wire = Wire::open(server().address());
    for (request, status, body) in [
        (get("/api", ""), 200, "root"),
        (get("/api/", ""), 200, "root"),
        (get("/api/users/7?page=2", ""), 200, "user 7 page 2"),
        (get("/sub/users/8?page=1", ""), 200, "user 8 page 1"),
        (get("/api/state", ""), 200, "shared"),
        (get("/api/ours", ""), 200, "ours"),
        (post("/api/json", "[1,2,3]"), 200, "3"),
        (get("/api/none", ""), 404, ""),
        (get("/where/a/is/b?c=d", ""), 200, "/b?c=d"),
        (get("/fails", ""), 502, "500: Internal Server Error (asked for)"),
    ] {
        let response = wire.ask(&request);
        assert_eq!((response.status, &*response.body), (status, body), "{request}");
    }
    assert_eq!(wire.ask(get("/api/users/x?page=2", "")).status, 400);
    assert_eq!(wire.ask(post("/api/json", "[1,")).status, 400);
    wire.send(get("/api", "").replace("GET", "HEAD"));
    assert_eq!(wire.head().unwrap().header("content-length"), Some("4"));
    assert_eq!(wire.ask(get("/api/panic", "")).status, 500);
    assert_eq!(wire.ask(get("/api", "")).body, "root");
}

#[test]
fn bodies_go_in_and_out_in_pieces_and_within_their_limit() {
    let mut wire = Wire::open(server().address());
    let body = "x".repeat(100_000);
    assert_eq!(wire.ask(post("/api/count", &body)).body, "100000");
    assert_eq!(wire.ask(post("/api/echo", &body)).body, body);
    let response = wire.ask(post("/api/count", &(body + "x")));
    assert!(response.status >= 400, "{response:?}");
    assert_eq!(wire.response(), None);

    let mut wire = Wire::open(server().address());
    wire.send("POST /api/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(wire.head().unwrap().status, 200);
    for text in ["one", "two", "three"] {
        wire.send(format!("{:x}\r\n{text}\r\n", text.len()));
        assert_eq!(wire.chunk().unwrap(), text.as_bytes());
    }
    wire.send("0\r\n\r\n");
    assert_eq!(wire.chunk().unwrap(), b"");
    assert_eq!(wire.ask(get("/api", "")).body, "root");
}
