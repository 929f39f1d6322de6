//! The load generator as a process: its arguments, its time limit, its answer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::figures::Outcome;
use crate::measurement::Measurement;
use crate::scenario::Scenario;
use crate::server::{Server, said};

/// Seconds of load before the window opens: enough for a just-in-time compiler.
pub(crate) const WARMUP_SECONDS: u32 = 2;
/// Seconds the generator may take besides warm-up and window: to connect and to drain.
const ALLOWANCE_SECONDS: u32 = 90;
/// How often its end is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// The generator, built.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) program: PathBuf,
    /// The core it is pinned to.
    pub(crate) core: usize,
    /// Seconds it may take besides warm-up and window.
    allowance: u32,
}

impl Generator {
    pub(crate) fn new(program: PathBuf, core: usize) -> Self {
        Self { program, core, allowance: ALLOWANCE_SECONDS }
    }

    /// Loads a server with a scenario for so many seconds. What it prints besides its answer
    /// goes to `log`.
    pub(crate) fn run(
        &self,
        scenario: &Scenario,
        server: &mut Server,
        seconds: u32,
        log: &Path,
    ) -> Outcome {
        let arguments = arguments(scenario, &server.url(), server.id(), self.core, seconds);
        let limit = Duration::from_secs(u64::from(WARMUP_SECONDS + seconds + self.allowance));
        let outcome = match self.call(&arguments, limit, log) {
            Ok((status, output)) => judge(scenario, status, &output, log),
            Err(why) => Outcome::Failed { why },
        };
        blame(outcome, server.ended())
    }

    fn call(
        &self,
        arguments: &[String],
        limit: Duration,
        log: &Path,
    ) -> Result<(ExitStatus, String), String> {
        let answer = log.with_extension("json");
        let open = |path: &Path| {
            File::create(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let mut child = Command::new("taskset")
            .args(["--cpu-list", &self.core.to_string()])
            .arg(&self.program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(open(&answer)?)
            .stderr(open(log)?)
            .spawn()
            .map_err(|error| format!("cannot start taskset: {error}"))?;
        let status = wait(&mut child, limit)?;
        let output = fs::read(&answer).map_err(|error| format!("{}: {error}", answer.display()))?;
        // What it said is in the results; only failures leave files behind.
        let _ = fs::remove_file(&answer);
        Ok((status, String::from_utf8_lossy(&output).into_owned()))
    }
}

/// What the generator is told.
fn arguments(
    scenario: &Scenario,
    url: &str,
    server: u32,
    core: usize,
    seconds: u32,
) -> Vec<String> {
    let options = [
        ("--url", url.to_owned()),
        ("--connections", scenario.connections.to_string()),
        ("--outstanding", scenario.outstanding.to_string()),
        ("--payload", scenario.payload.to_string()),
        ("--rooms", scenario.rooms.to_string()),
        ("--warmup", WARMUP_SECONDS.to_string()),
        ("--seconds", seconds.to_string()),
        ("--server-pid", server.to_string()),
        ("--core", core.to_string()),
    ];
    let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
    let first = [scenario.load.word().to_owned()];
    first.into_iter().chain(options).chain(["--json".to_owned()]).collect()
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, String> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("the generator did not finish within {} s", limit.as_secs()));
            }
            Err(error) => return Err(format!("the generator cannot be watched: {error}")),
        }
    }
}

/// Whether a run counts. The generator ends with 1 when messages were lost or doubled or there were
/// errors, and then says so; another end than 0 spoils the run too.
fn judge(scenario: &Scenario, status: ExitStatus, output: &str, log: &Path) -> Outcome {
    match Measurement::parse(output) {
        Ok(measurement) => match measurement.fault(scenario) {
            Some(why) => Outcome::Void { why, measurement },
            None if status.success() => Outcome::Valid { measurement },
            None => Outcome::Void {
                why: format!("the generator ended with {status}{}", said(log)),
                measurement,
            },
        },
        Err(_) if !status.success() => {
            Outcome::Failed { why: format!("the generator ended with {status}{}", said(log)) }
        }
        Err(why) => Outcome::Failed { why },
    }
}

/// A server that ended by itself spoils its run, whatever was measured, and is the reason to name.
fn blame(outcome: Outcome, ended: Option<String>) -> Outcome {
    let Some(end) = ended else { return outcome };
    match outcome {
        Outcome::Valid { measurement } => Outcome::Void { why: end, measurement },
        Outcome::Void { why, measurement } => {
            Outcome::Void { why: format!("{why}; {end}"), measurement }
        }
        Outcome::Failed { why } => Outcome::Failed { why: format!("{why}; {end}") },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::cores::Cores;
    use crate::measurement::tests::ANSWER;
    use crate::scenario::SCENARIOS;
    use crate::server::tests::fake;

    /// A directory of this test, and a generator in it that is a shell script.
    pub(crate) fn script(name: &str, body: &str) -> (PathBuf, Generator) {
        let id = std::process::id();
        let directory = std::env::temp_dir().join(format!("yamabiko-peers-{id}-{name}"));
        fs::create_dir_all(&directory).unwrap();
        let program = directory.join("generator");
        fs::write(&program, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (
            directory,
            Generator { program, core: Cores::allowed().unwrap().generator(), allowance: 0 },
        )
    }

    fn echo() -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.name == "echo-50x8").unwrap()
    }

    fn run(name: &str, body: &str, server: &str) -> Outcome {
        let (directory, generator) = script(name, body);
        let cores = Cores::allowed().unwrap();
        let mut server =
            Server::start(&fake(server), cores.server(1).unwrap(), &directory.join("server.log"))
                .unwrap();
        let outcome = generator.run(echo(), &mut server, 1, &directory.join("generator.log"));
        server.stop();
        fs::remove_dir_all(directory).unwrap();
        outcome
    }

    #[test]
    fn it_is_told_everything() {
        let arguments = arguments(echo(), "http://127.0.0.1:3000", 77, 3, 4).join(" ");
        assert_eq!(
            arguments,
            "echo --url http://127.0.0.1:3000 --connections 50 --outstanding 8 --payload 64 --rooms 1 \
             --warmup 2 --seconds 4 --server-pid 77 --core 3 --json"
        );
    }

    #[test]
    fn an_answer_is_a_valid_run() {
        let outcome = run("valid", &format!("cat <<'END'\n{ANSWER}\nEND"), "");
        let Outcome::Valid { measurement } = outcome else { panic!("{outcome:?}") };
        assert_eq!(measurement.messages, 9_000_000);
    }

    #[test]
    fn lost_messages_are_a_void_run() {
        let answer = ANSWER.replace(r#""missing":0"#, r#""missing":12"#);
        let outcome = run("lost", &format!("cat <<'END'\n{answer}\nEND\nexit 1"), "");
        let Outcome::Void { why, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(why, "12 missing");
    }

    #[test]
    fn an_end_without_an_answer_is_a_failure_with_its_words() {
        let outcome = run("broken", "echo cannot connect >&2; exit 2", "");
        let Outcome::Failed { why } = outcome else { panic!("{outcome:?}") };
        assert_eq!(why, "the generator ended with exit status: 2: cannot connect");
    }

    #[test]
    fn one_that_hangs_is_ended() {
        let outcome = run("hangs", "exec sleep 60", "");
        let Outcome::Failed { why } = outcome else { panic!("{outcome:?}") };
        assert_eq!(why, "the generator did not finish within 3 s");
    }

    #[test]
    fn a_server_that_dies_spoils_its_run() {
        let body = format!("sleep 0.5; cat <<'END'\n{ANSWER}\nEND");
        let outcome = run("dies", &body, "my $c = $s->accept; die 'out of memory';");
        let Outcome::Void { why, .. } = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("the server ended") && why.contains("out of memory"), "{why}");
    }
}
