//! One leg of the classroom's switch in this machine, so that a browser here sees the box as on a
//! LAN. For the demo alone: tests stay in their namespaces.
//!
//! An address on the classroom's network and nothing else: no route beyond it, no forwarding. It
//! goes when it is dropped, and with the switch however the process ends.

use std::{fs::File, net::Ipv4Addr, os::fd::AsRawFd, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{classroom::Classroom, network};

/// What this machine calls its end.
const NAME: &str = "alfarid-demo";
/// What the switch calls its port.
const PORT: &str = "outside";
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);

#[derive(Debug)]
pub struct Leg {
    /// Keeps the switch's namespace reachable for as long as the cable is put in.
    _switch: File,
}

impl Leg {
    /// Puts the cable in. Needs root; one demo at a time, as its network is one.
    pub fn lend(classroom: &Classroom) -> Result<Self> {
        let switch = classroom.lab().open_namespace(network::SWITCH)?;
        let namespace = format!("/proc/{}/fd/{}", std::process::id(), switch.as_raw_fd());
        ip(&["link", "add", NAME, "type", "veth", "peer", "name", PORT])
            .context("is another demo running?")?;
        let leg = Self { _switch: switch };
        ip(&["link", "set", PORT, "netns", &namespace])?;
        network::plug_port(classroom.lab(), PORT)?;
        ip(&["address", "add", &format!("{ADDRESS}/24"), "dev", NAME])?;
        ip(&["link", "set", NAME, "up"])?;
        Ok(leg)
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        // It may have gone with the switch already.
        let _ = ip(&["link", "delete", NAME]);
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("run ip")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), complaint.trim_end());
    Ok(())
}
