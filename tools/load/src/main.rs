//! Loads a Socket.IO server from one thread, as fast as the cheapest server can answer, and checks every
//! byte of every answer.
//!
//! Readiness by epoll, one read into a shared buffer and one write per connection and turn, nothing
//! allocated and no JSON parsed per message: so that what is measured is the server.
//!
//! | module | what it owns |
//! |---|---|
//! | `options`, `report`, `failure` | command line, result, why there is none |
//! | `run`, `tally`, `processes`, `machine` | the course of a run; its counts; CPU time and memory of processes; descriptors and cores |
//! | `swarm`, `polling` with `poller`, `connects` | the clients: WebSocket, HTTP long-polling, short-lived |
//! | `opening`, `readiness`, `loss` | bringing them up, waiting for them, losing them |
//! | `echo`, `binary`, `rooms`, `idle` | what WebSocket clients say, and what the answers must be |
//! | `exchange`, `flights`, `arrivals`, `payload` | numbered messages: on their way, arrived, as text |
//! | `link`, `handshake`, `frame`, `http`, `digits` | TCP, and the formats on it |

mod arrivals;
mod binary;
mod connects;
mod digits;
mod echo;
mod exchange;
mod failure;
mod flights;
mod frame;
mod handshake;
mod http;
mod idle;
mod link;
mod loss;
mod machine;
mod opening;
mod options;
mod payload;
mod poller;
mod polling;
mod processes;
mod readiness;
mod report;
mod rooms;
mod run;
mod swarm;
mod tally;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use connects::Connects;
use failure::Failure;
use options::{Options, Scenario};
use polling::Polling;
use report::Report;
use swarm::Swarm;

fn main() -> ExitCode {
    let options = Options::parse();
    match run_scenario(&options) {
        Ok(report) => told(&report, options.json),
        Err(failure) => {
            let _ = writeln!(io::stderr(), "yamabiko-load: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run_scenario(options: &Options) -> Result<Report, Failure> {
    options.check()?;
    machine::allow_connections(options.tcp_connections())?;
    if let Some(core) = options.core {
        machine::stay_on(core)?;
    }
    match options.scenario {
        Scenario::Echo => run::run(&mut Swarm::new(options, echo::Echo::new(options))?, options),
        Scenario::Binary => {
            run::run(&mut Swarm::new(options, binary::BinaryEcho::new(options))?, options)
        }
        Scenario::Fanout | Scenario::Rooms => {
            run::run(&mut Swarm::new(options, rooms::Rooms::new(options))?, options)
        }
        Scenario::Idle => run::run(&mut Swarm::new(options, idle::Idle::default())?, options),
        Scenario::Polling => run::run(&mut Polling::new(options)?, options),
        Scenario::Connects => run::run(&mut Connects::new(options)?, options),
    }
}

fn told(report: &Report, json: bool) -> ExitCode {
    let text = if json {
        serde_json::to_string(report).expect("numbers and plain keys")
    } else {
        report.to_string()
    };
    let written = writeln!(io::stdout(), "{text}");
    if !report.is_sound() {
        let _ = writeln!(io::stderr(), "yamabiko-load: {}", report.complaint());
    }
    if written.is_ok() && report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
