//! `alfarid-agent`: the command line of the student machine's service.

use std::{
    fs,
    io::{self, IsTerminal},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use alfarid_agent::{enrol::Enrolment, presence::SeatSource, service::Service, token_source};
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use nix::unistd::getuid;
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// The student machine's service.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make this machine known to a site, by a token from the box's page. Once.
    Enrol(EnrolArgs),
    /// Serve: find the box, receive lessons, feed the player. Started by systemd.
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct EnrolArgs {
    /// Where the box is, if not where the token says: HOST:PORT.
    #[arg(long = "box", value_name = "HOST:PORT")]
    box_address: Option<String>,
    /// Read the token from a file that nobody else can read, and delete it afterwards. Without
    /// this, the token is one line of standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Enrol anew a machine that is enrolled already.
    #[arg(long)]
    again: bool,
    #[arg(long, value_name = "DIR", default_value = "/var/lib/alfarid-agent")]
    state: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[arg(long, value_name = "DIR", default_value = "/var/lib/alfarid-agent")]
    state: PathBuf,
    #[arg(long, value_name = "DIR", default_value = "/run/alfarid")]
    runtime: PathBuf,
    /// Join lessons on this interface, instead of the one that reaches the box.
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// Where logind cannot be asked: whose player may attach. The agent's own user by default.
    #[arg(long, value_name = "UID")]
    player_uid: Option<u32>,
    /// Do not ask logind whose session is in front.
    #[arg(long, hide = true)]
    no_logind: bool,
    /// Do not listen to mDNS.
    #[arg(long, hide = true)]
    no_discovery: bool,
    /// How often an open span of presence gets a checkpoint.
    #[arg(long, hide = true, value_name = "MS", default_value = "60000")]
    checkpoint_ms: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    // One thread is enough: a lesson is some hundred packets a second.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("start the runtime").and_then(|runtime| {
        runtime.block_on(async {
            match cli.command {
                Command::Enrol(args) => Box::pin(args.run()).await,
                Command::Run(args) => args.run().await,
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("alfarid-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl EnrolArgs {
    async fn run(self) -> anyhow::Result<()> {
        let token = if let Some(path) = &self.token_file {
            token_source::from_file(path)?
        } else {
            if io::stdin().is_terminal() {
                eprintln!("Paste the site token from the box's page and press Enter:");
            }
            token_source::from_stdin()?
        };
        let enrolment =
            Enrolment { state: self.state, box_address: self.box_address, again: self.again };
        let enrolled = Box::pin(enrolment.run(token)).await?;
        if let Some(path) = &self.token_file {
            fs::remove_file(path)
                .with_context(|| format!("enrolled, but {} is still there", path.display()))?;
        }
        println!("This machine is enrolled as {}.", enrolled.machine);
        Ok(())
    }
}

impl RunArgs {
    async fn run(self) -> anyhow::Result<()> {
        let service = Service {
            state: self.state,
            runtime: self.runtime,
            interface: self.interface,
            discovery: !self.no_discovery,
            seat: SeatSource {
                logind: !self.no_logind,
                otherwise: self.player_uid.unwrap_or_else(|| getuid().as_raw()),
            },
            checkpoint: Duration::from_millis(self.checkpoint_ms),
        };
        Ok(service.run().await?)
    }
}

/// Readable text on standard error; under systemd that is the journal, which has its own clock.
fn start_log() {
    let filter = EnvFilter::try_from_env("ALFARID_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(layer.without_time().with_ansi(false)).init();
    } else {
        registry.with(layer.with_ansi(io::stderr().is_terminal())).init();
    }
}
