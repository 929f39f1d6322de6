//! The place where clients ask which node they should connect to.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue,
};
use http::{Method, StatusCode};
use serde::Serialize;
use yamabiko_protocol::http::Head;
use yamabiko_runtime::{Assignment, HttpReply, NodeInfo, assign};

/// What is answered.
#[derive(Serialize)]
struct Answer<'n> {
    /// Where the client should connect.
    url: &'n str,
    /// The name of that node.
    node: &'n str,
    /// Where else it could, the best first.
    alternatives: Vec<&'n str>,
}

#[derive(Serialize)]
struct Problem {
    error: &'static str,
}

/// Answers with the node for a new client, out of these. `key` in the query string asks for the same one each
/// time. Anybody may ask, from pages of any origin: it tells what is public.
pub(crate) fn reply(head: &Head<'_>, nodes: &[NodeInfo], dice: u64) -> HttpReply {
    let method = head.method();
    if ![Method::GET.as_str(), Method::HEAD.as_str()].contains(&method.as_str()) {
        let mut reply = json(StatusCode::METHOD_NOT_ALLOWED, &Problem { error: "ask with GET" });
        reply.headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    let key = head.query().get("key");
    match assign(nodes, key.as_deref(), dice) {
        Some(Assignment { node, alternatives }) => {
            let answer = Answer {
                url: node.url.as_deref().unwrap_or_default(),
                node: &node.uid,
                alternatives: alternatives
                    .into_iter()
                    .filter_map(|node| node.url.as_deref())
                    .collect(),
            };
            json(StatusCode::OK, &answer)
        }
        None => {
            let error = "no node takes new clients, or none has a public-url";
            json(StatusCode::SERVICE_UNAVAILABLE, &Problem { error })
        }
    }
}

fn json(status: StatusCode, body: &impl Serialize) -> HttpReply {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let body = serde_json::to_vec(body).expect("text is always JSON");
    HttpReply { status, headers, body: Bytes::from(body) }
}
