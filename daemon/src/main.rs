//! `alfarid-daemon`: the box.

use std::{path::PathBuf, process::ExitCode};

use alfarid_daemon::{app, config::Config, logging};
use anyhow::Context;
use clap::{Parser, Subcommand};

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
    let file = arguments.config;
    let reload = move || match Config::load(file.as_deref()) {
        Ok(config) => {
            match verbosity.set(&config.log.level) {
                Ok(()) => tracing::info!("settings read again"),
                Err(error) => tracing::error!(error = %error, "the new log level is not used"),
            }
            Some(config)
        }
        Err(error) => {
            tracing::error!(error = %error, "the new settings are not used");
            None
        }
    };
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(app::run(config, reload))
}
