//! What is wrong with settings, in words for whoever wrote them.

use std::fmt;

use figment::error::Kind;

use super::environment;

/// Everything that is wrong at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, or the variable.
    pub place: String,
    /// `section.key`; empty where the place says it all.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

impl From<figment::Error> for Mistakes {
    fn from(error: figment::Error) -> Self {
        Self(error.into_iter().map(Mistake::from).collect())
    }
}

impl From<figment::Error> for Mistake {
    fn from(error: figment::Error) -> Self {
        let source = error.metadata.as_ref().and_then(|metadata| metadata.source.as_ref());
        let file = source.and_then(|source| source.file_path());
        let (key, what) = (error.path.join("."), what(&error.kind));
        match file {
            Some(file) => Self { place: file.display().to_string(), key, what },
            // The shipped settings have no mistakes: a test reads them.
            None => Self { place: environment::variable(&key), key: String::new(), what },
        }
    }
}

fn what(kind: &Kind) -> String {
    match kind {
        Kind::UnknownField(_, known) => {
            let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
            format!("there is no such setting here, only {}", known.join(", "))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            format!("{found} is not {}", plainly(expected))
        }
        other => other.to_string(),
    }
}

/// What a type is called by people.
fn plainly(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" => "a whole number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        other => other,
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.key {
            "" => write!(f, "{}: {}", self.place, self.what),
            key => write!(f, "{}: {key}: {}", self.place, self.what),
        }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let between = if n > 0 { "; " } else { "" };
            write!(f, "{between}{mistake}")?;
        }
        Ok(())
    }
}
