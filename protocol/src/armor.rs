//! Text armour for documents carried by hand: PEM-like, safe in a mail, on paper or in a QR code.
//!
//! ```text
//! -----BEGIN LEGATION CHARTER-----
//! a46... hex, 64 digits a line
//! check: first 8 hex digits of the BLAKE3 digest of the bytes
//! -----END LEGATION CHARTER-----
//! ```
//!
//! Lines before BEGIN are a note for people and are not read.

use shard_codec::Digest;

const LINE_DIGITS: usize = 64;

/// Why a text is not an armoured document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArmorError {
    /// No BEGIN line of this kind; names the kind that was found.
    #[error("expected a LEGATION {expected} file, found {found}")]
    Kind {
        /// The kind asked for.
        expected: String,
        /// The first BEGIN line, or what stood there.
        found: String,
    },
    /// The END line is missing: the file was cut off.
    #[error("the file ends before its END line: it was cut off in transfer")]
    Truncated,
    /// A line that is not hex.
    #[error("line {line} is not hexadecimal")]
    Line {
        /// Counted from 1 in the file.
        line: usize,
    },
    /// The check value does not fit: a digit was changed.
    #[error("the check value does not fit: a digit was changed in transfer")]
    Check,
    /// Longer than a document of this kind may be.
    #[error("{actual} bytes where at most {max} are allowed")]
    TooLong {
        /// Bytes found.
        actual: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// Armours `bytes` as a document of `kind` (for instance `charter`).
#[must_use]
pub fn armor(kind: &str, bytes: &[u8]) -> String {
    let kind = kind.to_uppercase();
    let digits = hex::encode(bytes);
    let mut text = format!("-----BEGIN LEGATION {kind}-----\n");
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(LINE_DIGITS));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("check: {}\n-----END LEGATION {kind}-----\n", Digest::of(bytes).short()));
    text
}

/// The bytes of an armoured document of `kind`, at most `bytes_max` of them.
///
/// # Errors
/// Another kind, cut off, damaged (the line is named), or too long.
pub fn dearmor(kind: &str, text: &str, bytes_max: usize) -> Result<Vec<u8>, ArmorError> {
    let kind = kind.to_uppercase();
    let (begin, end) = (format!("-----BEGIN LEGATION {kind}-----"), format!("-----END LEGATION {kind}-----"));
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim())).peekable();
    if !lines.by_ref().any(|(_, line)| line == begin) {
        let found = text.lines().find(|line| line.starts_with("-----BEGIN ")).unwrap_or("no BEGIN line");
        return Err(ArmorError::Kind { expected: kind, found: found.chars().take(80).collect() });
    }
    let mut bytes = Vec::new();
    let mut check = None;
    while let Some((line_number, line)) = lines.next() {
        if line == end {
            return match check {
                Some(check) if check == Digest::of(&bytes).short() => Ok(bytes),
                Some(_) | None => Err(ArmorError::Check),
            };
        }
        if let Some(value) = line.strip_prefix("check: ") {
            check = Some(value.to_owned());
            continue;
        }
        let Ok(decoded) = hex::decode(line) else {
            // The last line of a file without END was cut off; any other is damaged.
            let is_last = lines.peek().is_none();
            return Err(if is_last { ArmorError::Truncated } else { ArmorError::Line { line: line_number } });
        };
        bytes.extend(decoded);
        if bytes.len() > bytes_max {
            return Err(ArmorError::TooLong { actual: bytes.len(), max: bytes_max });
        }
    }
    Err(ArmorError::Truncated)
}

#[cfg(test)]
mod tests {
    use super::{ArmorError, armor, dearmor};

    #[test]
    fn round_trip_with_a_note_in_front() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text = format!("Charter 1 of Ruritania\n\n{}", armor("charter", &bytes));
        assert_eq!(dearmor("charter", &text, 1_000), Ok(bytes));
    }

    #[test]
    fn damage_is_named() {
        let text = armor("charter", &[7; 100]);
        assert_eq!(dearmor("charter", &text.replacen("0707", "0708", 1), 1_000), Err(ArmorError::Check));
        assert_eq!(dearmor("charter", &text.replacen("0707", "07x7", 1), 1_000), Err(ArmorError::Line { line: 2 }));
        assert_eq!(dearmor("charter", &text[..text.len() - 10], 1_000), Err(ArmorError::Truncated));
        assert_eq!(dearmor("charter", &text, 99), Err(ArmorError::TooLong { actual: 100, max: 99 }));
        assert!(matches!(dearmor("release-order", &text, 1_000), Err(ArmorError::Kind { .. })));
    }
}
