//! The text of a key file: writing it, and reading one that may be hostile.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::{KdfParameters, OpenKeyError, SealKeyError};

const BEGIN: &str = "-----BEGIN LEGATION KEY-----";
const END: &str = "-----END LEGATION KEY-----";
const PUBLIC_PREFIX: &str = "Public-";
const BODY_LINE_DIGITS: usize = 64;

/// The salt of the key derivation.
pub(super) const SALT_BYTES: usize = 16;
/// The nonce of AES-256-GCM; random, and used once because the salt makes the key new in every file.
pub(super) const NONCE_BYTES: usize = 12;

/// A key file, taken apart.
#[derive(Debug)]
pub(super) struct Armor {
    /// What the key is for.
    pub(super) kind: String,
    /// The `Public-` lines.
    pub(super) public: BTreeMap<String, String>,
    /// The cost, within bounds.
    pub(super) kdf: KdfParameters,
    /// The salt.
    pub(super) salt: [u8; SALT_BYTES],
    /// The nonce.
    pub(super) nonce: [u8; NONCE_BYTES],
    /// The exact bytes that are authenticated.
    pub(super) header: String,
    /// Ciphertext and tag.
    pub(super) sealed: Vec<u8>,
}

/// The header with its closing empty line.
pub(super) fn write_header(
    kind: &str,
    public: &BTreeMap<String, String>,
    kdf: KdfParameters,
    salt: &[u8; SALT_BYTES],
    nonce: &[u8; NONCE_BYTES],
) -> Result<String, SealKeyError> {
    let mut header = format!(
        "{BEGIN}\nFormat: 1\nKind: {}\nKdf: {kdf}\nSalt: {}\nNonce: {}\n",
        printable(kind)?,
        hex::encode(salt),
        hex::encode(nonce)
    );
    for (name, value) in public {
        if name.contains(':') {
            return Err(SealKeyError::Header { text: name.clone() });
        }
        header.extend([PUBLIC_PREFIX, printable(name)?, ": ", printable(value)?, "\n"]);
    }
    header.push('\n');
    Ok(header)
}

/// The whole file.
pub(super) fn write(header: &str, sealed: &[u8]) -> String {
    let mut text = header.to_owned();
    for line in sealed.chunks(BODY_LINE_DIGITS / 2) {
        writeln!(text, "{}", hex::encode(line)).expect("writing to a String cannot fail");
    }
    text.push_str(END);
    text.push('\n');
    text
}

fn printable(text: &str) -> Result<&str, SealKeyError> {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if plain && !text.is_empty() && text.trim() == text {
        Ok(text)
    } else {
        Err(SealKeyError::Header { text: text.to_owned() })
    }
}

impl Armor {
    /// Takes the text of the file at `path` apart; the order of the lines is part of the format.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self, OpenKeyError> {
        let malformed = |reason| OpenKeyError::Malformed { path: path.to_owned(), reason };
        let Some((head, body)) = text.split_once("\n\n") else {
            return Err(malformed("no empty line after the header"));
        };
        let header = format!("{head}\n\n");
        let mut lines = head.split('\n');
        if lines.next() != Some(BEGIN) {
            return Err(malformed("the first line is not that of a key file"));
        }
        let mut field = |name: &'static str| {
            let line = lines.next().unwrap_or_default();
            line.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")).ok_or_else(|| malformed(name))
        };
        let format = field("Format")?;
        if format != "1" {
            return Err(OpenKeyError::Format { path: path.to_owned(), actual: format.to_owned() });
        }
        let kind = field("Kind")?.to_owned();
        let kdf = parse_kdf(path, field("Kdf")?)?;
        let mut salt = [0; SALT_BYTES];
        hex::decode_to_slice(field("Salt")?, &mut salt).map_err(|_hex| malformed("Salt"))?;
        let mut nonce = [0; NONCE_BYTES];
        hex::decode_to_slice(field("Nonce")?, &mut nonce).map_err(|_hex| malformed("Nonce"))?;
        let mut public = BTreeMap::new();
        for line in lines {
            let pair = line.strip_prefix(PUBLIC_PREFIX).and_then(|rest| rest.split_once(": "));
            let (name, value) = pair.ok_or_else(|| malformed("an unknown header line"))?;
            if public.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(malformed("a header line is there twice"));
            }
        }
        let digits = body.strip_suffix('\n').and_then(|rest| rest.strip_suffix(END));
        let digits = digits.ok_or_else(|| malformed("the last line is not that of a key file"))?;
        let digits: String = digits.split('\n').collect();
        let sealed = hex::decode(digits).map_err(|_hex| malformed("the body is not hex"))?;
        Ok(Self { kind, public, kdf, salt, nonce, header, sealed })
    }
}

fn parse_kdf(path: &Path, text: &str) -> Result<KdfParameters, OpenKeyError> {
    let malformed = || OpenKeyError::Malformed { path: path.to_owned(), reason: "Kdf" };
    let mut words = text.split(' ');
    if words.next() != Some("argon2id") {
        return Err(malformed());
    }
    let mut cost = |prefix: &str| -> Result<u32, OpenKeyError> {
        let digits = words.next().and_then(|word| word.strip_prefix(prefix)).ok_or_else(malformed)?;
        digits.parse().map_err(|_number| malformed())
    };
    let (memory_kib, passes, lanes) = (cost("m=")?, cost("t=")?, cost("p=")?);
    if words.next().is_some() {
        return Err(malformed());
    }
    KdfParameters::new(memory_kib, passes, lanes).map_err(|source| OpenKeyError::Kdf { path: path.to_owned(), source })
}
