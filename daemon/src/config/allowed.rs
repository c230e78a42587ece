//! What a setting may be. Each says so when it is something else.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error};

use crate::logging;

/// A lesson takes six ports in a row, from the first one on, and in an open room six more, ten ports
/// further.
const FIRST_PORTS: RangeInclusive<u64> = 1..=65_520;

/// With 0 no packet would leave the box.
const TTLS: RangeInclusive<u64> = 1..=255;

/// Up to what the fastest of ports carries.
const MEGABITS: RangeInclusive<u64> = 1..=100_000;
/// A thousand streams of a lesson fill a network of 4 Gbit/s.
const VIEWERS: RangeInclusive<u64> = 0..=1_000;

/// Hosts need a second to answer; with more, members age out (260 s) before the box first asks.
const QUERY_SECONDS: RangeInclusive<u64> = 2..=125;

const DAY: RangeInclusive<u64> = 0..=1_440;

/// As many as can be reckoned in bytes, with room for sums.
const MEBIBYTES: RangeInclusive<u64> = 0..=u64::MAX >> 23;

pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    read_address(&String::deserialize(from)?)
}

/// TOML has no word for nothing: an empty text stands for it.
pub(super) fn address_or_none<'de, D>(from: D) -> Result<Option<SocketAddr>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(from)?;
    if text.is_empty() { Ok(None) } else { read_address(&text).map(Some) }
}

fn read_address<E: Error>(text: &str) -> Result<SocketAddr, E> {
    text.parse().map_err(|_| {
        let allowed = "an IP address and a port, as in \"0.0.0.0:443\" or \"[::]:443\"";
        E::custom(format!("{text:?} is not {allowed}"))
    })
}

pub(super) fn host_names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(from)?;
    let is_name = |name: &&String| {
        let may_be = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
        !name.is_empty() && name.chars().all(may_be)
    };
    match names.iter().find(|name| !is_name(name)) {
        None => Ok(names),
        Some(other) => {
            let allowed = "a host name alone, as in \"box.school.example\"";
            Err(D::Error::custom(format!("{other:?} is not {allowed}")))
        }
    }
}

pub(super) fn directory<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(from)?;
    if path.is_absolute() {
        return Ok(path);
    }
    let path = path.display();
    Err(D::Error::custom(format!("{path} is not a whole path, which begins with /")))
}

pub(super) fn first_port<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    within(from, FIRST_PORTS)
}

pub(super) fn ttl<'de, D: Deserializer<'de>>(from: D) -> Result<u8, D::Error> {
    within(from, TTLS)
}

pub(super) fn megabits<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(from, MEGABITS)
}

pub(super) fn viewers<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    within(from, VIEWERS)
}

pub(super) fn query_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u16, D::Error> {
    within(from, QUERY_SECONDS)
}

pub(super) fn minutes_of_a_day<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    within(from, DAY)
}

pub(super) fn mebibytes<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    within(from, MEBIBYTES)
}

pub(super) fn level<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let level = String::deserialize(from)?;
    logging::check(&level).map_err(D::Error::custom)?;
    Ok(level)
}

fn within<'de, D, T>(from: D, allowed: RangeInclusive<u64>) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    let number = u64::deserialize(from)?;
    let fits = T::try_from(number).ok().filter(|_| allowed.contains(&number));
    fits.ok_or_else(|| {
        let (first, last) = allowed.into_inner();
        D::Error::custom(format!("{number} is not a whole number from {first} to {last}"))
    })
}
