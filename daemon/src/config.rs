//! Settings of the box as a service: what must be known before the database is open.
//!
//! Three layers, later ones win: `config/alfarid.toml`, which is compiled in and *is* the
//! defaults; `/etc/alfarid/alfarid.toml` or the file named on the command line; `ALFARID_`
//! variables with `__` between section and key ([`environment`]). An unknown key is refused by its
//! name, a value that cannot be by what is allowed: a setting that silently does nothing is worse
//! than a box that says why it will not start. A box that runs already keeps what it has
//! ([`Config::load`] fails as a whole).

mod allowed;
mod environment;
mod mistake;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Format, Toml},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

pub use self::mistake::{Mistake, Mistakes};

const DEFAULTS: &str = include_str!("../../config/alfarid.toml");

/// Where an admin's own settings are looked for when no file is named.
pub const SYSTEM_FILE: &str = "/etc/alfarid/alfarid.toml";

/// What a running box takes up when it is told to read its settings again.
const TAKEN_UP_AT_ONCE: [&str; 2] = ["lesson.end_after_minutes", "log.level"];

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("the settings file {0} does not exist")]
    NoSuchFile(PathBuf),
    #[error("the settings cannot be taken: {0}")]
    Wrong(Mistakes),
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub http: Http,
    pub agents: Agents,
    pub storage: Storage,
    pub media: Media,
    pub discovery: Discovery,
    pub lesson: Lesson,
    pub log: Log,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    #[serde(deserialize_with = "allowed::address")]
    pub listen: SocketAddr,
    /// `None`: nowhere.
    #[serde(deserialize_with = "allowed::address_or_none")]
    pub redirect_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "allowed::host_names")]
    pub names: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    #[serde(deserialize_with = "allowed::address")]
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    #[serde(deserialize_with = "allowed::directory")]
    pub state_dir: PathBuf,
    #[serde(deserialize_with = "allowed::directory")]
    pub recordings_dir: PathBuf,
    #[serde(deserialize_with = "allowed::mebibytes")]
    pub min_free_mb: u64,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    #[serde(deserialize_with = "allowed::address")]
    pub whip_listen: SocketAddr,
    pub interfaces: Vec<String>,
    #[serde(deserialize_with = "allowed::first_port")]
    pub multicast_port: u16,
    #[serde(deserialize_with = "allowed::ttl")]
    pub multicast_ttl: u8,
    pub pacing: bool,
    pub wifi_multicast: bool,
    #[serde(deserialize_with = "allowed::query_seconds")]
    pub igmp_query_seconds: u16,
    #[serde(deserialize_with = "allowed::megabits")]
    pub unicast_mbps: u32,
    #[serde(deserialize_with = "allowed::viewers")]
    pub max_viewers: u16,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    pub mdns: bool,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    #[serde(deserialize_with = "allowed::minutes_of_a_day")]
    pub end_after_minutes: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    #[serde(deserialize_with = "allowed::level")]
    pub level: String,
}

impl Config {
    /// Reads all layers. With `file` that file must exist; without, [`SYSTEM_FILE`] may be absent.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file
            && !file.exists()
        {
            return Err(ConfigError::NoSuchFile(file.to_owned()));
        }
        let defaults = Figment::from(Toml::string(DEFAULTS));
        let known: Vec<_> = extract(&defaults)?.by_key().into_iter().map(|(key, _)| key).collect();
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        environment::check(names, &known).map_err(ConfigError::Wrong)?;
        let file = file.unwrap_or_else(|| Path::new(SYSTEM_FILE));
        let layers = if file.exists() { defaults.merge(Toml::file_exact(file)) } else { defaults };
        extract(&layers.merge(environment::layer(known)))
    }

    /// The settings, as `section.key`, that are others in `newer` and wait for the next start.
    pub fn waiting(&self, newer: &Self) -> Vec<String> {
        let (ours, theirs) = (self.by_key(), newer.by_key());
        let changed = theirs.into_iter().filter(|(key, value)| ours.get(key) != Some(value));
        changed.map(|(key, _)| key).filter(|key| !TAKEN_UP_AT_ONCE.contains(&&**key)).collect()
    }

    fn by_key(&self) -> Map<String, Value> {
        // Sections of plain values, by their derivation: this cannot fail.
        let Ok(Value::Object(sections)) = serde_json::to_value(self) else { return Map::new() };
        let mut settings = Map::new();
        for (section, keys) in sections {
            if let Value::Object(keys) = keys {
                settings.extend(
                    keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)),
                );
            }
        }
        settings
    }
}

fn extract(layers: &Figment) -> Result<Config, ConfigError> {
    layers.extract().map_err(|error| ConfigError::Wrong(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alfarid.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    /// What is wrong with a file of this text.
    fn refused(text: &str) -> Vec<Mistake> {
        match with(text) {
            Err(ConfigError::Wrong(mistakes)) => mistakes.0,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_shipped_file_is_the_defaults_and_one_line_changes_one_thing() {
        let config = with("[media]\nmulticast_ttl = 4\n").unwrap();
        assert_eq!(config.media.multicast_ttl, 4);
        assert_eq!(config.http.listen.port(), 443);
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let [mistake] = &refused("[http]\nlisen = \"0.0.0.0:1\"\n")[..] else { panic!() };
        assert!(mistake.place.ends_with("/alfarid.toml"), "{mistake}");
        assert_eq!(mistake.key, "http.lisen");
        assert!(mistake.what.contains("`listen`") && mistake.what.contains("`names`"), "{mistake}");
        let [mistake] = &refused("[htp]\nlisten = \"0.0.0.0:1\"\n")[..] else { panic!() };
        assert_eq!(mistake.key, "htp");
        assert!(mistake.what.contains("`http`"), "{mistake}");
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_what_is_allowed() {
        for (section, line, allowed) in [
            ("http", "listen = \"443\"", "an IP address and a port"),
            ("http", "redirect_listen = \"80\"", "an IP address and a port"),
            ("http", "names = [\"https://box\"]", "a host name"),
            ("storage", "state_dir = \"alfarid\"", "begins with /"),
            ("storage", "min_free_mb = \"much\"", "a whole number"),
            ("media", "multicast_port = 65521", "from 1 to 65520"),
            ("media", "multicast_ttl = 0", "from 1 to 255"),
            ("media", "multicast_ttl = -1", "a whole number"),
            ("media", "pacing = 1", "true or false"),
            ("media", "wifi_multicast = 1", "true or false"),
            ("media", "igmp_query_seconds = 1", "from 2 to 125"),
            ("media", "unicast_mbps = 0", "from 1 to 100000"),
            ("media", "max_viewers = 1001", "from 0 to 1000"),
            ("discovery", "mdns = \"yes\"", "true or false"),
            ("lesson", "end_after_minutes = 9999", "from 0 to 1440"),
            ("log", "level = \"inof\"", "error, warn, info"),
        ] {
            let mistakes = refused(&format!("[{section}]\n{line}\n"));
            let [mistake] = &mistakes[..] else { panic!("{line}: {mistakes:?}") };
            assert!(mistake.place.ends_with("/alfarid.toml"), "{mistake}");
            let key = line.split(' ').next().unwrap();
            assert_eq!(mistake.key.split('.').take(2).collect::<Vec<_>>(), [section, key]);
            assert!(mistake.what.contains(allowed), "{mistake}");
        }
    }

    #[test]
    fn a_file_that_is_no_toml_is_refused_with_its_line() {
        let [mistake] = &refused("[http]\nlisten 443\n")[..] else { panic!() };
        assert!(mistake.place.ends_with("/alfarid.toml"), "{mistake}");
        assert!(mistake.what.contains("line 2"), "{mistake}");
    }

    #[test]
    fn what_waits_for_the_next_start_is_named() {
        let before = with("").unwrap();
        let after = with(
            "[http]\nnames = [\"box\"]\n[media]\nmulticast_ttl = 4\n\
             [lesson]\nend_after_minutes = 5\n[log]\nlevel = \"debug\"\n",
        );
        let waiting = before.waiting(&after.unwrap());
        assert_eq!(waiting, ["http.names", "media.multicast_ttl"]);
        assert!(before.waiting(&before).is_empty());
    }

    #[test]
    fn what_is_taken_up_at_once_are_settings() {
        let config = with("").unwrap();
        assert!(TAKEN_UP_AT_ONCE.iter().all(|key| config.by_key().contains_key(*key)));
    }

    #[test]
    fn every_setting_is_explained() {
        let lines: Vec<_> = DEFAULTS.lines().collect();
        for (above, line) in lines.iter().zip(&lines[1..]) {
            if line.contains(" = ") && !line.starts_with('#') {
                assert!(above.starts_with('#'), "no comment above: {line}");
            }
        }
    }
}
