//! `cargo xtask test`: every check of the project, in the order in which a failure is cheapest.
//!
//! `cargo xtask test STEP…` runs only some of them. The steps install what they need (npm and Python
//! packages into the checkout; Debian packages with apt-get where the user is root) and say what is
//! missing where they cannot.
#![allow(clippy::print_stdout)]

mod steps;

use std::process::ExitCode;
use std::time::Instant;

use steps::{STEPS, Step};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, names)) if command == "test" => match chosen(names) {
            Ok(steps) => run(&steps),
            Err(name) => usage(&format!("there is no step '{name}'")),
        },
        _ => usage("what should be done?"),
    }
}

/// The steps of these names, or all of them; or the name that is none.
fn chosen(names: &[String]) -> Result<Vec<&'static Step>, &str> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    names
        .iter()
        .map(|name| STEPS.iter().find(|step| step.name == name).ok_or(name.as_str()))
        .collect()
}

fn run(steps: &[&Step]) -> ExitCode {
    for step in steps {
        println!("== {}: {}", step.name, step.what);
        let start = Instant::now();
        if let Err(why) = (step.run)() {
            println!("== {} failed: {why}", step.name);
            return ExitCode::FAILURE;
        }
        println!("== {} passed in {:.0} s", step.name, start.elapsed().as_secs_f64());
    }
    ExitCode::SUCCESS
}

fn usage(problem: &str) -> ExitCode {
    println!("{problem}\n\nusage: cargo xtask test [STEP…]\n\nsteps, in order:");
    for step in STEPS {
        println!("  {:<10} {}", step.name, step.what);
    }
    ExitCode::from(2)
}
