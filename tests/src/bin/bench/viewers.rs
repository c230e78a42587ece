//! The bench `viewers`: what browsers that watch by WHEP cost the box, beside Janus with the same
//! load.
//!
//! Each viewer is a real session (ICE, DTLS, SRTP) that counts what comes and decodes nothing; all
//! of them, the publisher's encoder and the box share the cores of one machine. What viewers cost
//! is what the box takes beyond the same lesson with one of them; beside Janus it is all that the
//! box takes: relay and recording are in it, and Janus records nothing.
//!
//! Over the lab's cables the kernel counts what switch and receivers do with a packet as its
//! sender's, the box's and Janus's alike. No real box does that work.

mod janus;
mod watcher;

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use classroom::{
    client::{Client, Trust},
    eventually,
    host::Host,
    process::Process,
    school::{Options, PASSWORD, School, now_ms},
};
use http::{Request, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};

use self::{
    janus::{Janus, PICTURE, PICTURE_TYPE, SOUND, SOUND_TYPE},
    watcher::{Offer, Watcher},
};
use crate::{
    lesson::{
        now, school, small_lesson,
        source::{self, Feed},
    },
    report::{Report, Worst},
    usage,
};

const MOST: usize = 300;
/// A class has no more students; each person may have so many pages, and an address fifty viewers
/// and ten passwords typed at one go.
const CLASS: usize = 50;
const PAGES: usize = 4;
const PEOPLE_AT_ONE: usize = 10;
const HOSTS: u8 = 8;

const SIZE: (u32, u32) = (1280, 720);
/// What 300 viewers are sent: their streams together are as many bits as those of 75 at 4 Mbit/s.
const FEW_KBPS: u32 = 1_000;
/// Pictures in a window: 15 s.
const WINDOW: u64 = 450;
const LIMIT: Duration = Duration::from_mins(1);

/// What so many viewers took in a window.
struct Window {
    viewers: u32,
    /// Shares of a core: the server's, and the whole harness's.
    core: f64,
    harness: f64,
    /// Of each viewer, on average.
    mbps: f64,
    /// Of the one that got the fewest.
    pictures: u64,
}

pub(crate) async fn measure(report: &mut Report) -> Result<()> {
    let max_viewers = ("ALFARID_MEDIA__MAX_VIEWERS".to_owned(), MOST.to_string());
    let daemon_env = vec![max_viewers];
    let options = Options { without_agents: true, daemon_env, ..Options::default() };
    let school = school(HOSTS, &options).await?;
    let pages = sign_in(&school).await?;
    let lesson = small_lesson(&school).await?;
    let publisher = source::on_air(&school, &lesson, SIZE).await?;
    let mut watchers = Vec::new();
    let one = more(&school, &pages, &lesson, &mut watchers, 1).await?;
    report.figure("whep_core_1", one.core, Worst::Print, one.about());
    let fifty = more(&school, &pages, &lesson, &mut watchers, 50).await?;
    report.figure("whep_core_50", fifty.beyond(&one), Worst::AtMost(0.15), fifty.about());
    let hundred = more(&school, &pages, &lesson, &mut watchers, 100).await?;
    report.figure("whep_core_100", hundred.beyond(&one), Worst::AtMost(0.30), hundred.about());
    drop((watchers, publisher));
    school.end_lesson(&lesson).await?;
    let peer = beside(&school).await?;
    report.figure("janus_core_50", peer.core, Worst::Print, peer.about());
    let about = format!(
        "of a core for each viewer, {:.5} over {:.5} of Janus with the same picture and sound",
        fifty.each(),
        peer.each()
    );
    report.figure("whep_over_janus", fifty.each() / peer.each(), Worst::AtMost(0.5), about);

    let lesson = small_lesson(&school).await?;
    let _publisher = source::of(&school, &lesson, SIZE, FEW_KBPS).await?;
    let most = more(&school, &pages, &lesson, &mut Vec::new(), MOST).await?;
    report.figure("whep_core_300", most.core, Worst::Print, most.about());
    school.end_lesson(&lesson).await?;
    school.classroom.close()
}

/// Pages for all viewers that there are, signed in: a whole class by its codes, and beyond it
/// people of the school who may see every lesson.
async fn sign_in(school: &School) -> Result<Vec<(Client, Host)>> {
    let address: SocketAddr = (school.classroom.the_box().address(), 443).into();
    let mut pages = Vec::new();
    for (n, (path, who)) in
        students(school).await?.into_iter().chain(admins(school).await?).enumerate()
    {
        let host = school.classroom.machines().get(n / PEOPLE_AT_ONE).context("a host")?;
        let page = Client::new(host, address, &Trust::Anyone)?;
        page.post(path, &who).await?.ok()?;
        pages.push((page, host.clone()));
    }
    Ok(pages)
}

/// Where students sign in, and what each of them types.
async fn students(school: &School) -> Result<Vec<(&'static str, Value)>> {
    let path = format!("/api/v1/classes/{}/students", school.class_id);
    let mut ids = Vec::new();
    for n in 0..CLASS {
        let student =
            json!({ "student_id": format!("{n:03}"), "full_name": format!("Student {n}") });
        let made: Value = school.teacher.post(&path, &student).await?.json()?;
        ids.push(made["id"].as_str().context("a student's id")?.to_owned());
    }
    let path = format!("/api/v1/classes/{}/codes", school.class_id);
    let made: Value = school.teacher.post(&path, &json!({ "student_ids": ids })).await?.json()?;
    let codes = made["items"].as_array().context("codes")?;
    let typed =
        codes.iter().map(|code| ("/api/v1/session/student", json!({ "code": code["code"] })));
    Ok(typed.collect())
}

/// The same of people of the school.
async fn admins(school: &School) -> Result<Vec<(&'static str, Value)>> {
    let mut typed = Vec::new();
    for n in 0..MOST.div_ceil(PAGES) - CLASS {
        let email = format!("admin{n}@school.example");
        let admin = json!({
            "email": email, "full_name": format!("Admin {n}"), "role": "admin", "password": PASSWORD,
        });
        school.teacher.post("/api/v1/teachers", &admin).await?.ok()?;
        let person = json!({ "email": email, "password": PASSWORD, "browser_time": now_ms() });
        typed.push(("/api/v1/session", person));
    }
    Ok(typed)
}

/// Lets more watch, up to so many, and measures what all of them take.
async fn more(
    school: &School,
    pages: &[(Client, Host)],
    lesson: &str,
    watchers: &mut Vec<Watcher>,
    count: usize,
) -> Result<Window> {
    for n in watchers.len()..count {
        let (page, host) = pages.get(n / PAGES).context("a page")?;
        watchers.push(watch(page, host, lesson).await?);
    }
    Window::of(&school.daemon, watchers).await
}

async fn watch(page: &Client, host: &Host, lesson: &str) -> Result<Watcher> {
    let address = host.address();
    let offer = host.enter(async move { Offer::from(address).await }).await??;
    let request = Request::post(format!("/api/v1/lessons/{lesson}/whep"))
        .header(CONTENT_TYPE, "application/sdp")
        .body(Bytes::from(offer.sdp.clone()))?;
    let reply = page.send(request).await?;
    ensure!(reply.status == StatusCode::CREATED, "WHEP: {} {:?}", reply.status, reply.body);
    let answer = String::from_utf8(reply.body.to_vec()).context("an SDP answer")?;
    host.enter(async move { offer.answered(&answer) }).await?
}

/// Janus on the box's own host, while the box rests.
async fn beside(school: &School) -> Result<Window> {
    let the_box = school.classroom.the_box();
    let hosts = school.classroom.machines();
    let janus = Janus::start(the_box, hosts.first().context("a host")?).await?;
    let to = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (picture, sound) = ((to(PICTURE), PICTURE_TYPE), (to(SOUND), SOUND_TYPE));
    let _feed = Feed::start(the_box, picture, sound, SIZE).await?;
    let mut watchers = Vec::new();
    for host in hosts.iter().cycle().take(50) {
        watchers.push(janus.watch(host).await?);
    }
    let window = Window::of(&janus.process, &watchers).await?;
    drop(watchers);
    janus.process.terminate().await?;
    Ok(window)
}

impl Window {
    async fn of(server: &Process, watchers: &[Watcher]) -> Result<Self> {
        let first = watchers.first().context("a viewer")?;
        eventually("each viewer has a picture", LIMIT, async || {
            let without = watchers.iter().filter(|watcher| watcher.pictures() == 0).count();
            ensure!(without == 0, "{without} of {} have none", watchers.len());
            Ok(())
        })
        .await?;
        let pictures = || watchers.iter().map(Watcher::pictures).collect::<Vec<_>>();
        let bytes = || watchers.iter().map(Watcher::bytes).sum::<u64>();
        let (begun, shown, came) = (now(), pictures(), bytes());
        let (cpu, harness) = (usage::cpu(server)?, usage::own_cpu()?);
        let until = first.pictures() + WINDOW;
        eventually("a window of pictures", LIMIT, async || {
            ensure!(first.pictures() >= until, "{} are to come", until - first.pictures());
            Ok(())
        })
        .await?;
        let seconds = now().saturating_sub(begun).as_secs_f64();
        let cpu = usage::cpu(server)?.saturating_sub(cpu);
        let harness = usage::own_cpu()?.saturating_sub(harness);
        let shown = pictures().into_iter().zip(shown).map(|(after, before)| after - before);
        let least = shown.min().context("a viewer")?;
        ensure!(least * 10 >= WINDOW * 9, "a viewer got {least} of {WINDOW} pictures");
        let viewers = u32::try_from(watchers.len())?;
        // Less picture is less work: it would be the figure of another lesson.
        let fps = f64::from(u32::try_from(least)?) / seconds;
        ensure!(source::PER_SECOND.contains(&fps), "{fps:.1} pictures a second came");
        let mbits = f64::from(u32::try_from((bytes() - came) / 1_000)?) * 8e-3;
        Ok(Self {
            viewers,
            core: cpu.as_secs_f64() / seconds,
            harness: harness.as_secs_f64() / seconds,
            mbps: mbits / seconds / f64::from(viewers),
            pictures: least,
        })
    }

    /// Of a core, for all viewers: how much more it is than with one.
    fn beyond(&self, one: &Self) -> f64 {
        let viewers = f64::from(self.viewers);
        (self.core - one.core) / (viewers - 1.0) * viewers
    }

    /// Of a core, for one viewer, with its share of all else.
    fn each(&self) -> f64 {
        self.core / f64::from(self.viewers)
    }

    fn about(&self) -> String {
        format!(
            "of a core, {:.3} with all else, {} viewers, {:.2} Mbit/s each, of {WINDOW} pictures {} \
             at least; the harness with its encoder and all viewers takes {:.2}",
            self.core, self.viewers, self.mbps, self.pictures, self.harness
        )
    }
}
