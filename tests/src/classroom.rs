//! What a test holds: the hosts of one classroom, and the promise that nothing of it stays.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use classroom::{Classroom, Switch};
//!
//! let classroom = Classroom::new().students(3).teacher().switch(Switch::Snooping).open().await?;
//! let daemon = classroom.the_box().spawn("daemon", classroom::binaries::daemon()?)?;
//! // ...
//! daemon.terminate().await?;
//! classroom.close()
//! # }
//! ```

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, ensure};

use crate::{
    host::Host,
    lab::Lab,
    network::{self, BOX_ADDRESS, MAX_MACHINES, Switch, TEACHER_ADDRESS},
    process::Process,
    scratch::Scratch,
};

/// What the classroom is to have. A box is always there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder {
    machines: u8,
    has_teacher: bool,
    switch: Switch,
}

impl Builder {
    /// Student machines, one student at each.
    #[must_use]
    pub fn students(mut self, count: u8) -> Self {
        self.machines = count;
        self
    }

    /// A computer for the teacher.
    #[must_use]
    pub fn teacher(mut self) -> Self {
        self.has_teacher = true;
        self
    }

    #[must_use]
    pub fn switch(mut self, switch: Switch) -> Self {
        self.switch = switch;
        self
    }

    /// Builds it. With a snooping switch it returns when the switch prunes.
    pub async fn open(self) -> Result<Classroom> {
        ensure!(self.machines <= MAX_MACHINES, "there are addresses for {MAX_MACHINES} machines");
        let lab = Arc::new(Lab::open()?);
        let scratch = Scratch::new()?;
        network::raise_switch(&lab, self.switch)?;
        let plug_in = |name: &str, address| {
            Host::plug_in(&lab, &scratch, name, address).with_context(|| format!("plug in {name}"))
        };
        let the_box = plug_in("box", BOX_ADDRESS)?;
        let teacher =
            if self.has_teacher { Some(plug_in("teacher", TEACHER_ADDRESS)?) } else { None };
        let machines: Result<_> = (0..self.machines)
            .map(|seat| plug_in(&format!("machine-{}", seat + 1), network::machine_address(seat)))
            .collect();
        let machines = machines?;
        let classroom = Classroom { the_box, teacher, machines, lab, scratch, is_well: false };
        let bystander = classroom.machines.last().or(classroom.teacher.as_ref());
        if let (Switch::Snooping, Some(bystander)) = (self.switch, bystander) {
            network::wait_until_pruning(&classroom.the_box, bystander).await?;
        }
        Ok(classroom)
    }
}

/// Dropped without [`Self::close`], as a failed test does, it prints the story of every process.
#[derive(Debug)]
pub struct Classroom {
    the_box: Host,
    teacher: Option<Host>,
    machines: Vec<Host>,
    lab: Arc<Lab>,
    /// Removed after `drop` has ended everything that writes to it.
    scratch: Scratch,
    is_well: bool,
}

impl Classroom {
    #[expect(clippy::new_ret_no_self, reason = "a classroom is described before it is opened")]
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Where everything lies that its processes write.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub fn the_box(&self) -> &Host {
        &self.the_box
    }

    /// Fails where the classroom was built without one.
    pub fn teacher(&self) -> Result<&Host> {
        self.teacher.as_ref().context("this classroom has no teacher's computer")
    }

    pub fn machines(&self) -> &[Host] {
        &self.machines
    }

    /// Ends everything. Fails when a process had failed by itself and the test took no notice.
    pub fn close(mut self) -> Result<()> {
        let processes = self.hosts().flat_map(Host::processes);
        let failed: Vec<_> =
            processes.filter(Process::failed_unseen).map(|process| process.label()).collect();
        ensure!(failed.is_empty(), "failed and nobody noticed: {}", failed.join(", "));
        self.is_well = true;
        Ok(())
    }

    fn hosts(&self) -> impl Iterator<Item = &Host> {
        [&self.the_box].into_iter().chain(&self.teacher).chain(&self.machines)
    }
}

impl Drop for Classroom {
    fn drop(&mut self) {
        if !self.is_well {
            for process in self.hosts().flat_map(Host::processes) {
                eprintln!("{}", process.story());
            }
        }
        for host in self.hosts() {
            host.shut_down();
        }
        self.lab.close();
    }
}
