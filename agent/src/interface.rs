//! Which of this machine's addresses a group is joined on.
//!
//! The one whose network the box is on: that is this machine's end of the control connection. A
//! name given by an admin comes first; the network of the sender comes last, for a control
//! connection over IPv6.

use std::net::{IpAddr, Ipv4Addr};

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
    fn a_machine_far_from_the_sender_joins_nowhere() {
        assert_eq!(choose(&machine(), None, None, Ipv4Addr::new(172, 16, 0, 1)), None);
    }
}
