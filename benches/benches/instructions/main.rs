//! Instructions of the hot paths, counted by valgrind's callgrind and held to `instructions.toml`.
//!
//! A clock on a shared machine tells nothing about five per cent; the number of instructions is the same
//! in every run of one binary. So this is a test: a path that needs five per cent more or less than was
//! recorded fails, the latter so that a gain is recorded and stays.
//!
//! ```text
//! cargo bench --profile ci --package yamabiko-benches --bench instructions [-- --update]
//! ```
//!
//! Each path runs in a process of its own, so that adding one moves no other's heap. Without `--bench`,
//! which cargo adds, each path runs once and nothing is counted.
#![allow(missing_docs, clippy::print_stdout)]

mod callgrind;
mod paths;
mod record;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use paths::PATHS;
use record::{Counts, Record};

/// The profile that the recorded counts are of: built quickly, as the other checks' programs are.
const PROFILE: &str = "ci";

/// How to record what was counted.
const UPDATE: &str =
    "cargo bench --profile ci --package yamabiko-benches --bench instructions -- --update";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let result = match &arguments[..] {
        [option, name] if option == callgrind::CHILD => callgrind::run_child(name),
        _ if has("--bench") => bench(has("--update")),
        _ => try_all(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn try_all() -> Result<(), String> {
    for path in PATHS {
        (path.prepare)()();
        println!("{} works", path.name);
    }
    Ok(())
}

fn bench(update: bool) -> Result<(), String> {
    check_profile()?;
    let counts: Counts = PATHS
        .iter()
        .map(|path| callgrind::count(path.name).map(|count| (path.name.to_owned(), count)))
        .collect::<Result<_, _>>()?;
    let counted = Record { rustc: rustc_version()?, instructions: counts };
    if update {
        let written = fs::write(file(), counted.to_text());
        return written.map_err(|error| format!("{}: {error}", file().display()));
    }
    let text =
        fs::read_to_string(file()).map_err(|error| format!("{}: {error}", file().display()))?;
    let recorded = Record::parse(&text)?;
    let comparison = recorded.compare(&counted);
    print!("{}", comparison.table());
    if !is_comparable() {
        println!("not compared: the counts are of x86-64 with AVX2, and this machine has none");
        return Ok(());
    }
    match comparison.complaints() {
        complaints if complaints.is_empty() => Ok(()),
        complaints => Err(format!("\n{complaints}To record these counts: {UPDATE}")),
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.toml")
}

/// Programs of other profiles have other counts: what is inlined differs.
fn check_profile() -> Result<(), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    match program.ancestors().nth(2).and_then(|directory| directory.file_name()) {
        Some(name) if name == PROFILE => Ok(()),
        _ => Err(format!("counts are of the profile '{PROFILE}': run it with --profile {PROFILE}")),
    }
}

/// The C library and three crates choose their vector instructions by what the processor has.
fn is_comparable() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The number in `rustc 1.95.0 (…)`.
fn rustc_version() -> Result<String, String> {
    let program = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let output = Command::new(&program).arg("--version").output();
    let output = output.map_err(|error| format!("{program} --version: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.split_whitespace().nth(1).map(str::to_owned);
    version.ok_or_else(|| format!("{program} --version said {text:?}"))
}
