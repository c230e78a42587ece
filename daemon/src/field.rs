//! What people type into forms, parsed: whatever has passed here is one line, trimmed, of a sane
//! length, and needs no further look.

use serde::{Deserialize, Deserializer};
use thiserror::Error;

pub use crate::http::FieldCode;
use crate::http::Problem;

/// One field that cannot be taken as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: {detail}")]
pub struct Invalid {
    pub field: &'static str,
    pub code: FieldCode,
    pub detail: &'static str,
}

/// A field of a PATCH that may be cleared: absent keeps, `null` clears. Needs `#[serde(default)]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    #[default]
    Keep,
    Clear,
    To(T),
}

impl<T> Change<T> {
    /// What stands after the change.
    pub fn over(self, old: Option<T>) -> Option<T> {
        match self {
            Self::Keep => old,
            Self::Clear => None,
            Self::To(new) => Some(new),
        }
    }

    /// Parses the new value; one that parses to nothing clears.
    pub fn parse<U, E>(
        self,
        parse: impl FnOnce(T) -> Result<Option<U>, E>,
    ) -> Result<Change<U>, E> {
        Ok(match self {
            Self::Keep => Change::Keep,
            Self::Clear => Change::Clear,
            Self::To(new) => parse(new)?.map_or(Change::Clear, Change::To),
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::To))
    }
}

/// A line of text that must be there.
pub fn line(field: &'static str, text: &str, max_chars: usize) -> Result<String, Invalid> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Invalid { field, code: FieldCode::Empty, detail: "must not be empty" });
    }
    if text.chars().count() > max_chars {
        return Err(Invalid { field, code: FieldCode::TooLong, detail: "is too long" });
    }
    if text.chars().any(char::is_control) {
        return Err(Invalid {
            field,
            code: FieldCode::NotOneLine,
            detail: "must be one line of text",
        });
    }
    Ok(text.to_owned())
}

/// A line of text that may be absent; blank is absent.
pub fn optional_line(
    field: &'static str,
    text: Option<&str>,
    max_chars: usize,
) -> Result<Option<String>, Invalid> {
    match text.map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => line(field, text, max_chars).map(Some),
    }
}

/// An e-mail address, in lower case. Whether anybody reads mail there is not ours to know: what
/// is checked is that it can be one.
pub fn email(field: &'static str, text: &str) -> Result<String, Invalid> {
    // RFC 5321 §4.5.3.1.3: a path has at most 256 octets, two of them the angle brackets.
    let text = line(field, text, 254)?;
    let malformed =
        Invalid { field, code: FieldCode::EmailMalformed, detail: "is not an e-mail address" };
    let (local, domain) = text.rsplit_once('@').ok_or(malformed)?;
    let sound = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    let sound_domain = !domain.starts_with('.') && !domain.ends_with('.') && sound(domain);
    if !sound(local) || local.contains('@') || !sound_domain {
        return Err(malformed);
    }
    Ok(text.to_lowercase())
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        Self::unprocessable("invalid_input", invalid.to_string()).field(
            invalid.field,
            invalid.code,
            invalid.detail,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_never_two() {
        assert_eq!(line("name", "  7 Б \n", 10).unwrap(), "7 Б");
        assert_eq!(line("name", " \t ", 10).unwrap_err().code, FieldCode::Empty);
        assert_eq!(line("name", "a\nb", 10).unwrap_err().code, FieldCode::NotOneLine);
        assert_eq!(line("name", "ёёё", 2).unwrap_err().code, FieldCode::TooLong);
    }

    #[test]
    fn an_absent_field_stays_and_null_clears_it() {
        #[derive(Deserialize)]
        struct Form {
            #[serde(default)]
            note: Change<String>,
        }
        let over = |json| {
            let form: Form = serde_json::from_str(json).unwrap();
            form.note.over(Some("old".to_owned()))
        };
        assert_eq!(over("{}"), Some("old".to_owned()));
        assert_eq!(over(r#"{"note": null}"#), None);
        assert_eq!(over(r#"{"note": "new"}"#), Some("new".to_owned()));
    }

    #[test]
    fn an_address_is_kept_in_lower_case() {
        assert_eq!(email("email", " Anna@School.KZ ").unwrap(), "anna@school.kz");
        for wrong in ["anna", "@school", "anna@", "a b@school", "a@b@c", "a@.kz"] {
            assert_eq!(
                email("email", wrong).unwrap_err().code,
                FieldCode::EmailMalformed,
                "{wrong}"
            );
        }
    }
}
