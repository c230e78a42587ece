//! Every setting by name: what it means, which values it takes, where it lives.

use serde_json::{Value, json};

use super::Values;
use crate::field::{FieldCode, Invalid};

/// One setting.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// In English, for the API; the pages have their own words by the name.
    pub(super) description: &'static str,
    get: fn(&Values) -> Value,
    set: fn(&mut Values, &Value) -> Result<(), Invalid>,
}

impl Key {
    pub(super) fn get(&self, values: &Values) -> Value {
        (self.get)(values)
    }

    /// Leaves `values` as they are if `value` cannot be taken.
    pub(super) fn set(&self, values: &mut Values, value: &Value) -> Result<(), Invalid> {
        (self.set)(values, value)
    }
}

pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

pub(super) static KEYS: [Key; 5] = [
    Key {
        name: "attendance.late_after_minutes",
        description: "Who comes later than this after the start is late. 0 to 120.",
        get: |values| json!(values.attendance.late_after_minutes),
        set: |values, value| {
            values.attendance.late_after_minutes = minutes(value, 0, 120, "must be 0 to 120")?;
            Ok(())
        },
    },
    Key {
        name: "attendance.left_early_before_minutes",
        description: "Who goes earlier than this before the end has left early. 0 to 120.",
        get: |values| json!(values.attendance.left_early_before_minutes),
        set: |values, value| {
            let minutes = minutes(value, 0, 120, "must be 0 to 120")?;
            values.attendance.left_early_before_minutes = minutes;
            Ok(())
        },
    },
    Key {
        name: "attendance.present_minimum_ratio",
        description: "Who was there for less than this part of the lesson was absent. 0 to 1.",
        get: |values| json!(values.attendance.present_minimum_ratio),
        set: |values, value| {
            values.attendance.present_minimum_ratio = ratio(value)?;
            Ok(())
        },
    },
    Key {
        name: "lesson.default_minutes",
        description: "How long a lesson is planned for when nobody says. 5 to 480.",
        get: |values| json!(values.lesson_default_minutes),
        set: |values, value| {
            values.lesson_default_minutes = minutes(value, 5, 480, "must be 5 to 480")?;
            Ok(())
        },
    },
    Key {
        name: "recording.on_by_default",
        description: "Whether a new lesson is recorded unless its teacher says otherwise.",
        get: |values| json!(values.recording_on_by_default),
        set: |values, value| {
            let detail = "must be true or false";
            values.recording_on_by_default = value.as_bool().ok_or(Invalid {
                field: "value",
                code: FieldCode::NotASwitch,
                detail,
            })?;
            Ok(())
        },
    },
];

fn minutes(value: &Value, least: u32, most: u32, detail: &'static str) -> Result<u32, Invalid> {
    let whole = value.as_u64().and_then(|minutes| u32::try_from(minutes).ok());
    let code = if whole.is_some() { FieldCode::OutOfRange } else { FieldCode::NotANumber };
    let fitting = whole.filter(|minutes| (least..=most).contains(minutes));
    fitting.ok_or(Invalid { field: "value", code, detail })
}

fn ratio(value: &Value) -> Result<f64, Invalid> {
    let number = value.as_f64();
    let code = if number.is_some() { FieldCode::OutOfRange } else { FieldCode::NotANumber };
    let fitting = number.filter(|ratio| (0.0..=1.0).contains(ratio));
    fitting.ok_or(Invalid { field: "value", code, detail: "must be 0 to 1" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_can_be_set() {
        let defaults = Values::default();
        let mut values = defaults;
        for key in &KEYS {
            key.set(&mut values, &key.get(&defaults)).unwrap();
        }
        assert_eq!(values, defaults);
    }

    #[test]
    fn each_key_changes_itself_alone() {
        let other = |value: &Value| match value {
            Value::Bool(truth) => json!(!truth),
            Value::Number(n) if n.is_u64() => json!(n.as_u64().unwrap() + 1),
            _ => json!(0.25),
        };
        let defaults = Values::default();
        for key in &KEYS {
            let mut values = defaults;
            key.set(&mut values, &other(&key.get(&defaults))).unwrap();
            let changed = KEYS.iter().filter(|key| key.get(&values) != key.get(&defaults));
            assert_eq!(changed.map(|key| key.name).collect::<Vec<_>>(), [key.name]);
        }
    }

    #[test]
    fn a_value_that_makes_no_sense_changes_nothing() {
        for key in &KEYS {
            let mut values = Values::default();
            for wrong in [json!(-1), json!(1e9), json!("5"), json!(null), json!([])] {
                assert!(key.set(&mut values, &wrong).is_err(), "{} took {wrong}", key.name);
            }
            assert_eq!(values, Values::default());
        }
    }
}
