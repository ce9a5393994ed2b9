//! The key files of this program and the passphrases that close them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use protocol::machine::SiteKeys;
use protocol::signature::Keypair;
use shard_codec::SecretBytes;
use shard_codec::sealing::DedupSecret;
use shard_codec::share_sealing::SealingSecretKey;
use zeroize::Zeroizing;

use super::Failure;
use crate::entropy;
use crate::exit_code::ExitCode;
use crate::keystore::{Passphrase, open_key_file, seal_key_file};

/// Kinds of key files.
pub(super) const OFFICIAL: &str = "official";
const SITE: &str = "site";
const HOME: &str = "home";
const RECIPIENT: &str = "recipient";

/// Where passphrases come from: a file, or a person.
pub(super) struct Passphrases {
    file: Option<PathBuf>,
}

impl Passphrases {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    fn existing(&self, path: &Path) -> Result<Passphrase, Failure> {
        Ok(match &self.file {
            Some(file) => Passphrase::from_file(file)?,
            None => Passphrase::prompt(&format!("Passphrase of {}", path.display()))?,
        })
    }

    fn fresh(&self, path: &Path) -> Result<Passphrase, Failure> {
        let passphrase = match &self.file {
            Some(file) => Passphrase::from_file(file)?,
            None => Passphrase::prompt_new(&format!("New passphrase for {}", path.display()))?,
        };
        passphrase.check_new()?;
        Ok(passphrase)
    }

    fn write(&self, path: &Path, kind: &str, public: &[(&str, String)], secret: &[u8]) -> Result<(), Failure> {
        let passphrase = self.fresh(path)?;
        let public: BTreeMap<String, String> = public.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        Ok(seal_key_file(path, kind, &public, secret, &passphrase, &mut entropy::rng())?)
    }

    fn open(&self, path: &Path, kind: &str) -> Result<(BTreeMap<String, String>, Zeroizing<Vec<u8>>), Failure> {
        let passphrase = self.existing(path)?;
        let file = open_key_file(path, kind, &passphrase)?;
        Ok((file.public, file.secret))
    }

    /// Makes an official's key file.
    pub(super) fn new_official(&self, path: &Path, name: &str) -> Result<Keypair, Failure> {
        let keypair = Keypair::generate(&mut entropy::rng());
        let public = [("Name", name.to_owned()), ("Key", keypair.public().to_string())];
        keypair.secret().expose(|seed| self.write(path, OFFICIAL, &public, seed))?;
        Ok(keypair)
    }

    /// Opens an official's key file.
    pub(super) fn official(&self, path: &Path) -> Result<Keypair, Failure> {
        let (_public, secret) = self.open(path, OFFICIAL)?;
        Ok(Keypair::from_secret(&one_secret(path, &secret)?))
    }

    /// Makes a site's key file: identity and sealing key.
    pub(super) fn new_site(&self, path: &Path, name: &protocol::identifier::SiteName) -> Result<SiteKeys, Failure> {
        let identity = Keypair::generate(&mut entropy::rng());
        let sealing = SealingSecretKey::generate(&mut entropy::rng());
        let public = [("Name", name.to_string()), ("Key", identity.public().to_string())];
        let secret = both(&identity, &sealing);
        self.write(path, SITE, &public, &secret)?;
        Ok(SiteKeys { name: name.clone(), identity, sealing })
    }

    /// Opens a site's key file.
    pub(super) fn site(&self, path: &Path) -> Result<SiteKeys, Failure> {
        let (public, secret) = self.open(path, SITE)?;
        let name = public.get("Name").and_then(|name| name.parse().ok()).ok_or_else(|| damaged(path))?;
        let (identity, sealing) = split(path, &secret)?;
        Ok(SiteKeys { name, identity, sealing })
    }

    /// Makes a recipient's key file: identity and sealing key.
    pub(super) fn new_recipient(&self, path: &Path) -> Result<(Keypair, SealingSecretKey), Failure> {
        let identity = Keypair::generate(&mut entropy::rng());
        let sealing = SealingSecretKey::generate(&mut entropy::rng());
        self.write(path, RECIPIENT, &[("Key", identity.public().to_string())], &both(&identity, &sealing))?;
        Ok((identity, sealing))
    }

    /// Opens a recipient's key file.
    pub(super) fn recipient(&self, path: &Path) -> Result<(Keypair, SealingSecretKey), Failure> {
        let (_public, secret) = self.open(path, RECIPIENT)?;
        split(path, &secret)
    }

    /// Makes a home's key file: writer key and the root of its dedup secrets.
    pub(super) fn new_home(&self, path: &Path, name: &str) -> Result<HomeKeys, Failure> {
        let keys = HomeKeys {
            writer: Keypair::generate(&mut entropy::rng()),
            dedup_root: SecretBytes::random(&mut entropy::rng()),
        };
        let public = [("Name", name.to_owned()), ("Key", keys.writer.public().to_string())];
        let mut secret = Zeroizing::new(Vec::with_capacity(64));
        keys.writer.secret().expose(|seed| secret.extend_from_slice(seed));
        keys.dedup_root.expose(|root| secret.extend_from_slice(root));
        self.write(path, HOME, &public, &secret)?;
        Ok(keys)
    }

    /// Opens a home's key file.
    pub(super) fn home(&self, path: &Path) -> Result<HomeKeys, Failure> {
        let (_public, secret) = self.open(path, HOME)?;
        let (seed, dedup_root) = two_secrets(path, &secret)?;
        Ok(HomeKeys { writer: Keypair::from_secret(&seed), dedup_root })
    }
}

/// What a home keeps closed.
pub(super) struct HomeKeys {
    /// Signs manifests.
    pub(super) writer: Keypair,
    dedup_root: SecretBytes<32>,
}

impl HomeKeys {
    /// The dedup secret of one database.
    pub(super) fn dedup_secret(&self, database: &protocol::identifier::DatabaseName) -> DedupSecret {
        let name = blake3::derive_key("legation v1 dedup secret name", database.as_str().as_bytes());
        let secret = Zeroizing::new(self.dedup_root.expose(|root| *blake3::keyed_hash(root, &name).as_bytes()));
        DedupSecret::copy_from(secret.as_slice()).expect("32 bytes are a dedup secret")
    }
}

fn damaged(path: &Path) -> Failure {
    Failure::new(ExitCode::WrongKey, format!("{}: damaged, or made by another version", path.display()))
}

fn one_secret(path: &Path, secret: &[u8]) -> Result<SecretBytes<32>, Failure> {
    SecretBytes::copy_from(secret).ok_or_else(|| damaged(path))
}

fn two_secrets(path: &Path, secret: &[u8]) -> Result<(SecretBytes<32>, SecretBytes<32>), Failure> {
    let (first, second) = secret.split_at_checked(32).ok_or_else(|| damaged(path))?;
    Ok((one_secret(path, first)?, one_secret(path, second)?))
}

fn both(identity: &Keypair, sealing: &SealingSecretKey) -> Zeroizing<Vec<u8>> {
    let mut secret = Zeroizing::new(Vec::with_capacity(64));
    identity.secret().expose(|seed| secret.extend_from_slice(seed));
    sealing.expose(|key| secret.extend_from_slice(key));
    secret
}

fn split(path: &Path, secret: &[u8]) -> Result<(Keypair, SealingSecretKey), Failure> {
    let (seed, sealing) = two_secrets(path, secret)?;
    Ok((Keypair::from_secret(&seed), SealingSecretKey::from_bytes(sealing)))
}
