//! `alfarid-daemon`: the box.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use alfarid_daemon::{
    app,
    config::Config,
    logging::{self, Verbosity},
};
use anyhow::Context;
use clap::{Parser, Subcommand};

/// How long blocking work may go on once all tasks have ended.
const LAST_WORK: Duration = Duration::from_secs(2);

/// The classroom's box: serves the pages, the lessons and the machines.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings to use in place of /etc/alfarid/alfarid.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the OpenAPI document of this build and exit.
    Openapi,
}

fn main() -> ExitCode {
    serve().unwrap_or_else(|error| {
        eprintln!("alfarid-daemon: {error:#}");
        ExitCode::FAILURE
    })
}

fn serve() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    if let Some(Command::Openapi) = arguments.command {
        print!("{}", app::openapi_document()?);
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(arguments.config.as_deref())?;
    let verbosity = logging::start(&config.log.level)?;
    let reload = Reload { file: arguments.config, at_start: config.clone(), verbosity };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let ended = runtime.block_on(app::run(config, || reload.again()));
    // Blocking work that is under way (a salvage reads gigabytes) is not waited for.
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

/// Reads the settings of a running box again.
struct Reload {
    file: Option<PathBuf>,
    at_start: Config,
    verbosity: Verbosity,
}

impl Reload {
    /// What stands there now; `None` where it cannot be taken, and then nothing changes.
    fn again(&self) -> Option<Config> {
        let config = match Config::load(self.file.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                tracing::error!(error = %error, "all settings stay as they were: {error}");
                return None;
            }
        };
        if let Err(error) = self.verbosity.set(&config.log.level) {
            tracing::error!(error = %error, "the log level stays as it was: {error}");
        }
        match self.at_start.waiting(&config).join(", ") {
            waiting if waiting.is_empty() => tracing::info!("settings read again"),
            waiting => tracing::warn!("settings read again; at the next start: {waiting}"),
        }
        Some(config)
    }
}
