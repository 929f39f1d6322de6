//! The options of the binary, as an operator meets them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Runs the binary with these variables and arguments, and none of the caller's options.
fn run(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_yamabiko"));
    command.env_clear().envs(variables.iter().copied()).args(arguments).output().unwrap()
}

fn printed(variables: &[(&str, &str)], arguments: &[&str]) -> toml::Table {
    let output = run(variables, &[&["--print-config"], arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

fn refused(variables: &[(&str, &str)], arguments: &[&str]) -> String {
    let output = run(variables, arguments);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let text = "port = 1\nping-interval = \"1s\"\npath = \"/file\"\nallow-eio3 = true";
    let path = file("layers.toml", text);
    let variables = [
        ("YAMABIKO_CONFIG", path.to_str().unwrap()),
        ("YAMABIKO_PORT", "2"),
        ("YAMABIKO_PING_INTERVAL", "2000"),
        ("YAMABIKO_ALLOW_EIO3", "0"),
        ("YAMABIKO_STEER_BY_CPU", "true"),
    ];
    let options = printed(&variables, &["--port", "3"]);
    let text = |name: &str| options[name].as_str().unwrap();
    assert_eq!(text("listen"), "[::]:3");
    assert_eq!(text("ping-interval"), "2s");
    assert_eq!(text("path"), "/file");
    assert_eq!(text("ping-timeout"), "20s");
    assert_eq!(options["allow-eio3"].as_bool(), Some(false));
    assert_eq!(options["steer-by-cpu"].as_bool(), Some(true));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let unknown = file("unknown.toml", "pingInterval = 5");
    let wrong = file("wrong.toml", "\nport = \"x\"");
    let in_file = |path: &PathBuf| refused(&[], &["--config", path.to_str().unwrap()]);
    let error = in_file(&unknown);
    assert!(error.contains("unknown.toml") && error.contains("'ping-interval'"), "{error}");
    let error = in_file(&wrong);
    assert!(error.contains("wrong.toml") && error.contains("line 2"), "{error}");
    let error = in_file(&PathBuf::from("/nonexistent.toml"));
    assert!(error.contains("/nonexistent.toml"), "{error}");
    let error = refused(&[("YAMABIKO_PING_TIMEOUT", "soon")], &[]);
    assert!(error.contains("--ping-timeout") && error.contains("'soon' is no time"), "{error}");
    let error = refused(&[], &["--serve-client", "/nonexistent"]);
    assert!(error.contains("serve-client: no socket.io.js in /nonexistent"), "{error}");
}
