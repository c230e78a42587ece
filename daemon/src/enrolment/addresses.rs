//! Where this box can be reached: its interfaces' addresses and its names.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
};

use nix::ifaddrs::getifaddrs;

use super::authority::{self, Names};

/// More names or addresses than this are not put into a certificate or a token.
const MOST: usize = 16;

/// The host's own name, in lower case; empty on a machine without one.
pub fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_lowercase();
    if is_dns_name(&name) { name } else { String::new() }
}

/// This machine's addresses, IPv4 first, loopback last. Link-local IPv6 ones are left out: they
/// mean nothing without an interface beside them.
pub(super) fn present() -> Vec<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let mut addresses: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(|address| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local()))
        .collect();
    addresses.sort_by_key(|address| (address.is_loopback(), address.is_ipv6(), *address));
    addresses.dedup();
    addresses
}

/// Names that a new box's CA should be able to vouch for: the host's own and the configured ones,
/// as far as they are names at all.
pub(super) fn own_names(configured: &[String]) -> Vec<String> {
    let mut names = vec![host_name()];
    names.extend(configured.iter().map(|name| name.trim().to_lowercase()));
    names.retain(|name| is_dns_name(name));
    names.sort();
    names.dedup();
    names.truncate(MOST);
    names
}

/// What a leaf under a CA made for `ca_names` is issued for.
pub(super) fn for_leaf(configured: &[String], ca_names: &[String], present: &[IpAddr]) -> Names {
    let mut dns = own_names(configured);
    let host = host_name();
    if !host.is_empty() {
        dns.push(format!("{host}.local"));
    }
    dns.push("alfarid.local".to_owned());
    dns.push("localhost".to_owned());
    dns.retain(|name| authority::is_permitted_name(name, ca_names));
    dns.sort();
    dns.dedup();
    let addresses = present.iter().copied().filter(|a| authority::is_private(*a));
    Names { dns, addresses: addresses.take(MOST).collect() }
}

/// `host:port` for each way to reach `listen` from the network, best first. On a machine with no
/// network at all: its loopback, so that everything can be tried out.
pub(super) fn reachable(listen: SocketAddr, present: &[IpAddr]) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return vec![listen.to_string()];
    }
    let outward = present.iter().any(|address| !address.is_loopback());
    let heard = |address: &&IpAddr| {
        (address.is_loopback() != outward) && (listen.is_ipv6() || address.is_ipv4())
    };
    let socket = |address: &IpAddr| SocketAddr::new(*address, listen.port()).to_string();
    present.iter().filter(heard).take(MOST / 2).map(socket).collect()
}

/// RFC 1123 §2.1: letters, digits and hyphens in labels of at most 63.
fn is_dns_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_leaf_is_not_issued_for_what_its_ca_may_not_vouch_for() {
        let configured = ["school.example".to_owned(), "box.lan".to_owned()];
        let names = for_leaf(&configured, &[], &[ip("10.0.0.5"), ip("8.8.8.8")]);
        assert!(!names.dns.contains(&"school.example".to_owned()));
        assert!(names.dns.contains(&"box.lan".to_owned()));
        assert_eq!(names.addresses, [ip("10.0.0.5")]);
        let more = for_leaf(&configured, &["school.example".to_owned()], &[]);
        assert!(more.dns.contains(&"school.example".to_owned()));
    }

    #[test]
    fn machines_are_told_addresses_of_the_network_and_loopback_only_without_one() {
        let any = "0.0.0.0:8444".parse().unwrap();
        let here = [ip("10.0.0.5"), ip("fd00::5"), ip("127.0.0.1")];
        assert_eq!(reachable(any, &here), ["10.0.0.5:8444"]);
        assert_eq!(reachable(any, &here[2..]), ["127.0.0.1:8444"]);
        let both = "[::]:8444".parse().unwrap();
        assert_eq!(reachable(both, &here), ["10.0.0.5:8444", "[fd00::5]:8444"]);
    }

    #[test]
    fn what_is_no_dns_name_is_no_name() {
        let configured = ["a b".to_owned(), "-x.lan".to_owned(), "ok.lan".to_owned()];
        let names = own_names(&configured);
        assert!(names.contains(&"ok.lan".to_owned()));
        assert!(!names.iter().any(|name| name.contains(' ') || name.starts_with('-')));
    }
}
