//! Whether small text can be read: a page of 10 pt on a screen of 1080 lines turns over, and a second
//! later the machine's picture is read by tesseract. The peer is what tesseract reads from the
//! teacher's own screen.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use classroom::{display::Pixels, eventually, host::Host};
use serde_json::{Value, json};

use super::Room;
use crate::report::{Report, Worst};

const SIZE: (usize, usize) = (1920, 1080);
/// A second after the page has turned.
const AFTER: Duration = Duration::from_secs(1);
const PAGES: usize = 3;
const LINES: usize = 20;
const WORDS_IN_LINE: usize = 12;
/// The part of the screen that has the text, well within the browser's window.
const TEXT: (usize, usize) = (1200, 540);
/// Below this mean difference, of 255, a picture of the first page is on the machine.
const ALIKE: u64 = 4;
const LIMIT: Duration = Duration::from_mins(1);

/// Words that tesseract knows, and that have most letters.
const WORDS: [&str; 24] = [
    "lesson", "teacher", "student", "machine", "quick", "brown", "jumps", "over", "lazy", "zebra",
    "exactly", "vowel", "keyboard", "picture", "number", "window", "grammar", "question", "answer",
    "forty", "history", "weather", "physics", "journey",
];

pub(super) async fn measure(report: &mut Report) -> Result<()> {
    let room = Room::open(SIZE).await?;
    let host = room.school.classroom.teacher()?;
    let url = write_page(host)?;
    let paper = room.desk.show_whole("text", &url).await?;
    room.share().await?;
    paper.raise().await?;
    let turn = async |page: usize| -> Result<()> {
        let script = "document.querySelector('pre').textContent = arg";
        paper.eval::<Value>(script, json!(text(page))).await.map(drop)
    };
    turn(0).await?;
    eventually("the machine shows the first page", LIMIT, async || {
        let apart = apart(&room.source, &room.shown)?;
        ensure!(apart < ALIKE, "{apart} of 255 apart");
        Ok(())
    })
    .await?;
    let (mut shown, mut source) = (Vec::new(), Vec::new());
    for page in 1..=PAGES {
        turn(page).await?;
        later().await;
        // Both at the same moment; reading takes longer than that.
        let pictures = [&room.shown, &room.source].map(|pixels| pixels.grey(SIZE, SIZE.1));
        let [ours, theirs] = pictures;
        shown.push(read_right(&ocr(host, &ours?).await?, &text(page)));
        source.push(read_right(&ocr(host, &theirs?).await?, &text(page)));
    }
    let about = format!(
        "the least of {PAGES} pages of 10 pt text on 1920x1080, read by tesseract from the machine's \
         picture 1 s after the page turned: {}",
        listed(&shown)
    );
    report.figure("text_ocr", least(&shown), Worst::AtLeast(0.99), about);
    let about = format!("what it reads from the teacher's own screen: {}", listed(&source));
    report.figure("text_ocr_source", least(&source), Worst::Print, about);
    room.close().await
}

/// The second that the figure is of.
async fn later() {
    let mut tick = tokio::time::interval(AFTER);
    tick.tick().await;
    tick.tick().await;
}

fn least(shares: &[f64]) -> f64 {
    shares.iter().copied().fold(1.0, f64::min)
}

fn listed(shares: &[f64]) -> String {
    shares.iter().map(|share| format!("{share:.4}")).collect::<Vec<_>>().join(", ")
}

/// A page without text, as a file; gives its address.
fn write_page(host: &Host) -> Result<String> {
    let path = host.dir().join("text.html");
    let page = "<!doctype html><meta charset=\"utf-8\"><title>Text</title>\
                <style>body { margin: 40px; background: #fff; color: #000 }\
                pre { font: 10pt/1.6 'DejaVu Sans' }</style><pre></pre>";
    fs::write(&path, page).with_context(|| format!("write {}", path.display()))?;
    Ok(format!("file://{}", path.display()))
}

/// Another text for each page.
fn text(page: usize) -> String {
    let word =
        |line: usize, n: usize| WORDS[(page * 7 + line * (2 * page + 5) + n * 11) % WORDS.len()];
    let line = |line| (0..WORDS_IN_LINE).map(|n| word(line, n)).collect::<Vec<_>>().join(" ");
    (0..LINES).map(line).collect::<Vec<_>>().join("\n")
}

/// How far apart two screens are, of 255, on average.
fn apart(one: &Pixels, other: &Pixels) -> Result<u64> {
    const SMALL: (usize, usize) = (480, 270);
    let (one, other) = (one.grey(SMALL, SMALL.1)?, other.grey(SMALL, SMALL.1)?);
    let sum: u64 = one.iter().zip(&other).map(|(one, other)| u64::from(one.abs_diff(*other))).sum();
    Ok(sum / u64::try_from(one.len())?)
}

/// What tesseract reads in a picture of the screen, three times as large: it was taught with print.
async fn ocr(host: &Host, grey: &[u8]) -> Result<String> {
    let [small, large] = ["page.pgm", "page.png"].map(|name| host.dir().join(name));
    let mut picture = format!("P5 {} {} 255\n", SIZE.0, SIZE.1).into_bytes();
    picture.extend(grey);
    fs::write(&small, picture)?;
    // Beside it is no window, and below it Chromium says that the screen is shared.
    let crop = format!("{}x{}+0+0", TEXT.0, TEXT.1);
    let mut enlarge = Command::new("convert");
    enlarge.arg(&small).args([
        "-crop",
        &crop,
        "+repage",
        "-trim",
        "-bordercolor",
        "white",
        "-border",
        "20",
    ]);
    enlarge.args(["-resize", "300%"]).arg(&large);
    host.run_well(enlarge, "", LIMIT).await?;
    host.run_well(tesseract(&large), "", LIMIT).await
}

fn tesseract(picture: &Path) -> Command {
    let mut command = Command::new("tesseract");
    command.arg(picture).args(["stdout", "-l", "eng", "--psm", "6"]);
    command
}

/// The share of the text's characters that were read right, by edit distance; white space is one
/// space.
fn read_right(read: &str, text: &str) -> f64 {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (read, text): (Vec<char>, Vec<char>) =
        (plain(read).chars().collect(), plain(text).chars().collect());
    #[expect(clippy::cast_precision_loss, reason = "a page of characters")]
    let wrong = distance(&read, &text) as f64 / text.len().max(1) as f64;
    1.0 - wrong.min(1.0)
}

/// Levenshtein's distance, row by row.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (row, a) in one.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, b) in other.iter().enumerate() {
            let replaced = above[column] + usize::from(a != b);
            let least = replaced.min(above[column + 1] + 1).min(line[column] + 1);
            line.push(least);
        }
        above = line;
    }
    above.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_right_is_what_need_not_be_changed() {
        assert!((read_right("a lesson", "a  lesson\n") - 1.0).abs() < 1e-9);
        assert!((read_right("a lessom", "a lesson") - 7.0 / 8.0).abs() < 1e-9);
        assert!((read_right("lesson", "a lesson") - 6.0 / 8.0).abs() < 1e-9);
        assert!(read_right("", "a lesson") < 1e-9);
    }

    #[test]
    fn each_page_is_another_one() {
        assert_ne!(text(1), text(2));
        assert_eq!(text(1).lines().count(), LINES);
    }
}
