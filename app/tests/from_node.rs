//! `docs/from-node.md` and `docs/http.md` are promises: nothing of Socket.IO's or Express's is left out of
//! them, and what they say is held by tests that exist.

#![allow(clippy::unwrap_used)] // a test may panic, and says why

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What `socket.io` 4.8 (`engine.io` 6.6, `socket.io-adapter` 2.5) declares for users, by section of the
/// table. Private members are left out, and those that begin with `_`.
const OF_NODE: &[(&str, &str)] = &[
    (
        "Options",
        "path addTrailingSlash serveClient adapter parser connectTimeout connectionStateRecovery \
         maxDisconnectionDuration skipMiddlewares cleanupEmptyChildNamespaces pingInterval pingTimeout \
         upgradeTimeout maxHttpBufferSize allowRequest transports allowUpgrades perMessageDeflate \
         httpCompression wsEngine initialPacket cookie cors allowEIO3 destroyUpgrade destroyUpgradeTimeout",
    ),
    (
        "Server",
        "sockets engine httpServer encoder serveClient path connectTimeout adapter listen attach attachApp \
         bind of close use emit to in except send write serverSideEmit serverSideEmitWithAck allSockets \
         compress volatile local timeout fetchSockets socketsJoin socketsLeave disconnectSockets on once off \
         listeners connect connection new_namespace",
    ),
    (
        "Namespace",
        "name sockets adapter server use to in except emit send write serverSideEmit serverSideEmitWithAck \
         allSockets compress volatile local timeout fetchSockets socketsJoin socketsLeave disconnectSockets \
         connect connection children createChild",
    ),
    (
        "Socket",
        "nsp client id recovered handshake data connected disconnected emit emitWithAck to in except send \
         write join leave disconnect compress volatile broadcast local timeout use request conn rooms onAny \
         prependAny offAny listenersAny onAnyOutgoing prependAnyOutgoing offAnyOutgoing listenersAnyOutgoing \
         on once off removeAllListeners listeners error disconnecting",
    ),
    ("Handshake", "headers time address xdomain secure issued url query auth"),
    (
        "BroadcastOperator",
        "to in except compress volatile local timeout emit emitWithAck allSockets fetchSockets socketsJoin \
         socketsLeave disconnectSockets",
    ),
    ("RemoteSocket", "id handshake rooms data timeout emit join leave disconnect"),
    (
        "Adapter",
        "nsp rooms sids init close serverCount addAll del delAll broadcast broadcastWithAck sockets \
         socketRooms fetchSockets addSockets delSockets disconnectSockets serverSideEmit persistSession \
         restoreSession create-room delete-room join-room leave-room",
    ),
    (
        "Engine",
        "clientsCount opts upgrades use close generateId onWebTransportSession httpServer handleRequest \
         handleUpgrade attach connection connection_error initial_headers headers flush drain",
    ),
    (
        "Conn",
        "id protocol request remoteAddress transport upgrading upgraded readyState send write close open \
         packet packetCreate data message heartbeat flush drain upgrade error",
    ),
];

/// The reference of Express 5, by section of its table.
const OF_EXPRESS: &[(&str, &str)] = &[
    ("express", "express Router json urlencoded text raw static"),
    (
        "Application",
        "all get post put delete METHOD route use mountpath path mount param locals set enable disable \
         enabled disabled engine render router listen",
    ),
    (
        "Request",
        "app baseUrl body cookies signedCookies fresh stale get host hostname subdomains ip ips method \
         originalUrl params path url protocol secure xhr query res route accepts acceptsCharsets \
         acceptsEncodings acceptsLanguages is range",
    ),
    (
        "Response",
        "app req locals headersSent append set header type vary links location get attachment download cookie \
         clearCookie end send sendStatus status format json jsonp redirect render sendFile write",
    ),
    ("Router", "all METHOD param route use"),
];

/// A table, and what must be in it.
struct Table {
    file: &'static str,
    names: &'static [(&'static str, &'static str)],
    rows_min: usize,
}

const TABLES: &[Table] = &[
    Table { file: "docs/from-node.md", names: OF_NODE, rows_min: 120 },
    Table { file: "docs/http.md", names: OF_EXPRESS, rows_min: 50 },
];

/// One row of a table.
struct Row {
    section: String,
    node: String,
    ours: String,
    tests: Vec<(String, String)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}

fn all_rows() -> impl Iterator<Item = Row> {
    TABLES.iter().flat_map(|table| rows(table.file))
}

fn rows(file: &str) -> Vec<Row> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ").or(line.strip_prefix("### ")) {
            section = title.into();
        }
        let Some(cells) = line.strip_prefix("| ").and_then(|it| it.strip_suffix('|')) else {
            continue;
        };
        let cells: Vec<&str> = cells.split(" |").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "four columns, each followed by ' |': {line}");
        if ["Node", "Express"].contains(&cells[0]) {
            continue;
        }
        let named = quoted(cells[2]).map(|it| {
            let (file, test) = it.split_once("::").unwrap_or_else(|| panic!("{it}: no file::test"));
            (file.to_owned(), test.to_owned())
        });
        rows.push(Row {
            section: section.clone(),
            node: cells[0].into(),
            ours: cells[1].into(),
            tests: named.collect(),
        });
    }
    rows
}

/// What stands between backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Whether a source has a test of that name: a function with the attribute, or a title of JavaScript.
fn has_test(source: &str, file: &str, test: &str) -> bool {
    if file.ends_with(".mjs") {
        return [
            format!("test(\"{test}\""),
            format!("test(`{test}`"),
            format!("async \"{test}\"(on)"),
        ]
        .iter()
        .any(|title| source.contains(title));
    }
    let name = format!("fn {test}()");
    let mut lines = source.lines().rev().skip_while(|line| line.trim() != format!("{name} {{"));
    lines.nth(1).is_some_and(|above| above.trim() == "#[test]")
}

#[test]
fn every_row_has_a_test_or_a_reason() {
    for Table { file, rows_min, .. } in TABLES {
        let read = rows(file).len();
        assert!(read > *rows_min, "{file} is read: {read} rows");
    }
    for Row { node, ours, tests, .. } in &all_rows().collect::<Vec<_>>() {
        match ours.strip_prefix("not there") {
            Some(reason) => {
                let reason = reason.strip_prefix(": ").unwrap_or_default();
                assert!(reason.len() > 10, "{node}: no reason why it is not there");
            }
            None => assert!(!ours.is_empty() && !tests.is_empty(), "{node}: no test"),
        }
    }
}

#[test]
fn every_test_that_is_named_exists() {
    let mut missing = Vec::new();
    for Row { node, tests, .. } in all_rows() {
        for (file, test) in tests {
            let here = root().join("app/tests").join(&file);
            let path = if here.exists() { here } else { root().join(&file) };
            let source = fs::read_to_string(path).unwrap_or_default();
            if !has_test(&source, &file, &test) {
                missing.push(format!("{node}: {file}::{test}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn nothing_is_left_out() {
    for Table { file, names, .. } in TABLES {
        let rows = rows(file);
        for (section, names) in *names {
            let mut there = BTreeSet::new();
            for row in rows.iter().filter(|row| row.section == *section) {
                let is_part = |char: char| !char.is_alphanumeric() && !"_-".contains(char);
                there.extend(quoted(&row.node).flat_map(|code| code.split(is_part)));
            }
            for name in names.split_whitespace() {
                assert!(there.contains(name), "{file}, {section} has no row for '{name}'");
            }
        }
        let known: BTreeSet<&str> = names.iter().map(|(section, _)| *section).collect();
        assert!(rows.iter().all(|row| known.contains(&*row.section)), "a section nobody checks");
    }
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let rust = "#[test]\nfn here() {\n}\nfn helper() {\n}\n";
    assert!(has_test(rust, "a.rs", "here"));
    assert!(!has_test(rust, "a.rs", "helper") && !has_test(rust, "a.rs", "her"));
    let script = "test(\"says so\", async () => {});";
    assert!(has_test(script, "a.mjs", "says so") && !has_test(script, "a.mjs", "says"));
}
