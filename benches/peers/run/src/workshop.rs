//! Installs and builds the peers and the generator, and says which versions they are.
//!
//! A peer that cannot be made is no error of the whole: it is kept with the reason, and the report
//! shows it.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::peer::{Peer, Recipe};
use crate::server::{Launch, said};

/// A peer that is ready to start, or the reason why it is not.
#[derive(Debug)]
pub(crate) struct Entrant {
    pub(crate) peer: &'static Peer,
    /// Versions of what it is made of, as far as they are known.
    pub(crate) version: String,
    pub(crate) launch: Result<Launch, String>,
}

/// Where things are made.
#[derive(Debug)]
pub(crate) struct Workshop {
    /// The repository's root.
    root: PathBuf,
    /// Where the output of builds goes.
    logs: PathBuf,
    /// What `npm ci` came to, by directory: three peers share one.
    installed: HashMap<&'static str, Result<(), String>>,
}

/// The lines of `cargo build --message-format=json` that matter.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    executable: Option<PathBuf>,
}

impl Workshop {
    pub(crate) fn new(root: PathBuf, logs: PathBuf) -> Self {
        Self { root, logs, installed: HashMap::new() }
    }

    /// Builds the generator. Without it nothing can be measured.
    pub(crate) fn generator(&self) -> Result<PathBuf, String> {
        eprintln!("building the generator");
        self.cargo(".", Some("yamabiko-load"), "yamabiko-load")
            .map_err(|why| format!("the generator (yamabiko-load) cannot be built: {why}"))
    }

    /// Makes a peer.
    pub(crate) fn entrant(&mut self, peer: &'static Peer) -> Entrant {
        eprintln!("making {}", peer.name);
        let launch = self.launch(peer);
        if let Err(why) = &launch {
            eprintln!("{} is not available: {why}", peer.name);
        }
        Entrant { peer, version: self.version(&peer.recipe), launch }
    }

    fn launch(&mut self, peer: &Peer) -> Result<Launch, String> {
        match &peer.recipe {
            Recipe::Node { directory, script, .. } => {
                self.npm(directory)?;
                let directory = self.root.join(directory);
                if !directory.join(script).is_file() {
                    return Err(format!("{script} is not there"));
                }
                let arguments = vec![(*script).to_owned()];
                Ok(Launch { program: "node".into(), arguments, directory, is_pair: false })
            }
            Recipe::Cargo { directory, package, binary, arguments, .. } => Ok(Launch {
                program: self.cargo(directory, *package, binary)?,
                arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
                directory: self.root.join(directory),
                is_pair: false,
            }),
        }
    }

    /// Installs an npm package's dependencies, once, and not at all when they are as its lock says.
    fn npm(&mut self, directory: &'static str) -> Result<(), String> {
        if let Some(known) = self.installed.get(directory) {
            return known.clone();
        }
        let done = self.install(directory);
        self.installed.insert(directory, done.clone());
        done
    }

    fn install(&self, directory: &str) -> Result<(), String> {
        let place = self.root.join(directory);
        let lock = place.join("package-lock.json");
        if !lock.is_file() {
            return Err(format!("{directory}/package-lock.json is not there"));
        }
        let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        let installed = changed(&place.join("node_modules/.package-lock.json"));
        if installed.is_some() && installed >= changed(&lock) {
            return Ok(());
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(&place);
        self.call(&mut npm, "npm").map(drop)
    }

    /// Builds one binary in the release profile of its workspace, and says where it is.
    fn cargo(
        &self,
        directory: &str,
        package: Option<&str>,
        binary: &str,
    ) -> Result<PathBuf, String> {
        let place = self.root.join(directory);
        if !place.join("Cargo.toml").is_file() {
            return Err(format!("{directory}/Cargo.toml is not there"));
        }
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--message-format=json-render-diagnostics"]);
        cargo.args(package.iter().flat_map(|package| ["--package", package])).current_dir(&place);
        let output = self.call(&mut cargo, &format!("cargo-{binary}"))?;
        executable(&output, binary)
    }

    /// Runs a command and gives its output, or an error with what it said.
    fn call(&self, command: &mut Command, name: &str) -> Result<String, String> {
        let log = self.logs.join(format!("{name}.log"));
        let errors = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let program = Path::new(&program)
            .file_name()
            .map_or(program.clone(), |name| name.to_string_lossy().into_owned());
        let output = command
            .stdin(Stdio::null())
            .stderr(errors)
            .output()
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{program} failed ({}){}", output.status, said(&log))),
        }
    }

    /// What a peer is made of, as its lock files and installed packages say.
    fn version(&self, recipe: &Recipe) -> String {
        let versions = match recipe {
            Recipe::Node { directory, packages, .. } => self.node_versions(directory, packages),
            Recipe::Cargo { packages: [], .. } => vec![self.commit()],
            Recipe::Cargo { directory, packages, .. } => self.locked(directory, packages),
        };
        match versions.join(", ") {
            versions if versions.is_empty() => "unknown".to_owned(),
            versions => versions,
        }
    }

    fn node_versions(&self, directory: &str, packages: &[&str]) -> Vec<String> {
        let modules = self.root.join(directory).join("node_modules");
        let version = |name: &&str| {
            let manifest = fs::read_to_string(modules.join(name).join("package.json")).ok()?;
            let manifest: serde_json::Value = serde_json::from_str(&manifest).ok()?;
            Some(format!("{name} {}", manifest["version"].as_str()?))
        };
        let node = first_line(Command::new("node").arg("--version"));
        let node = node.map(|version| format!("Node {version}"));
        packages.iter().filter_map(version).chain(node).collect()
    }

    fn locked(&self, directory: &str, packages: &[&str]) -> Vec<String> {
        let lock = fs::read_to_string(self.root.join(directory).join("Cargo.lock"));
        lock.map(|lock| versions_in(&lock, packages)).unwrap_or_default()
    }

    /// The repository's state, for what has no other version.
    fn commit(&self) -> String {
        let git = |arguments: &[&str]| {
            first_line(Command::new("git").args(arguments).current_dir(&self.root))
        };
        let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
            return env!("CARGO_PKG_VERSION").to_owned();
        };
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some();
        let changed = if changed { " with local changes" } else { "" };
        format!("{}, commit {commit}{changed}", env!("CARGO_PKG_VERSION"))
    }
}

/// The first line a command prints, if it succeeds and prints any.
pub(crate) fn first_line(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim().to_owned();
    (output.status.success() && !line.is_empty()).then_some(line)
}

/// Finds a binary among what Cargo says it built.
fn executable(messages: &str, binary: &str) -> Result<PathBuf, String> {
    let built: Vec<PathBuf> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .collect();
    let named = built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == binary));
    match (named, built.as_slice()) {
        (Some(path), _) | (None, [path]) => Ok(path.clone()),
        _ => Err(format!("the build has no binary {binary}")),
    }
}

/// Versions of packages in a Cargo.lock.
fn versions_in(lock: &str, packages: &[&str]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
    }
    let Ok(lock) = toml::from_str::<Lock>(lock) else { return Vec::new() };
    let version = |name: &&str| lock.package.iter().find(|package| package.name == *name);
    packages
        .iter()
        .filter_map(version)
        .map(|package| format!("{} {}", package.name, package.version))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::PEERS;

    /// An empty repository for one test.
    fn workshop(name: &str) -> Workshop {
        let id = std::process::id();
        let root = std::env::temp_dir().join(format!("yamabiko-peers-{id}-{name}"));
        fs::create_dir_all(&root).unwrap();
        Workshop::new(root.clone(), root)
    }

    #[test]
    fn what_is_not_there_is_said() {
        let mut workshop = workshop("empty");
        for peer in PEERS {
            let why = workshop.entrant(peer).launch.unwrap_err();
            assert!(why.ends_with("is not there"), "{why}");
        }
        fs::remove_dir_all(&workshop.root).unwrap();
    }

    #[test]
    fn a_package_that_does_not_build_says_why() {
        let workshop = workshop("broken");
        fs::write(workshop.root.join("Cargo.toml"), "[package]\nname = 3\n").unwrap();
        let why = workshop.cargo(".", None, "floor").unwrap_err();
        assert!(why.starts_with("cargo failed") && why.contains("error"), "{why}");
        fs::remove_dir_all(&workshop.root).unwrap();
    }

    #[test]
    fn installed_packages_are_left_alone_and_named() {
        let mut workshop = workshop("node");
        let place = workshop.root.join("benches/peers/node");
        fs::create_dir_all(place.join("node_modules/socket.io")).unwrap();
        for (file, text) in [
            ("package-lock.json", "{}"),
            ("server.mjs", ""),
            ("node_modules/socket.io/package.json", r#"{"version":"4.8.4"}"#),
            ("node_modules/.package-lock.json", "{}"),
        ] {
            fs::write(place.join(file), text).unwrap();
        }
        let node = PEERS.iter().find(|peer| peer.name == "node").unwrap();
        let entrant = workshop.entrant(node);
        assert_eq!(entrant.launch.unwrap().arguments, ["server.mjs"]);
        assert!(entrant.version.starts_with("socket.io 4.8.4"), "{}", entrant.version);
        let cluster = PEERS.iter().find(|peer| peer.name == "cluster").unwrap();
        assert_eq!(workshop.entrant(cluster).launch.unwrap_err(), "cluster.mjs is not there");
        fs::remove_dir_all(&workshop.root).unwrap();
    }

    #[test]
    fn the_binary_is_found_by_name_or_by_being_alone() {
        let one = r#"{"reason":"compiler-artifact","executable":"/t/release/peer"}
            {"reason":"compiler-artifact","executable":null}
            {"reason":"build-finished","success":true}"#;
        assert_eq!(executable(one, "other"), Ok("/t/release/peer".into()));
        let two = format!("{one}\n{{\"executable\":\"/t/release/floor\"}}");
        assert_eq!(executable(&two, "floor"), Ok("/t/release/floor".into()));
        assert!(executable(&two, "other").is_err());
    }

    #[test]
    fn locked_versions_are_read() {
        let lock = "version = 4\n[[package]]\nname = \"axum\"\nversion = \"0.8.1\"\n\
                    [[package]]\nname = \"tokio\"\nversion = \"1.50.0\"\n";
        assert_eq!(versions_in(lock, &["tokio", "hyper", "axum"]), ["tokio 1.50.0", "axum 0.8.1"]);
        assert!(versions_in("nonsense", &["tokio"]).is_empty());
    }
}
