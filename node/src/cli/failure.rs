//! From an error to an exit code. The one place that knows both.

use crate::chunk_index::ChunkIndexError;
use crate::connector::{CaptureError, RestoreError as TargetError};
use crate::daemon::StartError;
use crate::exit_code::ExitCode;
use crate::keystore::passphrase::PassphraseError;
use crate::keystore::{OpenKeyError, SealKeyError};
use crate::network::{CallError, MeshError};
use crate::pipeline::backup::BackupError;
use crate::pipeline::restore::RestoreError;
use crate::pipeline::survey::SurveyError;
use crate::redb_file::RedbFileError;

/// Why a command failed: a code for programs, words for people.
#[derive(Debug)]
pub struct Failure {
    /// What the process returns.
    pub code: ExitCode,
    /// What happened and what to do next.
    pub message: String,
    /// A report that says more, for `--json`.
    pub report: Option<serde_json::Value>,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(code: ExitCode, message: impl std::fmt::Display) -> Self {
        Self { code, message: message.to_string(), report: None }
    }

    /// Something nobody foresaw.
    pub fn unexpected(error: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Unexpected, error)
    }

    /// Wrong arguments or files.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Usage, error)
    }

    /// Charter, order or quorum says no.
    pub fn refused(error: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Refused, error)
    }

    /// A local file cannot be read or written.
    pub fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(ExitCode::LocalStorage, format!("{}: {error}", path.display()))
    }
}

/// Errors whose every case has the same code.
macro_rules! all_are {
    ($($error:ty => $code:ident),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::new(ExitCode::$code, error)
            }
        })+
    };
}

all_are! {
    RedbFileError => LocalStorage,
    ChunkIndexError => LocalStorage,
    crate::machine_state::AppendError => LocalStorage,
    SealKeyError => LocalStorage,
    protocol::document::CharterError => Refused,
    protocol::signature::EnvelopeError => Usage,
    protocol::armor::ArmorError => Usage,
    protocol::signature::quorum::QuorumError => Refused,
}

impl From<OpenKeyError> for Failure {
    fn from(error: OpenKeyError) -> Self {
        let code = if matches!(error, OpenKeyError::File(_)) { ExitCode::LocalStorage } else { ExitCode::WrongKey };
        Self::new(code, error)
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        let code = if matches!(error, PassphraseError::File(_)) { ExitCode::LocalStorage } else { ExitCode::WrongKey };
        Self::new(code, error)
    }
}

impl From<MeshError> for Failure {
    fn from(error: MeshError) -> Self {
        let code = match error {
            MeshError::Dial { .. } | MeshError::Silent { .. } => ExitCode::SitesUnreachable,
            MeshError::KeyLog | MeshError::Address { .. } | MeshError::Listen { .. } => ExitCode::Usage,
            MeshError::Start(_) | MeshError::Stopped => ExitCode::Unexpected,
        };
        Self::new(code, error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::Refused { .. } => ExitCode::Refused,
            CallError::Unreachable { .. } | CallError::Stream { .. } => ExitCode::SitesUnreachable,
            CallError::Unexpected { .. } => ExitCode::IntegrityFault,
        };
        Self::new(code, error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Http(_) => Self::new(ExitCode::LocalStorage, error),
            StartError::Mesh(error) => error.into(),
            StartError::Driver(_) | StartError::Store(_) => Self::new(ExitCode::LocalStorage, error),
            StartError::NotInCharter { .. } => Self::refused(error),
        }
    }
}

fn survey_code(error: &SurveyError) -> ExitCode {
    use crate::pipeline::survey::SiteCondition;
    match error {
        SurveyError::NobodyThere { sites } => {
            let refused = sites.iter().any(|(_, condition)| matches!(condition, SiteCondition::Refuses(_)));
            if refused { ExitCode::Refused } else { ExitCode::SitesUnreachable }
        }
        SurveyError::NoDatabase { .. } => ExitCode::Usage,
        SurveyError::Fork { .. } => ExitCode::Fork,
    }
}

impl From<SurveyError> for Failure {
    fn from(error: SurveyError) -> Self {
        Self::new(survey_code(&error), error)
    }
}

fn capture_code(error: &CaptureError) -> ExitCode {
    match error {
        CaptureError::Missing { .. } | CaptureError::WrongKind { .. } | CaptureError::NotUtf8 { .. } => ExitCode::Usage,
        CaptureError::Damaged { .. } => ExitCode::IntegrityFault,
        CaptureError::Busy { .. } | CaptureError::Sqlite { .. } | CaptureError::Io { .. } => ExitCode::LocalStorage,
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        use crate::pipeline::pack::PackError;
        let code = match &error {
            BackupError::Survey(error) => survey_code(error),
            BackupError::NotWriter { .. } => ExitCode::Refused,
            BackupError::Pack(PackError::Capture(error)) => capture_code(error),
            BackupError::Pack(PackError::Index(_))
            | BackupError::Index(_)
            | BackupError::State(_)
            | BackupError::File(_) => ExitCode::LocalStorage,
            BackupError::Pack(PackError::Seal(_) | PackError::Stopped)
            | BackupError::Seal(_)
            | BackupError::Worker(_) => ExitCode::Unexpected,
            BackupError::Upload { .. } | BackupError::NotShown { .. } => ExitCode::SitesUnreachable,
            BackupError::Fork { .. } => ExitCode::Fork,
            BackupError::NotDurable(_) => ExitCode::NotDurable,
            BackupError::Quarantined(_) => ExitCode::Quarantined,
        };
        let mut failure = Self::new(code, &error);
        if let BackupError::NotDurable(report) | BackupError::Quarantined(report) = error {
            failure.report = serde_json::to_value(report).ok();
        }
        failure
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Self::new(ExitCode::LocalStorage, error)
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        let code = match &error {
            RestoreError::Survey(error) => survey_code(error),
            RestoreError::NotOrdered { .. } | RestoreError::TooFewShares { refused: true, .. } => ExitCode::Refused,
            RestoreError::NoSnapshot { .. } | RestoreError::TooFewShares { .. } | RestoreError::Fetch(_) => {
                ExitCode::SitesUnreachable
            }
            RestoreError::Root(_) | RestoreError::Contents(_) | RestoreError::Chunk { .. } => ExitCode::IntegrityFault,
            RestoreError::Target(_) => ExitCode::LocalStorage,
        };
        Self::new(code, error)
    }
}
