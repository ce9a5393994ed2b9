//! A key file opens with its passphrase and with nothing else; a hostile one costs nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::passphrase::PassphraseError;
use super::*;
use crate::entropy;

const KIND: &str = "site identity";
const SECRET: &[u8] = b"thirty-two secret bytes, exactly";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn public() -> BTreeMap<String, String> {
    BTreeMap::from([("Name".to_owned(), "Embassy in Reykjavik".to_owned())])
}

fn cheap() -> KdfParameters {
    KdfParameters::new(64, 1, 1).unwrap()
}

fn sealed(dir: &tempfile::TempDir) -> PathBuf {
    let path = dir.path().join("site.key");
    let mut rng = entropy::rng();
    seal_key_file_with(&path, KIND, &public(), SECRET, &passphrase("open sesame"), cheap(), &mut rng).unwrap();
    path
}

fn rewrite(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_key_file_is_private_and_opens_with_its_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("site.key");
    seal_key_file(&path, KIND, &public(), SECRET, &passphrase("open sesame"), &mut entropy::rng()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    let key = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap();
    assert_eq!((key.secret.as_slice(), &key.public), (SECRET, &public()));
    let header = read_key_header(&path).unwrap();
    assert_eq!(header, KeyFileHeader { kind: KIND.to_owned(), public: public(), kdf: KdfParameters::default() });
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\nKdf: argon2id m=65536 t=3 p=1\n") && !text.contains(&hex::encode(SECRET)));
    assert!(!format!("{key:?}{:?}", passphrase("open sesame")).contains("sesame"));
}

#[test]
fn a_wrong_passphrase_and_a_changed_file_are_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = sealed(&dir);
    let wrong = open_key_file(&path, KIND, &passphrase("open barley")).unwrap_err();
    assert!(wrong.to_string().ends_with("wrong passphrase or damaged file"), "{wrong}");
    let text = fs::read_to_string(&path).unwrap();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let flipped = |line: &str| {
        let (head, last) = line.split_at(line.len() - 1);
        format!("{head}{}", if last == "0" { "1" } else { "0" })
    };
    let (salt, nonce) = (line("Salt: "), line("Nonce: "));
    let body = text.lines().rev().nth(1).unwrap().to_owned();
    let changes = [
        ("Reykjavik".to_owned(), "Oslo".to_owned()),
        ("Public-Name".to_owned(), "Public-Town".to_owned()),
        ("m=64".to_owned(), "m=72".to_owned()),
        (salt.clone(), flipped(&salt)),
        (nonce.clone(), flipped(&nonce)),
        (body.clone(), flipped(&body)),
    ];
    for (from, to) in changes {
        fs::write(&path, text.replacen(&from, &to, 1)).unwrap();
        let refused = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap_err();
        assert!(matches!(refused, OpenKeyError::WrongPassphrase { .. }), "{from}: {refused}");
    }
}

#[test]
fn a_key_of_another_kind_is_not_taken_even_if_its_kind_is_rewritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = sealed(&dir);
    let wrong = open_key_file(&path, "writer", &passphrase("open sesame")).unwrap_err();
    assert!(matches!(wrong, OpenKeyError::WrongKind { .. }));
    rewrite(&path, "Kind: site identity", "Kind: writer");
    let rewritten = open_key_file(&path, "writer", &passphrase("open sesame")).unwrap_err();
    assert!(matches!(rewritten, OpenKeyError::WrongPassphrase { .. }));
}

#[test]
fn hostile_costs_are_refused_before_they_are_paid() {
    for costs in
        ["m=4294967295 t=3 p=1", "m=1048577 t=1 p=1", "m=64 t=17 p=1", "m=64 t=0 p=1", "m=1024 t=1 p=17", "m=8 t=1 p=2"]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = sealed(&dir);
        rewrite(&path, "m=64 t=1 p=1", costs);
        let refused = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap_err();
        assert!(matches!(refused, OpenKeyError::Kdf { .. }), "{costs}: {refused}");
    }
}

#[test]
fn what_is_no_key_file_is_refused() {
    let changes = [
        ("-----BEGIN LEGATION KEY-----", "-----BEGIN OTHER KEY-----"),
        ("Format: 1", "Format: 2"),
        ("argon2id", "argon2i"),
        ("m=64 t=1 p=1", "m=64 t=1 p=1 x=1"),
        ("m=64", "m=many"),
        ("Public-Name", "Private-Name"),
        ("Salt: ", "Salt: zz"),
        ("\n\n", "\n"),
        ("-----END LEGATION KEY-----", ""),
    ];
    for (from, to) in changes {
        let dir = tempfile::tempdir().unwrap();
        let path = sealed(&dir);
        rewrite(&path, from, to);
        let refused = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap_err();
        let expected = matches!(refused, OpenKeyError::Malformed { .. } | OpenKeyError::Format { .. });
        assert!(expected, "{from}: {refused}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = sealed(&dir);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(1 << 40).unwrap();
    let refused = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap_err();
    assert!(matches!(refused, OpenKeyError::File(FileError::TooLong { .. })), "{refused}");
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = sealed(&dir);
    for mode in [0o640, 0o604, 0o620, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let refused = open_key_file(&path, KIND, &passphrase("open sesame")).unwrap_err().to_string();
        assert!(refused.contains(&format!("chmod 600 {}", path.display())), "{refused}");
    }
}

#[test]
fn an_existing_file_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = sealed(&dir);
    let before = fs::read(&path).unwrap();
    let mut rng = entropy::rng();
    let refused =
        seal_key_file_with(&path, KIND, &public(), b"other", &passphrase("x"), cheap(), &mut rng).unwrap_err();
    assert!(matches!(refused, SealKeyError::File(FileError::Exists { .. })), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_header_cannot_be_smuggled_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("site.key");
    let mut rng = entropy::rng();
    for (kind, name, value) in
        [("a\nKdf: x", "Name", "v"), ("a", "Na: me", "v"), ("a", "Name", "v\n\n"), ("a", "Name", "")]
    {
        let public = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let refused =
            seal_key_file_with(&path, kind, &public, SECRET, &passphrase("x"), cheap(), &mut rng).unwrap_err();
        assert!(matches!(refused, SealKeyError::Header { .. }), "{refused}");
    }
    assert!(!path.exists());
}

#[test]
fn a_passphrase_file_is_private_and_its_first_line_counts() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passphrase");
    fs::write(&path, " correct horse \r\nsecond line\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Passphrase::from_file(&path).unwrap_err(), PassphraseError::File(FileError::TooOpen { .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(Passphrase::from_file(&path).unwrap().as_bytes(), b" correct horse ");
    fs::write(&path, "\nsecond line").unwrap();
    assert!(matches!(Passphrase::from_file(&path).unwrap_err(), PassphraseError::Empty));
    assert!(matches!(passphrase("seven77").check_new().unwrap_err(), PassphraseError::TooShort { actual: 7 }));
    passphrase("eight888").check_new().unwrap();
}
