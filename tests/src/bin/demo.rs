//! `make demo`: a whole classroom on this machine. A box, three student machines, a lesson with a
//! moving screen on air, and the box's page for this machine's own browser.
//!
//! Everything lives in network namespaces of its own but for one leg of the classroom's switch;
//! Ctrl-C, or the end of this process however it comes, ends all of it.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use classroom::{
    Classroom, Switch,
    leg::Leg,
    school::{EMAIL, Options, PASSWORD, School, claim_code},
    trace::Trace,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

const FIRST_PICTURE: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<()> {
    println!("Raising the classroom…");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let is_over = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(is_over);
    let school = tokio::select! {
        () = &mut is_over => return Ok(()),
        school = raise() => school?,
    };
    let leg = Leg::lend(&school.classroom)?;
    tell(&school, &claim_code(&school.daemon).await?);
    is_over.await;
    println!("\nClearing up…");
    drop(leg);
    school.classroom.close()
}

async fn raise() -> Result<School> {
    let display = std::env::var("DISPLAY").ok().filter(|_| has_x());
    let options = Options { display, ..Options::default() };
    let classroom = Classroom::new().students(3).switch(Switch::Snooping);
    let school = School::open(classroom, &options).await?;
    let lesson = school.start_lesson().await?;
    let path = format!("/api/v1/lessons/{lesson}/source");
    let reply = school.teacher.post(&path, &json!({ "kind": "test" })).await?;
    anyhow::ensure!(reply.status.is_success(), "put the test picture on air: {}", reply.status);
    if options.display.is_none() {
        for seat in &school.seats {
            let shown = Trace::at(seat.trace_path()).wait_for_more(1, FIRST_PICTURE).await;
            shown.with_context(|| format!("the first picture on {}", seat.host.name()))?;
        }
    }
    Ok(school)
}

/// Windows need a screen that lets them in without a cookie or with one that they can read.
fn has_x() -> bool {
    Path::new("/tmp/.X11-unix").exists()
}

fn tell(school: &School, claim_code: &str) {
    println!(
        "\n  A lesson is on air, and three machines show it.\n\n\
         \x20   page        {url}\n\
         \x20   email       {EMAIL}\n\
         \x20   password    {PASSWORD}\n\
         \x20   claim code  {claim_code}  (a new box asks for it; this one was claimed with it)\n\n\
         \x20 The browser warns once: the box's certificate is its own.\n\
         \x20 What the processes say is under {dir}\n\
         \x20 Ctrl-C ends everything.\n",
        url = school.url(),
        dir = school.classroom.dir().display(),
    );
}
