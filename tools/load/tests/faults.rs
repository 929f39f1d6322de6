//! The program against servers that make one mistake each: whatever a server gets wrong must be told, and
//! a right one must not be accused. WebSocket is tungstenite's here, so its frames are judged by others.

#![allow(clippy::unwrap_used)]

mod server;

use std::process::{Command, Output};

use serde_json::Value;
use server::{Fault, Server};

/// Runs a scenario for a moment; its status, result and complaint.
fn load(server: &Server, arguments: &str) -> (i32, Value, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_yamabiko-load"))
        .args(arguments.split_whitespace())
        .args(["--url", &server.url(), "--warmup", "0.05", "--seconds", "0.2", "--json"])
        .args(["--server-pid", &std::process::id().to_string()])
        .output()
        .unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    let result = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
    (status.code().unwrap(), result, stderr)
}

/// Sound, with messages in the window.
fn assert_sound(arguments: &str, fault: Fault) -> Value {
    let (status, result, complaint) = load(&Server::start(fault), arguments);
    assert_eq!((status, &*complaint), (0, ""), "{arguments}: {result}");
    assert!(result["messages"].as_u64().unwrap() > 0, "{arguments}: {result}");
    for wrong in ["missing", "doubled", "errors"] {
        assert_eq!(result[wrong], 0, "{arguments}: {result}");
    }
    result
}

const ECHOES: [&str; 3] = [
    "echo --connections 3 --outstanding 4",
    "binary --connections 3 --outstanding 4",
    "polling --connections 3 --outstanding 4",
];
const BROADCASTS: [&str; 2] =
    ["fanout --connections 5 --outstanding 3", "rooms --connections 7 --rooms 3 --outstanding 2"];

#[test]
fn a_right_server_is_not_accused() {
    for arguments in ECHOES.iter().chain(&BROADCASTS).chain(&["connects --connections 4"]) {
        let result = assert_sound(arguments, Fault::None);
        assert_eq!(result["out_of_order"], 0, "{result}");
        let latency = &result["latency_us"];
        let in_order = ["p50", "p90", "p99", "max"].map(|it| latency[it].as_f64().unwrap());
        assert!(in_order[0] > 0.0 && in_order.is_sorted(), "{latency}");
        for measured in ["server_cpu_seconds", "client_cpu_seconds", "connect_seconds"] {
            assert!(result[measured].as_f64().unwrap() > 0.0, "{measured}: {result}");
        }
        assert!(result["server_rss_peak"].as_u64() >= result["server_rss_after"].as_u64());
    }
}

#[test]
fn large_payloads_and_idleness_are_sound() {
    for arguments in [
        "echo --connections 2 --outstanding 2 --payload 1048576",
        "binary --connections 2 --outstanding 2 --payload 1048576",
        "polling --connections 2 --outstanding 2 --payload 1048576",
        "fanout --connections 3 --outstanding 2 --payload 1048576",
        "echo --payload 39",
        "binary --payload 16",
        "fanout --connections 2 --payload 29",
    ] {
        assert_sound(arguments, Fault::None);
    }
    let (status, result, _) = load(&Server::start(Fault::None), "idle --connections 20");
    assert_eq!((status, &result["messages"], &result["latency_us"]), (0, &0.into(), &Value::Null));
}

#[test]
fn bytes_that_come_one_by_one_are_understood() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        assert_sound(&format!("{arguments} --payload 200"), Fault::Trickle);
    }
}

#[test]
fn pings_are_answered() {
    for arguments in ECHOES {
        assert_sound(arguments, Fault::AnswersAfterPongs);
    }
}

#[test]
fn another_order_is_told_but_sound() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        let result = assert_sound(arguments, Fault::Swaps);
        assert!(result["out_of_order"].as_u64().unwrap() > 0, "{arguments}: {result}");
    }
}

#[test]
fn a_lost_message_is_missing() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        let (status, result, complaint) = load(&Server::start(Fault::Loses), arguments);
        assert_eq!(status, 1, "{arguments}: {result}");
        assert!(result["missing"].as_u64().unwrap() > 0, "{arguments}: {result}");
        assert_eq!((&result["doubled"], &result["errors"]), (&0.into(), &0.into()), "{result}");
        assert!(complaint.contains("missing"), "{complaint}");
    }
}

#[test]
fn a_second_copy_is_doubled() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        let (status, result, _) = load(&Server::start(Fault::Doubles), arguments);
        assert_eq!(status, 1, "{arguments}: {result}");
        assert!(result["doubled"].as_u64().unwrap() > 0, "{arguments}: {result}");
        assert_eq!((&result["missing"], &result["errors"]), (&0.into(), &0.into()), "{result}");
    }
}

#[test]
fn a_changed_byte_is_an_error() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        let (status, result, complaint) = load(&Server::start(Fault::Alters), arguments);
        assert_eq!(status, 1, "{arguments}: {result}");
        assert!(result["errors"].as_u64().unwrap() > 0, "{arguments}: {result}");
        assert!(complaint.contains("first error"), "{complaint}");
    }
}

#[test]
fn a_connection_that_is_closed_is_an_error() {
    for arguments in ECHOES.iter().chain(&BROADCASTS) {
        let (status, result, complaint) = load(&Server::start(Fault::Closes), arguments);
        assert_eq!(status, 1, "{arguments}: {result}");
        assert!(result["errors"].as_u64().unwrap() > 0, "{arguments}: {result}");
        assert!(result["missing"].as_u64().unwrap() > 0, "{arguments}: {result}");
        assert!(complaint.contains("first error"), "{complaint}");
    }
}

#[test]
fn a_run_that_cannot_be_made_says_why() {
    let small = Server::start(Fault::TakesLittle);
    for arguments in ["echo --payload 2000", "polling --payload 2000", "rooms --payload 2000"] {
        let arguments = format!("{arguments} --connections 3 --rooms 1");
        let (status, result, why) = load(&small, &arguments);
        assert_eq!((status, result), (2, Value::Null), "{arguments}");
        assert!(why.contains("the server takes"), "{why}");
    }
    let refusing = Server::start(Fault::Refuses);
    for arguments in ["echo", "polling", "connects", "idle"] {
        let (status, _, why) = load(&refusing, arguments);
        assert_eq!(status, 2, "{arguments}: {why}");
        assert!(why.contains("400 Bad Request"), "{arguments}: {why}");
    }
    let nobody = Server::nobody();
    for arguments in ["echo", "polling", "connects"] {
        let (status, _, why) = load(&nobody, arguments);
        assert_eq!(status, 2, "{arguments}: {why}");
        assert!(why.contains("no server answers at"), "{arguments}: {why}");
    }
}
