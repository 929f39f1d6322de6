//! Runs every fuzz target: `cargo run --release --bin all -- <seconds per target>`.
//!
//! It builds the targets, then runs each on its corpus and on new input for the given time, as many at
//! once as there are processors. New finds stay in the target directory; a crash is printed with its
//! input, to be kept as a file in `corpus/` together with the fix.
//!
//! It may be started from any directory but `targets/`: what instruments the targets is in
//! `targets/.cargo/config.toml`, which cargo reads from the directory it runs in. There a single target
//! is run with `cargo run --release --bin <target> -- <folder for new finds> ../corpus/<target>`, and a
//! single input with its file instead of the folders.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::{env, fs, io, thread};

/// Each target, and how long its inputs get, in bytes: as long as its decoder has use for.
const TARGETS: &[(&str, usize)] = &[
    ("cluster_broadcast", 1024),
    ("cluster_entry", 1024),
    ("cluster_envelope", 1024),
    ("cluster_request", 1024),
    ("cluster_response", 1024),
    ("cluster_session", 512),
    ("cluster_value", 512),
    ("engine_packet", 512),
    ("engine_payload", 1024),
    ("engine_session", 1024),
    ("engine_verify", 512),
    ("http_answer", 256),
    ("http_body", 1024),
    ("http_head", 2048),
    ("jsonp", 1024),
    ("msgpack_packet", 1024),
    ("proxy_header", 512),
    ("socket_decoder", 1024),
    ("socket_packet", 1024),
    ("websocket", 1024),
];

/// One input may take so long, in seconds.
const TIMEOUT_SECONDS: u64 = 5;
/// One target may have so much memory, in megabytes.
const MEMORY_MB_MAX: u64 = 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let seconds = match arguments.as_slice() {
        [seconds] => seconds.parse().ok().filter(|&seconds| seconds > 0),
        _ => None,
    };
    let Some(seconds) = seconds else {
        eprintln!("usage: all <seconds per target>");
        return ExitCode::from(2);
    };
    match is_complete().and_then(|()| build()).and_then(|()| run_all(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Every target that exists is in the table, and has a corpus.
fn is_complete() -> Result<(), String> {
    let known = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    for folder in ["targets/src/bin", "corpus"] {
        let found = names_in(&home().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
        if let Some(name) = found.symmetric_difference(&known).next() {
            return Err(format!("'{name}' is in only one of {folder} and the table of targets"));
        }
    }
    Ok(())
}

/// Names of a folder's entries, without endings.
fn names_in(folder: &Path) -> io::Result<BTreeSet<String>> {
    let stem = |path: PathBuf| path.file_stem().and_then(OsStr::to_str).map(str::to_owned);
    fs::read_dir(folder)?.map(|entry| Ok(stem(entry?.path()).unwrap_or_default())).collect()
}

fn build() -> Result<(), String> {
    let status = cargo("build").arg("--bins").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the targets could not be built: {status}")),
        Err(error) => Err(format!("cargo could not be started: {error}")),
    }
}

fn run_all(seconds: u64) -> Result<(), String> {
    let waiting = Mutex::new(TARGETS.iter());
    let failed = Mutex::new(Vec::new());
    let next = || waiting.lock().expect("no thread panics holding it").next();
    let work = || {
        while let Some(&(name, len_max)) = next() {
            match run(name, len_max, seconds) {
                Ok(line) => println!("{name:<18}{line}"),
                Err(error) => {
                    println!("{name:<18}FAILED\n{error}");
                    failed.lock().expect("no thread panics holding it").push(name);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    match failed.into_inner().expect("no thread panics holding it").as_slice() {
        [] => Ok(()),
        failed => Err(format!("failed: {}", failed.join(", "))),
    }
}

/// Runs one target; returns what libFuzzer says at last, or all about the input that broke it.
fn run(name: &str, len_max: usize, seconds: u64) -> Result<String, String> {
    let found = scratch().join(name).join("found");
    let crashes = scratch().join(name).join("crashes");
    for folder in [&found, &crashes] {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let output = cargo("run")
        .args(["--bin", name, "--"])
        // New finds go to the first folder.
        .args([&found, &home().join("corpus").join(name)])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={TIMEOUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB_MAX}"))
        .arg(format!("-max_len={len_max}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        // Naming the frames of a stack takes longer than an input may: the place of the panic has to do.
        .env("RUST_BACKTRACE", "0")
        .output()
        .map_err(|error| format!("cargo could not be started: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(report(&log, &output.status.to_string()));
    }
    summary(&log)
}

/// Coverage and number of runs, from the last line of progress. A target that covers nothing was built
/// without instrumentation, and proves nothing.
fn summary(log: &str) -> Result<String, String> {
    let progress = log.lines().rfind(|line| line.starts_with('#') && line.contains(" cov: "));
    let (runs, rest) = progress.and_then(|line| line.split_once('\t')).unwrap_or_default();
    let coverage = rest.split_once("cov: ").map_or("", |(_, rest)| rest);
    let edges: u64 = coverage.split(' ').next().and_then(|it| it.parse().ok()).unwrap_or(0);
    let runs = runs.trim_start_matches('#');
    match edges {
        0 => Err(format!("no coverage was reported: {log}")),
        edges => Ok(format!("{edges:>6} edges {runs:>10} runs")),
    }
}

/// What a failed run said, and its input in hexadecimal.
fn report(log: &str, status: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    let path = lines.iter().find_map(|line| line.split_once("Test unit written to "));
    let Some((_, path)) = path else { return format!("{tail}\n{status}, no input was kept") };
    let input = fs::read(path).unwrap_or_default();
    let hex: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{tail}\n{status}\ninput: {path}\ntext:  {}\nhex:   {hex}", input.escape_ascii())
}

/// Cargo in the package of targets, whose configuration instruments it.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([command, "--quiet", "--release"]).current_dir(home().join("targets"));
    // Flags from the environment would replace those of the configuration.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo
}

/// The directory of this package.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where finds and crashes go: beside what cargo builds.
fn scratch() -> PathBuf {
    let built = env::current_exe().ok();
    let target = built.as_deref().and_then(|path| path.ancestors().nth(2));
    target.map_or_else(|| home().join("target"), Path::to_owned).join("fuzz")
}
