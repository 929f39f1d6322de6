//! The `yamabiko` binary: serves the demo chat on every core, or sends to the clients of a cluster.

mod emit_command;

use std::env;
use std::process::ExitCode;

use clap::Parser;
use emit_command::EmitCommand;
use tracing_subscriber::EnvFilter;
use yamabiko::{Config, LogFormat, Server, demo};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("yamabiko: {error}\n"),
            );
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    if env::args_os().nth(1).is_some_and(|first| first == "emit") {
        return EmitCommand::parse_from(env::args_os().skip(1)).run();
    }
    let config = Config::from_args()?;
    let filter = EnvFilter::try_new(config.log.as_deref().unwrap_or("info"))
        .map_err(|error| format!("log: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => log.compact().init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    let server = Server::new(config).on_ready(|ready| {
        let port = ready.address.port();
        tracing::info!("open http://localhost:{port} in two tabs");
    });
    server.run(|_core| demo::app())?;
    Ok(())
}
