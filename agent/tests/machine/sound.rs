//! Sound, played for real: the player's device is ALSA's, and ALSA writes what it plays to a pipe.

use std::{fs, path::Path};

use alfarid_agent::feed::ToPlayer;
use nix::{sys::stat::Mode, unistd::mkfifo};
use tokio::{
    io::{AsyncReadExt, BufReader},
    net::unix::pipe,
    time::{Duration, interval},
};

use crate::{
    media,
    player::{Feed, stage},
    process::Process,
    within,
};

/// The default device writes into `pipe`, whose reader sets the pace.
fn alsa_config(pipe: &Path) -> String {
    let file =
        format!("type file file \"{}\" format raw slave.pcm {{ type null }}", pipe.display());
    format!(
        "pcm.!default {{ type plug slave {{ pcm {{ {file} }} \
         format S16_LE rate 48000 channels 2 }} }}\n"
    )
}

/// A tone of one second arrives at the device as that tone.
#[tokio::test]
async fn what_the_teacher_plays_reaches_the_sound_device() {
    let feed = Feed::open();
    let (pipe, config) = (feed.dir.path().join("played"), feed.dir.path().join("asound.conf"));
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    fs::write(&config, alsa_config(&pipe)).unwrap();
    // Open for writing too: there is no end of file while no device is open.
    let mut played = pipe::OpenOptions::new();
    let mut played = BufReader::new(played.read_write(true).open_receiver(&pipe).unwrap());
    let mut command = feed.player();
    let _player = Process::start(command.args(["--sink", "null"]).env("ALSA_CONFIG_PATH", &config));
    feed.attached().await;
    feed.players.send(ToPlayer::Stage(stage())).await;
    let play = async {
        let mut pace = interval(Duration::from_millis(20));
        for packet in media::tone(50) {
            pace.tick().await;
            feed.players.send(ToPlayer::Audio(packet)).await;
        }
    };
    let listen = within("the tone", async {
        let mut heard = Vec::new();
        // Most of the second: the last bit waits in the ring for more.
        while heard.len() < 40_000 {
            let left = played.read_i16_le().await.unwrap();
            let _right = played.read_i16_le().await.unwrap();
            if left != 0 {
                heard.push(left);
            }
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
