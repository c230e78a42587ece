//! Codes that a person reads off a screen or off paper, and types.
//!
//! Figures and capital letters without those that look like each other, five bits each. They are
//! taken however they are typed: in small letters, with or without hyphens and spaces, and on a
//! Russian keyboard, whose А, В and С look like ours on the paper.

/// No 0 or O, no 1 or I.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// So many random characters.
pub fn fresh(length: usize) -> Result<String, getrandom::Error> {
    let mut random = vec![0_u8; length];
    getrandom::fill(&mut random)?;
    // 32 divides 256: every character is equally likely.
    Ok(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect())
}

/// What somebody typed, as it was meant.
pub fn normalized(typed: &str) -> String {
    let kept = typed.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_uppercase).map(latin).collect()
}

/// Whether `text` can be a code of that length.
pub fn is_code(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| ALPHABET.contains(&byte))
}

/// With a hyphen in the middle, as people read it.
pub fn grouped(code: &str) -> String {
    let middle = code.len() / 2;
    let (first, second) = code.split_at_checked(middle).unwrap_or((code, ""));
    format!("{first}-{second}")
}

/// The letter of ours that a Cyrillic one looks like.
const fn latin(letter: char) -> char {
    match letter {
        'А' => 'A',
        'В' => 'B',
        'С' => 'C',
        'Е' | 'Ё' => 'E',
        'Н' => 'H',
        'К' => 'K',
        'М' => 'M',
        'Р' => 'P',
        'Т' => 'T',
        'Х' => 'X',
        'У' => 'Y',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_however_it_is_typed() {
        for typed in ["7KQ2-MVX9", "7kq2mvx9", " 7KQ2 – MVX9 ", "7КQ2-МVХ9", "7кq2мvх9"] {
            assert_eq!(normalized(typed), "7KQ2MVX9", "{typed}");
        }
        assert!(is_code("7KQ2MVX9", 8));
        for wrong in ["7KQ2MVX", "7KQ2MVX91", "7KQ2MVX0", "7KQ2MVXO", "7KQ2MVЖ", ""] {
            assert!(!is_code(wrong, 8), "{wrong}");
        }
    }

    #[test]
    fn a_fresh_code_is_one_and_reads_back_from_paper() {
        let code = fresh(8).unwrap();
        assert!(is_code(&code, 8), "{code}");
        assert_eq!(grouped(&code).len(), 9);
        assert_eq!(normalized(&grouped(&code)), code);
    }

    proptest! {
        #[test]
        fn whatever_is_typed_is_read_or_is_no_code(typed in "\\PC{0,12}") {
            let read = normalized(&typed);
            if is_code(&read, 8) {
                prop_assert_eq!(normalized(&grouped(&read)), read);
            } else {
                grouped(&read);
            }
        }
    }
}
