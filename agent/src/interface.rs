//! Which of this machine's addresses a group is joined on.
//!
//! The one whose network the box is on: that is this machine's end of the control connection. A
//! name given by an admin comes first; the network of the sender comes last, for a control
//! connection over IPv6.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use alfarid_stream::rung::Link;
use nix::ifaddrs::getifaddrs;

/// One IPv4 address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    interface: String,
    ip: Ipv4Addr,
    mask: Ipv4Addr,
}

/// The address to join on, or `None` while this machine has none that fits.
pub(crate) fn to_join_on(
    wanted: Option<&str>,
    local: Option<IpAddr>,
    source: Ipv4Addr,
) -> Option<Ipv4Addr> {
    choose(&addresses(), wanted, local, source)
}

/// What kind of link this address of the machine is on. What the kernel does not call wireless is a
/// wire: an unknown link is found out about by its losses.
pub(crate) fn link_of(on: Ipv4Addr) -> Link {
    let addresses = addresses();
    let of = addresses.iter().find(|address| address.ip == on);
    of.map_or(Link::Wired, |address| link_in(Path::new("/sys/class/net"), &address.interface))
}

/// `phy80211` is there for every driver of today, `wireless` for those of before.
fn link_in(devices: &Path, interface: &str) -> Link {
    // An address with a label, as in "wlan0:1", is on the same interface.
    let device = devices.join(interface.split(':').next().unwrap_or(interface));
    let is_wireless = ["phy80211", "wireless"].iter().any(|of| device.join(of).exists());
    if is_wireless { Link::Wireless } else { Link::Wired }
}

fn choose(
    addresses: &[Address],
    wanted: Option<&str>,
    local: Option<IpAddr>,
    source: Ipv4Addr,
) -> Option<Ipv4Addr> {
    if let Some(name) = wanted {
        return addresses.iter().find(|address| address.interface == name).map(|a| a.ip);
    }
    addresses
        .iter()
        .find(|address| Some(IpAddr::V4(address.ip)) == local)
        .or_else(|| addresses.iter().find(|address| address.same_network(source)))
        .map(|address| address.ip)
}

impl Address {
    fn same_network(&self, other: Ipv4Addr) -> bool {
        self.ip & self.mask == other & self.mask
    }
}

fn addresses() -> Vec<Address> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    interfaces
        .filter_map(|interface| {
            let ip = interface.address?.as_sockaddr_in()?.ip();
            let mask = interface.netmask?.as_sockaddr_in()?.ip();
            Some(Address { interface: interface.interface_name, ip, mask })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 30);
    const AIR: Ipv4Addr = Ipv4Addr::new(192, 168, 5, 30);
    const BOX: Ipv4Addr = Ipv4Addr::new(192, 168, 5, 1);

    fn machine() -> Vec<Address> {
        let mask = Ipv4Addr::new(255, 255, 255, 0);
        vec![
            Address { interface: "eth0".into(), ip: WIRE, mask },
            Address { interface: "wlan0".into(), ip: AIR, mask },
        ]
    }

    #[test]
    fn the_network_that_reaches_the_box_is_joined() {
        let chosen = |wanted, local| choose(&machine(), wanted, local, BOX);
        assert_eq!(chosen(None, Some(WIRE.into())), Some(WIRE));
        assert_eq!(chosen(None, Some("fe80::1".parse().unwrap())), Some(AIR));
        assert_eq!(chosen(Some("eth0"), Some(AIR.into())), Some(WIRE));
        assert_eq!(chosen(Some("eth7"), Some(AIR.into())), None, "never another than was asked");
    }

    #[test]
    fn a_link_is_wireless_where_the_kernel_says_so() {
        let devices = tempfile::tempdir().unwrap();
        for of in ["eth0", "wlan0/phy80211", "wlan1/wireless"] {
            std::fs::create_dir_all(devices.path().join(of)).unwrap();
        }
        let link = |interface| link_in(devices.path(), interface);
        assert_eq!([link("eth0"), link("tun0")], [Link::Wired; 2]);
        assert_eq!(["wlan0", "wlan1", "wlan0:1"].map(link), [Link::Wireless; 3]);
    }

    #[test]
    fn a_machine_far_from_the_sender_joins_nowhere() {
        assert_eq!(choose(&machine(), None, None, Ipv4Addr::new(172, 16, 0, 1)), None);
    }
}
