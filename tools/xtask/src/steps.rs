//! The steps of `cargo xtask test`.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One step.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) run: fn() -> Result<(), String>,
}

/// All steps, cheapest first.
pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", what: "rustfmt finds nothing to change", run: fmt },
    Step { name: "clippy", what: "clippy has no warning", run: clippy },
    Step { name: "build", what: "the server and its examples, optimised", run: build },
    Step { name: "rust", what: "the tests of all crates", run: rust },
    Step {
        name: "fuzz",
        what: "each decoder against its corpus and new input, for a bounded time",
        run: fuzz,
    },
    Step {
        name: "instructions",
        what: "the hot paths take as many instructions as recorded, within 5 %",
        run: instructions,
    },
    Step { name: "interop", what: "official clients against 1 and 4 shards", run: interop },
    Step { name: "browser", what: "the demo in headless Chromium", run: browser },
];

/// Shard counts that the official clients meet.
const SHARDS: &str = "1,4";
/// What is not there by default is tested as well.
const FEATURES: &str = "--features=yamabiko/tower";
/// Seconds each fuzz target runs beyond its corpus.
const FUZZ_SECONDS: &str = "10";

fn fmt() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<(), String> {
    cargo(&["clippy", "--workspace", "--all-targets", FEATURES, "--", "-D", "warnings"])
}

fn build() -> Result<(), String> {
    cargo(&["build", "--profile", "ci", "--package", "yamabiko", "--bins", "--examples"])
}

fn rust() -> Result<(), String> {
    need("redis-server", "redis-server")?;
    cargo(&["test", "--workspace", FEATURES])
}

fn fuzz() -> Result<(), String> {
    need("g++", "g++")?;
    call(Command::new(cargo_path()).args(["run", "--quiet", "--release"]).args([
        "--manifest-path",
        "protocol/fuzz/Cargo.toml",
        "--bin",
        "all",
        "--",
        FUZZ_SECONDS,
    ]))
}

fn instructions() -> Result<(), String> {
    // The record is of this kind of machine: libraries choose other code on others.
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        need("valgrind", "valgrind")?;
        return cargo(&[
            "bench",
            "--profile",
            "ci",
            "--package",
            "yamabiko-benches",
            "--bench",
            "instructions",
        ]);
    }
    println!("not counted: this machine is not x86-64 with AVX2, which the record is of");
    Ok(())
}

fn interop() -> Result<(), String> {
    need_node()?;
    let directory = root().join("app/tests/interop");
    call(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))?;
    let server = built("examples/interop")?;
    call(
        Command::new("node")
            .args(["run.mjs", "--shards", SHARDS])
            .env("INTEROP_SERVER", &server)
            .env("INTEROP_BOOM", "1")
            .current_dir(&directory),
    )?;
    cluster(&server)
}

/// One cluster with Node's servers, on a Redis of its own.
fn cluster(server: &Path) -> Result<(), String> {
    need("redis-server", "redis-server")?;
    let directory = root().join("app/tests/cluster");
    let command = built("yamabiko")?;
    call(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))?;
    for shards in SHARDS.split(',') {
        call(
            Command::new("node")
                .args(["--test", "--test-reporter=spec"])
                .env("INTEROP_SERVER", server)
                .env("YAMABIKO", &command)
                .env("SHARDS", shards)
                .current_dir(&directory),
        )?;
    }
    Ok(())
}

fn browser() -> Result<(), String> {
    need_node()?;
    need("chromium", "chromium")?;
    let directory = root().join("app/tests/browser");
    call(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&directory))?;
    let server = built("yamabiko")?;
    let examples = built("examples")?;
    call(
        Command::new("npm")
            .args(["test", "--silent"])
            .env("EXAMPLES", &examples)
            .env(
                "DEMO_SERVER",
                format!("{} --announce --port $PORT --shards $SHARDS", server.display()),
            )
            .current_dir(&directory),
    )
}

/// The workspace's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tools/xtask is two below the root").to_owned()
}

/// A program of the `ci` profile.
fn built(name: &str) -> Result<PathBuf, String> {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let path = root().join(target).join("ci").join(name);
    match path.exists() {
        true => Ok(path),
        false => build().map(|()| path),
    }
}

fn cargo_path() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    call(Command::new(cargo_path()).args(arguments))
}

/// Runs a command in the workspace's root, unless it has a directory, with our own output.
fn call(command: &mut Command) -> Result<(), String> {
    if command.get_current_dir().is_none() {
        command.current_dir(root());
    }
    let shown = format!("{command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown} ended with {status}")),
        Err(error) => Err(format!("{shown} could not be started: {error}")),
    }
}

fn need_node() -> Result<(), String> {
    need("node", "nodejs")?;
    need("npm", "npm")
}

/// Makes sure that a program is there; installs its Debian package where we may.
fn need(program: &str, package: &str) -> Result<(), String> {
    if is_installed(program) {
        return Ok(());
    }
    println!("'{program}' is missing: installing the package {package}");
    let _ = Command::new("apt-get").arg("update").status();
    let _ = Command::new("apt-get")
        .args(["install", "-y", "--no-install-recommends", package])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status();
    match is_installed(program) {
        true => Ok(()),
        false => Err(format!("'{program}' is needed: install the package {package} and try again")),
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
