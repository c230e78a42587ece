//! Sound, played for real: the player's device is ALSA's, and ALSA writes what it plays to a pipe,
//! which is read as fast as a loudspeaker takes it.

use std::{fs, path::Path};

use alfarid_agent::{
    clock,
    feed::{Frame, ToPlayer},
};
use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::stat::Mode,
    unistd::mkfifo,
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    time::{Duration, interval},
};

use crate::{
    media,
    player::{Feed, stage},
    process::Process,
    within,
};

/// A packet of sound.
const PACKET: Duration = Duration::from_millis(20);

/// What the device takes in that time, in bytes: 16 bits for each of two sides at 48 kHz.
const TAKEN: usize = 960 * 4;

/// What the pipe holds: little more than that, or the device would run ahead of its loudspeaker.
const PIPE: i32 = 4096;

/// The playout delay.
const DELAY: Duration = Duration::from_millis(300);

/// The default device writes into `pipe`, whose reader sets the pace.
fn alsa_config(pipe: &Path) -> String {
    let file =
        format!("type file file \"{}\" format raw slave.pcm {{ type null }}", pipe.display());
    format!(
        "pcm.!default {{ type plug slave {{ pcm {{ {file} }} \
         format S16_LE rate 48000 channels 2 }} }}\n"
    )
}

/// A tone arrives at the device as that tone.
#[tokio::test]
async fn what_the_teacher_plays_reaches_the_sound_device() {
    let feed = Feed::open();
    let (pipe, config) = (feed.dir.path().join("played"), feed.dir.path().join("asound.conf"));
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    fs::write(&config, alsa_config(&pipe)).unwrap();
    // Open for writing too: there is no end of file while no device is open.
    let mut played = pipe::OpenOptions::new().read_write(true).open_receiver(&pipe).unwrap();
    fcntl(&played, FcntlArg::F_SETPIPE_SZ(PIPE)).unwrap();
    let mut command = feed.player();
    let _player = Process::start(command.args(["--sink", "null"]).env("ALSA_CONFIG_PATH", &config));
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    let play = async {
        let mut pace = interval(PACKET);
        let mut due = clock::monotonic() + DELAY;
        for packet in media::tone(100) {
            pace.tick().await;
            let show_at = u64::try_from(due.as_nanos()).unwrap();
            feed.players.send(ToPlayer::Audio(Frame { show_at, ..packet })).await;
            due += PACKET;
        }
    };
    let listen = within("the tone", async {
        let (mut taken, mut heard) = ([0; TAKEN], Vec::new());
        played.read_exact(&mut taken).await.unwrap();
        let mut pace = interval(PACKET);
        // Less than half of it: a machine that is held up skips what it did not play in time.
        while heard.len() < 40_000 {
            pace.tick().await;
            played.read_exact(&mut taken).await.unwrap();
            let left = taken.as_chunks::<4>().0.iter().map(|[low, high, ..]| [*low, *high]);
            heard.extend(left.map(i16::from_le_bytes).filter(|sample| *sample != 0));
        }
        heard
    });
    let ((), heard) = tokio::join!(play, listen);
    let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
    assert!((9_000..12_000).contains(&loudest), "{loudest}");
    // 440 Hz goes up through zero 440 times in 48000 samples.
    let rising = heard.windows(2).filter(|pair| pair[0] < 0 && pair[1] > 0).count();
    assert!((350..385).contains(&rising), "{rising} periods in {} samples", heard.len());
}

/// A machine without a sound device shows the lesson all the same.
#[tokio::test]
async fn without_a_sound_device_the_picture_goes_on() {
    let feed = Feed::open();
    let config = feed.dir.path().join("asound.conf");
    fs::write(&config, "# no device at all\n").unwrap();
    let mut command = feed.player();
    let _player = Process::start(command.args(["--sink", "null"]).env("ALSA_CONFIG_PATH", &config));
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    let pictures = media::video(alfarid_protocol::grant::Codec::Vp8, (320, 180), 10);
    for (picture, packet) in pictures.into_iter().zip(media::tone(10)) {
        feed.players.send(ToPlayer::Audio(packet)).await;
        feed.players.send(ToPlayer::Video(picture)).await;
    }
    feed.shown(10).await;
}
