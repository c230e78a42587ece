//! A graphical session: Xvfb on a display of its own.

use std::{path::PathBuf, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
};

use crate::{PATIENCE, within};

pub(crate) struct Display {
    name: String,
    _server: Child,
}

/// What the display shows: a byte for the brightness of each pixel.
pub(crate) struct Screenshot {
    /// As xwd wrote it.
    file: Vec<u8>,
    pub(crate) pixels: Vec<u8>,
    pub(crate) width: usize,
}

impl Display {
    pub(crate) async fn start(size: (u32, u32)) -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{}x{}x24", size.0, size.1))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // The server writes its number when it is ready.
        let mut number = String::new();
        let mut stdout = BufReader::new(server.stdout.take().unwrap());
        within("Xvfb", stdout.read_line(&mut number)).await.unwrap();
        Self { name: format!(":{}", number.trim()), _server: server }
    }

    /// Makes `command` run on this display.
    pub(crate) fn set(&self, command: &mut Command) {
        command.env("DISPLAY", &self.name).env_remove("WAYLAND_DISPLAY");
    }

    /// Sends input as a person does.
    pub(crate) async fn xdotool(&self, arguments: &[&str]) {
        let mut command = Command::new("xdotool");
        self.set(command.args(arguments));
        assert!(within("xdotool", command.status()).await.unwrap().success());
    }

    async fn screenshot(&self) -> Screenshot {
        let mut xwd = Command::new("xwd");
        self.set(xwd.args(["-root", "-silent"]));
        Screenshot::parse(within("a screenshot", xwd.output()).await.unwrap().stdout)
    }

    /// Takes screenshots until one is as `wanted`, and keeps the last one.
    pub(crate) async fn shows(&self, name: &str, wanted: impl Fn(&Screenshot) -> bool) {
        let mut last = None;
        let looking = async {
            loop {
                let shot = last.insert(self.screenshot().await);
                if wanted(shot) {
                    return;
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, looking).await.is_ok();
        let path = last.unwrap().keep(name).await;
        assert!(seen, "the window does not show {name}: see {}", path.display());
    }
}

impl Screenshot {
    /// Reads what xwd writes: a header of big-endian words, colours, then 32 bits a pixel.
    fn parse(file: Vec<u8>) -> Self {
        let word =
            |n: usize| u32::from_be_bytes(file[n * 4..n * 4 + 4].try_into().unwrap()) as usize;
        let (width, bits, line, colours) = (word(4), word(11), word(12), word(19));
        assert_eq!((bits, line), (32, width * 4));
        let pixels = &file[word(0) + colours * 12..];
        // Green says enough about how bright a pixel is.
        let pixels = pixels.chunks_exact(4).map(|pixel| pixel[1]).collect();
        Self { file, pixels, width }
    }

    /// Leaves a PNG for people to look at.
    async fn keep(self, name: &str) -> PathBuf {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        let mut convert = Command::new("convert");
        convert.arg("xwd:-").arg(&path).stdin(Stdio::piped());
        let mut convert = convert.spawn().unwrap();
        convert.stdin.take().unwrap().write_all(&self.file).await.unwrap();
        within("a PNG", convert.wait()).await.unwrap();
        path
    }

    /// The part from (x, y), as shares of the whole.
    pub(crate) fn part(&self, x: (f64, f64), y: (f64, f64)) -> Vec<u8> {
        let height = self.pixels.len() / self.width;
        let range = |(from, to): (f64, f64), length: usize| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a screenshot is small"
            )]
            let at = |share: f64| (share * length as f64) as usize;
            at(from)..at(to)
        };
        let columns = range(x, self.width);
        range(y, height)
            .flat_map(|row| self.pixels[row * self.width..][columns.clone()].iter().copied())
            .collect()
    }

    /// How many pixels of a part are as bright as letters.
    pub(crate) fn letters(&self, x: (f64, f64), y: (f64, f64)) -> usize {
        self.part(x, y).iter().filter(|&&pixel| pixel > 110).count()
    }
}
