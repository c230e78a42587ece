//! `alfarid-player`: the lesson in the student's session.
//!
//! ```text
//!   agent ═══ socket ═══▶ attach ──▶ decode ──▶ screen ──▶ window (or null)
//!                            └─────▶ sound ──▶ loudspeaker
//! ```
//!
//! It decodes and shows, and knows nothing else: no network, no keys. It attaches to the agent by
//! itself and again when the agent was restarted; meanwhile, and without a lesson, one calm line
//! stands on the screen. `GStreamer` stays in [`decode`], [`scale`], [`text`] and [`sound`].
//!
//! Reading order: [`scene`] (what is to be seen), [`playout`] (when), [`screen`] (between the
//! threads), then the ends: [`attach`], [`decode`], [`window`].

mod attach;
mod canvas;
mod catalogue;
mod decode;
mod null;
mod paint;
mod playout;
mod scale;
mod scene;
mod screen;
mod sound;
mod text;
mod view;
mod window;

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
};

use alfarid_agent::feed;
use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    attach::{Receivers, Replies},
    catalogue::Language,
    decode::Decoder,
    null::Trace,
    paint::Painter,
    screen::{End, Screen},
    sound::Sound,
    window::{Wake, WindowSink},
};

/// Shows lessons in a window.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The folder with the agent's socket.
    #[arg(long, value_name = "DIR", default_value = "/run/alfarid")]
    runtime: PathBuf,
    /// Where pictures go.
    #[arg(long, value_enum, default_value = "window")]
    sink: Sink,
    /// Begin on the full screen.
    #[arg(long)]
    full_screen: bool,
    /// Write down each picture that was on show. With `--sink null` only.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Sink {
    /// A window.
    Window,
    /// Nowhere: pictures are counted, and the count is printed each second.
    Null,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("alfarid-player: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    gstreamer::init().context("start GStreamer")?;
    let socket = cli.runtime.join(feed::SOCKET);
    match cli.sink {
        Sink::Window => {
            let window = WindowSink::new(cli.full_screen)?;
            let waker = window.waker();
            let screen = Arc::new(Screen::new(move || {
                // A loop that has ended needs no waking.
                let _ = waker.send_event(Wake);
            }));
            start_threads(&socket, &screen, |_| {})?;
            let language = Language::of_environment(|name| std::env::var(name).ok());
            window.run(Arc::clone(&screen), Painter::new(language))?;
            end(&screen)
        }
        Sink::Null => {
            let trace = cli.trace.as_deref().map(Trace::open).transpose()?;
            let (wake, woken) = mpsc::sync_channel(1);
            let screen = Arc::new(Screen::new(move || {
                // One wake that waits is enough: the sink then looks at everything.
                let _ = wake.try_send(());
            }));
            start_threads(&socket, &screen, |shown| println!("shown {shown}"))?;
            null::run(&screen, &woken, trace)?;
            end(&screen)
        }
    }
}

/// Whether the session is to start a player again.
fn end(screen: &Screen) -> anyhow::Result<()> {
    match screen.ended() {
        Some(End::Outdated) => bail!("another build of the agent is running"),
        Some(End::Replaced) | None => Ok(()),
    }
}

/// Starts what feeds the screen, and what reports how it goes. The threads end with the process.
fn start_threads(
    socket: &Path,
    screen: &Arc<Screen>,
    also: impl Fn(u64) + Send + 'static,
) -> io::Result<()> {
    let replies = Replies::default();
    let (feeding, feed_replies, socket) =
        (Arc::clone(screen), Arc::clone(&replies), socket.to_owned());
    thread::Builder::new().name("feed".to_owned()).spawn(move || {
        let output = Arc::clone(&feeding);
        let mut receivers = Receivers {
            lesson: None,
            decoder: Decoder::new(move |picture| output.show(picture)),
            sound: Sound::default(),
            screen: feeding,
        };
        attach::follow(&socket, &mut receivers, &feed_replies);
    })?;
    let reporting = Arc::clone(screen);
    thread::Builder::new().name("report".to_owned()).spawn(move || {
        attach::report(&reporting, &replies, |shown| {
            also(shown);
            // Whoever reads the count wants it now.
            let _ = io::stdout().flush();
        });
    })?;
    Ok(())
}

/// Readable text on standard error; under systemd that is the journal, which has its own clock.
fn start_log() {
    // What the window libraries say of each display is nothing to act upon.
    let filter = EnvFilter::try_from_env("ALFARID_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,winit=error,sctk_adwaita=off"));
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        registry.with(layer.without_time().with_ansi(false)).init();
    } else {
        registry.with(layer.with_ansi(io::stderr().is_terminal())).init();
    }
}
