//! Settings as variables: `ALFARID_`, the section, `__`, the key.

use figment::providers::Env;

use super::mistake::{Mistake, Mistakes};

const PREFIX: &str = "ALFARID_";
/// Between section and key, since keys have underscores of their own.
const BETWEEN: &str = "__";

/// The variable of the setting `section.key`.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replacen('.', BETWEEN, 1).to_uppercase())
}

/// The layer of those variables that are one of the settings `known`, as `section.key`.
pub(super) fn layer(known: Vec<String>) -> Env {
    Env::prefixed(PREFIX)
        .split(BETWEEN)
        .filter(move |key| known.iter().any(|known| key.as_str().eq_ignore_ascii_case(known)))
}

/// Refuses variables of these `names` that are meant as a setting, and are none: somebody would
/// wait for their effect. Others that begin like ours are somebody else's business.
pub(super) fn check(names: impl Iterator<Item = String>, known: &[String]) -> Result<(), Mistakes> {
    let variables: Vec<_> = known.iter().map(|key| variable(key)).collect();
    let mistakes: Vec<_> = names
        .filter(|name| is_meant(name, known) && !variables.contains(name))
        .map(|name| Mistake {
            place: name,
            key: String::new(),
            what: format!("there is no such variable, only {}", variables.join(", ")),
        })
        .collect();
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes)) }
}

/// Whether it has two parts, begins with a section, or is a key without one.
fn is_meant(name: &str, known: &[String]) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    let rest = rest.to_lowercase();
    let first = rest.split('_').next().unwrap_or_default();
    let mut settings = known.iter().filter_map(|setting| setting.split_once('.'));
    rest.contains(BETWEEN) || settings.any(|(section, key)| section == first || key == rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_one(name: &str) -> Result<(), Mistakes> {
        let known = ["http.listen", "storage.state_dir", "log.level"].map(str::to_owned);
        check([name.to_owned()].into_iter(), &known)
    }

    #[test]
    fn a_variable_that_is_meant_as_a_setting_is_one_or_is_refused() {
        assert_eq!(check_one("ALFARID_STORAGE__STATE_DIR"), Ok(()));
        for name in ["ALFARID_HTTP__LISEN", "ALFARID_LISTEN", "ALFARID_LOG", "ALFARID_LOG_LEVEL"] {
            let refused = check_one(name).unwrap_err().to_string();
            assert!(
                refused.starts_with(name) && refused.contains("ALFARID_LOG__LEVEL"),
                "{refused}"
            );
        }
    }

    #[test]
    fn what_is_meant_for_somebody_else_is_passed_over() {
        for name in ["ALFARID_KEEP", "ALFARIDA_LOG", "LOG", "PATH"] {
            assert_eq!(check_one(name), Ok(()), "{name}");
        }
    }
}
