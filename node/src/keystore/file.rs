//! Files that only their owner may read: created whole or not at all, never replaced, refused when open to others.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use zeroize::Zeroizing;

/// A key or passphrase file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Group or others may read or write the file.
    #[error("{path}: mode {mode:04o} lets others read or write it; run: chmod 600 {path}")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A new file would replace another.
    #[error("{path}: exists already; it is not replaced")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file is longer than any of its sort.
    #[error("{path}: longer than {max} bytes")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        max: u64,
    },
    /// The file is not text.
    #[error("{path}: not text")]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

/// The text of a private file of at most `bytes_max` bytes. The buffer is wiped when dropped and never grows,
/// so that no part of it is left behind elsewhere.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, FileError> {
    let io_error = |source| FileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io_error)?;
    let metadata = file.metadata().map_err(io_error)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(FileError::TooOpen { path: path.to_owned(), mode });
    }
    let capacity = usize::try_from(bytes_max + 1).unwrap_or(usize::MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io_error)?;
    if bytes.len() as u64 > bytes_max {
        return Err(FileError::TooLong { path: path.to_owned(), max: bytes_max });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_utf8| FileError::NotText { path: path.to_owned() })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Creates `path` with `contents`, mode 0600: written beside it under a name of its own, fsynced, moved to its
/// name without replacing anything, and the directory fsynced.
pub(super) fn create(path: &Path, contents: &[u8], rng: &mut impl rand::CryptoRng) -> Result<(), FileError> {
    let io_error = |source| FileError::Io { path: path.to_owned(), source };
    let name = path.file_name().ok_or_else(|| io_error(io::Error::from(io::ErrorKind::InvalidInput)))?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary_name = std::ffi::OsString::from(".");
    temporary_name.push(name);
    temporary_name.push(format!(".new-{:08x}", rng.next_u32()));
    let temporary = directory.join(temporary_name);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io_error)?;
    let written = write_durably(file, contents).and_then(|()| move_without_replacing(&temporary, path));
    if let Err(source) = written {
        // Whatever went wrong is the answer; a leftover would only be an encrypted file with an odd name.
        drop(std::fs::remove_file(&temporary));
        if source.kind() == io::ErrorKind::AlreadyExists {
            return Err(FileError::Exists { path: path.to_owned() });
        }
        return Err(io_error(source));
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error)
}

fn write_durably(mut file: File, contents: &[u8]) -> io::Result<()> {
    file.write_all(contents)?;
    file.sync_all()
}

fn move_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot promise it: a second hard link can.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        other => Ok(other?),
    }
}
