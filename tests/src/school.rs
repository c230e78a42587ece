//! A school on its first day: a box that was claimed, a class with a seat for each student, and
//! machines that were enrolled with a site token, as an admin does it.
//!
//! All of it goes through the API and the command line that people use; nothing is put into the
//! database from behind.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    binaries,
    browser::{self, By, Page},
    classroom::{Builder, Classroom},
    client::{Client, Live, Trust},
    host::Host,
    journal::Journal,
    process::Process,
    until::eventually,
};

pub const EMAIL: &str = "teacher@school.example";
pub const PASSWORD: &str = "correct horse battery";

const READY: Duration = Duration::from_secs(15);
const CONNECTED: Duration = Duration::from_secs(10);

/// Which binaries and how they are run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `ALFARID_…` variables for the daemon.
    pub daemon_env: Vec<(String, String)>,
    /// Show the lessons in windows on this display, in place of counting frames.
    pub display: Option<String>,
    /// Machines as they were bought: nobody has enrolled them or sits there.
    pub without_agents: bool,
    /// Machines that receive and show nothing: twenty decoders do not fit into two cores.
    pub without_players: bool,
    /// Players that count and write nothing down, as a student's: their pictures cannot be judged.
    pub without_traces: bool,
    /// How far ahead each machine's clock is, whole seconds, in the order of the seats; of those
    /// that are not named, not at all.
    pub clocks_ahead: Vec<Duration>,
    /// Run the daemon as a unit of systemd: what it says is in a journal.
    pub journal: bool,
}

#[derive(Debug)]
pub struct School {
    pub classroom: Classroom,
    pub daemon: Process,
    /// Where the daemon logs, if it was asked to log there.
    pub journal: Option<Journal>,
    /// Logged in as the first admin, from the teacher's computer if there is one.
    pub teacher: Client,
    pub room_id: String,
    pub class_id: String,
    pub seats: Vec<Seat>,
}

/// A machine, who sits there, and what runs on it.
#[derive(Debug)]
pub struct Seat {
    pub host: Host,
    pub machine_id: String,
    pub student_id: String,
    pub agent: Process,
    pub player: Option<Process>,
}

impl School {
    /// From bare computers to a class that waits for its lesson.
    pub async fn open(builder: Builder, options: &Options) -> Result<Self> {
        let classroom = builder.open().await?;
        let journal =
            if options.journal { Some(Journal::start(classroom.the_box()).await?) } else { None };
        let daemon = start_daemon(&classroom, journal.as_ref(), options).await?;
        let desk = classroom.teacher().unwrap_or(classroom.the_box()).clone();
        let teacher = Client::new(&desk, web_address(&classroom), &Trust::Anyone)?;
        claim(&teacher, classroom.the_box()).await?;
        let room_id = first_room(&teacher).await?;
        let class_id = made(&teacher, "/api/v1/classes", &json!({ "name": "7A" })).await?;
        let machines = if options.without_agents { &[] } else { classroom.machines() };
        let token = match machines {
            [] => String::new(),
            _ => site_token(&teacher, &room_id).await?,
        };
        let mut seats = Vec::new();
        for (n, host) in machines.iter().enumerate() {
            let student = json!({ "student_id": format!("{:03}", n + 1), "full_name": format!("Student {}", n + 1) });
            let path = format!("/api/v1/classes/{class_id}/students");
            let student_id = made(&teacher, &path, &student).await?;
            host.set_clock_ahead(options.clocks_ahead.get(n).copied().unwrap_or_default());
            let machine_id = enrol(host, &token).await?;
            let agent = start_agent(host)?;
            let player =
                if options.without_players { None } else { Some(start_player(host, options)?) };
            seats.push(Seat { host: host.clone(), machine_id, student_id, agent, player });
        }
        let seating: Vec<_> = seats
            .iter()
            .map(|seat| json!({ "machine_id": seat.machine_id, "student_ids": [seat.student_id] }))
            .collect();
        let path = format!("/api/v1/classes/{class_id}/seating/{room_id}");
        ok(teacher.put(&path, &json!({ "seats": seating })).await?.status, &path)?;
        let school = Self { classroom, daemon, journal, teacher, room_id, class_id, seats };
        school.wait_until_connected().await?;
        Ok(school)
    }

    /// What the address bar says.
    pub fn url(&self) -> String {
        format!("https://{}", self.classroom.the_box().address())
    }

    /// Returns once the box says that every machine is connected.
    pub async fn wait_until_connected(&self) -> Result<()> {
        eventually("every machine is connected", CONNECTED, async || {
            let machines = self.items("/api/v1/machines").await?;
            let connected = machines.iter().filter(|m| m["is_connected"] == true).count();
            ensure!(connected == self.seats.len(), "{connected} are connected");
            Ok(())
        })
        .await
    }

    /// The box is at another address from now on: logs in there.
    pub async fn follow(&mut self, address: Ipv4Addr) -> Result<()> {
        let desk = self.classroom.teacher().unwrap_or(self.classroom.the_box());
        self.teacher = Client::new(desk, (address, 443).into(), &Trust::Anyone)?;
        let person = json!({ "email": EMAIL, "password": PASSWORD, "browser_time": now_ms() });
        ok(self.teacher.post("/api/v1/session", &person).await?.status, "log in")
    }

    /// The items of a list.
    pub async fn items(&self, path: &str) -> Result<Vec<Value>> {
        let list: Value = self.teacher.get(path).await?.json()?;
        list["items"].as_array().cloned().with_context(|| format!("{path} is no list: {list}"))
    }

    /// One object.
    pub async fn object(&self, path: &str) -> Result<Value> {
        self.teacher.get(path).await?.json()
    }

    /// What a browser on this host must trust to believe the box.
    pub async fn trust(&self, host: &Host) -> Result<browser::Trust> {
        let root = host.dir().join("root.pem");
        std::fs::write(&root, self.teacher.get("/api/v1/site/root.pem").await?.body)?;
        Ok(browser::Trust::Root(root))
    }

    /// From the log-in page to a running lesson, as the teacher does it. Returns when the screen can
    /// be shared.
    pub async fn start_lesson_on(&self, page: &Page<'_>) -> Result<()> {
        page.fill(By::Label("Email"), EMAIL).await?;
        page.fill(By::Label("Password"), PASSWORD).await?;
        page.click(By::Role("button", "Log in")).await?;
        page.click(By::Role("button", "Start the lesson")).await?;
        page.wait_for(By::Role("button", "Share the screen")).await
    }

    /// Starts a lesson of the class in the room; returns its id.
    pub async fn start_lesson(&self) -> Result<String> {
        let lesson =
            json!({ "class_id": self.class_id, "room_id": self.room_id, "title": "Algebra" });
        made(&self.teacher, "/api/v1/lessons/start", &lesson).await
    }

    pub async fn end_lesson(&self, lesson: &str) -> Result<()> {
        let path = format!("/api/v1/lessons/{lesson}/end");
        ok(self.teacher.post(&path, &json!({})).await?.status, &path)
    }

    /// The teacher's live channel.
    pub async fn live(&self) -> Result<Live> {
        self.teacher.live("/api/v1/live").await
    }

    pub fn state_dir(&self) -> PathBuf {
        state_dir(self.classroom.the_box())
    }

    pub fn recordings_dir(&self) -> PathBuf {
        self.state_dir().join("recordings")
    }
}

impl Seat {
    /// What its player showed, record by record.
    pub fn trace_path(&self) -> PathBuf {
        trace_path(&self.host)
    }

    /// Where its agent keeps who it is.
    pub fn agent_state(&self) -> PathBuf {
        agent_state(&self.host)
    }
}

fn web_address(classroom: &Classroom) -> std::net::SocketAddr {
    (classroom.the_box().address(), 443).into()
}

fn state_dir(host: &Host) -> PathBuf {
    host.dir().join("state")
}

fn trace_path(host: &Host) -> PathBuf {
    host.dir().join("shown.trace")
}

async fn start_daemon(
    classroom: &Classroom,
    journal: Option<&Journal>,
    options: &Options,
) -> Result<Process> {
    let the_box = classroom.the_box();
    let mut command = binaries::daemon()?;
    let state = state_dir(the_box);
    command
        .env("ALFARID_STORAGE__STATE_DIR", &state)
        .env("ALFARID_STORAGE__RECORDINGS_DIR", state.join("recordings"))
        .env("ALFARID_LOG__LEVEL", "info,alfarid_daemon=debug")
        .envs(options.daemon_env.iter().map(|(name, value)| (name, value)));
    let is_ready = |line: &str| line.contains("ready");
    if let Some(journal) = journal {
        let daemon = journal.spawn("daemon", &command)?;
        journal.wait_for(is_ready, READY).await?;
        return Ok(daemon);
    }
    let daemon = the_box.spawn("daemon", command)?;
    daemon.wait_for_line(is_ready, READY).await?;
    Ok(daemon)
}

/// What a new box says at its start, for those who stand in front of it.
pub async fn claim_code(daemon: &Process) -> Result<String> {
    let line = daemon.wait_for_line(|line| line.contains("claim code is "), READY).await?;
    Ok(line.rsplit(' ').next().context("the last word is the code")?.to_owned())
}

async fn claim(client: &Client, the_box: &Host) -> Result<()> {
    let code = std::fs::read_to_string(state_dir(the_box).join("claim-code"))
        .context("the claim code of a new box")?;
    let claim = json!({
        "code": code.trim(), "site_name": "School 12", "email": EMAIL, "full_name": "First Teacher",
        "password": PASSWORD, "language": "en", "browser_time": now_ms(),
    });
    ok(client.post("/api/v1/claim", &claim).await?.status, "claim")
}

/// A claimed box has a room already.
async fn first_room(admin: &Client) -> Result<String> {
    let rooms: Value = admin.get("/api/v1/rooms").await?.json()?;
    let id = rooms["items"][0]["id"].as_str();
    Ok(id.with_context(|| format!("no room in {rooms}"))?.to_owned())
}

/// What IT enrols the machines of a room with.
pub async fn site_token(admin: &Client, room_id: &str) -> Result<String> {
    let wish = json!({ "room_id": room_id, "uses": 100, "expires_in_seconds": 3600 });
    let reply: Value = admin.post("/api/v1/site_tokens", &wish).await?.json()?;
    Ok(reply["token"].as_str().with_context(|| format!("no token in {reply}"))?.to_owned())
}

/// As IT does it: the token on standard input. Returns the machine's id.
pub async fn enrol(host: &Host, token: &str) -> Result<String> {
    let mut command = binaries::agent()?;
    command.arg("enrol").arg("--state").arg(agent_state(host));
    host.run_well(command, token, READY).await?;
    let about = std::fs::read(agent_state(host).join("identity/box.json"))?;
    let about: Value = serde_json::from_slice(&about)?;
    Ok(about["machine"].as_str().with_context(|| format!("no machine in {about}"))?.to_owned())
}

fn agent_state(host: &Host) -> PathBuf {
    host.dir().join("agent")
}

/// The service of an enrolled machine.
pub fn start_agent(host: &Host) -> Result<Process> {
    let mut command = binaries::agent()?;
    command.args(["run", "--no-logind", "--state"]).arg(agent_state(host));
    command.arg("--runtime").arg(host.dir().join("run"));
    host.spawn("agent", command)
}

fn start_player(host: &Host, options: &Options) -> Result<Process> {
    let mut command = binaries::player()?;
    command.arg("--runtime").arg(host.dir().join("run"));
    if let Some(display) = &options.display {
        command.env("DISPLAY", display);
    } else {
        command.args(["--sink", "null"]);
        if !options.without_traces {
            command.arg("--trace").arg(trace_path(host));
        }
    }
    host.spawn("player", command)
}

/// Posts, and returns the id of what was made.
async fn made(client: &Client, path: &str, body: &Value) -> Result<String> {
    let reply = client.post(path, body).await?;
    ensure!(reply.status == StatusCode::CREATED, "{path}: {} {:?}", reply.status, reply.body);
    let reply: Value = reply.json()?;
    Ok(reply["id"].as_str().with_context(|| format!("no id in {reply}"))?.to_owned())
}

fn ok(status: StatusCode, what: &str) -> Result<()> {
    ensure!(status.is_success(), "{what}: {status}");
    Ok(())
}

/// What a browser says of the time.
#[expect(clippy::disallowed_methods, reason = "a browser tells the box its time")]
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0))
}

/// The recorded files of a lesson's folder, sorted.
pub fn files_under(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_under(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
