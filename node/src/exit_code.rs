//! What the process says with its exit status: scripts and monitoring decide on these numbers.

/// Why the process ended. A number, once given, never changes its meaning.
///
/// | number | meaning | what an operator does |
/// | --- | --- | --- |
/// | 0 | done | nothing |
/// | 1 | unexpected error | read the message, report it |
/// | 2 | wrong usage: arguments or configuration | correct the command |
/// | 3 | refused by policy: charter, release order, quorum, retention | bring the missing signatures |
/// | 4 | not durable: too few receipts | look at the named sites, run the command again |
/// | 5 | not enough sites reachable | look at the network, run again |
/// | 6 | integrity fault found: a rotten shard, a wrong root | read the report; repair is on its way |
/// | 7 | fork: two signed manifests contradict each other | stop, compare with other sites, investigate |
/// | 8 | local storage: disk full, permission | free space or correct the mode |
/// | 9 | wrong passphrase, wrong or damaged key file | try again, or use the spare |
/// | 10 | this machine does not allow it (only `legation-trial`) | run it as root, on a Linux with network namespaces |
/// | 11 | stored, but in quarantine: it looks as if the source was damaged | look at the source |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// 0: done.
    Success = 0,
    /// 1: an error nobody foresaw.
    Unexpected = 1,
    /// 2: wrong arguments or configuration (the number `clap` uses too).
    Usage = 2,
    /// 3: the charter, a release order, a quorum or a retention lock refuses.
    Refused = 3,
    /// 4: too few receipts; what is stored stays, and a rerun resumes.
    NotDurable = 4,
    /// 5: not enough sites reachable.
    SitesUnreachable = 5,
    /// 6: something stored is not what it was.
    IntegrityFault = 6,
    /// 7: two signed manifests contradict each other.
    Fork = 7,
    /// 8: the local disk is full or may not be written.
    LocalStorage = 8,
    /// 9: wrong passphrase, or the key file is damaged or of another kind.
    WrongKey = 9,
    /// 10: a trial needs rights or tools that are not here; nothing was tried.
    NotHere = 10,
    /// 11: the snapshot is stored, and suspicious.
    Quarantined = 11,
}

impl ExitCode {
    /// The code of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// All of them, by number.
    pub const ALL: [Self; 12] = [
        Self::Success,
        Self::Unexpected,
        Self::Usage,
        Self::Refused,
        Self::NotDurable,
        Self::SitesUnreachable,
        Self::IntegrityFault,
        Self::Fork,
        Self::LocalStorage,
        Self::WrongKey,
        Self::NotHere,
        Self::Quarantined,
    ];

    /// The number the operating system sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

impl std::process::Termination for ExitCode {
    fn report(self) -> std::process::ExitCode {
        self.into()
    }
}
