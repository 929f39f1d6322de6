//! Yamabiko and its peers under the same load, side by side: installs, builds, runs and reports.
//!
//! `cargo run --release -p yamabiko-peers -- --help` tells the options. The servers that are compared stand
//! in the directories beside this one, the load generator in `tools/load`. This program measures
//! nothing itself: the generator does, and says it as JSON.

mod contest;
mod cores;
mod figures;
mod generator;
mod machine;
mod measurement;
mod options;
mod peer;
mod quantity;
mod report;
mod scenario;
mod server;
mod spread;
mod target;
mod workshop;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::contest::Contest;
use crate::cores::Cores;
use crate::generator::Generator;
use crate::machine::Machine;
use crate::options::Options;
use crate::report::Occasion;
use crate::workshop::Workshop;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// The whole contest. Errors are those without which nothing can be measured or reported.
fn run(options: &Options) -> Result<(), String> {
    if options.peers().is_empty() {
        return Err("none of the peers asked for takes part in the scenarios asked for".to_owned());
    }
    let logs = options.out.join("logs");
    fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let cores = Cores::allowed()?;
    let mut workshop = Workshop::new(root(), logs.clone());
    let generator = Generator::new(workshop.generator()?, cores.generator());
    let entrants = options.peers().into_iter().map(|peer| workshop.entrant(peer)).collect();
    let mut contest = Contest {
        scenarios: options.scenarios(),
        entrants,
        rounds: options.rounds,
        seconds: options.seconds,
        descriptors: raise_descriptors()?,
        generator,
        logs,
        records: Vec::new(),
        impossible: HashMap::new(),
        cores,
    };
    let occasion = occasion(&contest.cores);
    contest.run(|contest| report::write(&options.out, &occasion, contest))?;
    eprintln!("{} is written", options.out.join("report.html").display());
    Ok(())
}

fn occasion(cores: &Cores) -> Occasion {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let command = format!("cargo run --release -p yamabiko-peers -- {}", arguments.join(" "));
    Occasion {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        command: command.trim_end_matches(" -- ").to_owned(),
        load_average: machine::load_average(),
        machine: Machine::look(cores.count()),
    }
}

/// Lets this process, and so all it starts, have as many descriptors as it may; says how many.
fn raise_descriptors() -> Result<u64, String> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .map_err(|error| format!("cannot raise the limit of descriptors: {error}"))?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// The repository's root.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(3).expect("benches/peers/run is three below the root").to_owned()
}
