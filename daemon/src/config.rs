//! Settings of the box as a service: what must be known before the database is open.
//!
//! Three layers, later ones win: `config/alfarid.toml`, which is compiled in and *is* the
//! defaults; `/etc/alfarid/alfarid.toml` or the file named on the command line; `ALFARID_`
//! variables with `__` between section and key. An unknown key is refused by its name: a setting
//! that silently does nothing is worse than a box that says why it will not start.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use serde::Deserialize;
use thiserror::Error;

const DEFAULTS: &str = include_str!("../../config/alfarid.toml");

/// Where an admin's own settings are looked for when no file is named.
pub const SYSTEM_FILE: &str = "/etc/alfarid/alfarid.toml";

#[derive(Debug, Error)]
pub enum ConfigError {
    #[error("the settings file {0} does not exist")]
    NoSuchFile(PathBuf),
    #[error("a setting is wrong: {0}")]
    Wrong(#[from] Box<figment::Error>),
}

#[derive(Clone, Debug, Deserialize)]
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

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    pub names: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub state_dir: PathBuf,
    pub recordings_dir: PathBuf,
    pub min_free_mb: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    pub whip_listen: SocketAddr,
    pub interfaces: Vec<String>,
    pub multicast_port: u16,
    pub multicast_ttl: u8,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    pub mdns: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lesson {
    pub end_after_minutes: u32,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
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
        let file = file.unwrap_or_else(|| Path::new(SYSTEM_FILE));
        let layers = Figment::from(Toml::string(DEFAULTS));
        let layers = if file.exists() { layers.merge(Toml::file_exact(file)) } else { layers };
        layers
            .merge(Env::prefixed("ALFARID_").split("__").filter(|key| key.as_str().contains('.')))
            .extract()
            .map_err(|error| ConfigError::Wrong(Box::new(error)))
    }
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

    #[test]
    fn the_shipped_file_is_the_defaults_and_one_line_changes_one_thing() {
        let config = with("[media]\nmulticast_ttl = 4\n").unwrap();
        assert_eq!(config.media.multicast_ttl, 4);
        assert_eq!(config.http.listen.port(), 443);
    }

    #[test]
    fn an_unknown_key_is_refused_by_its_name() {
        let error = with("[http]\nlisen = \"0.0.0.0:1\"\n").unwrap_err().to_string();
        assert!(error.contains("lisen"), "{error}");
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
