//! Why a command failed: a code for programs, words for people.

use std::io::Write as _;
use std::process::ExitCode;

use crate::scenario::problem::Problems;

/// A failed command. The codes are those of `docs/operations/exit-codes.md`.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
    report: Option<serde_json::Value>,
}

impl Failure {
    /// 1: nobody foresaw it.
    pub(super) fn unexpected(error: impl std::fmt::Display) -> Self {
        Self { code: 1, message: error.to_string(), report: None }
    }

    /// 2: the command or the scenario is wrong.
    pub(super) fn usage(error: impl std::fmt::Display) -> Self {
        Self { code: 2, message: error.to_string(), report: None }
    }

    /// 3: what is asked cannot be reached.
    pub(super) fn no_plan(message: String, report: serde_json::Value) -> Self {
        Self { code: 3, message, report: Some(report) }
    }

    /// 6: what must hold did not.
    pub(super) fn broken(message: impl std::fmt::Display) -> Self {
        Self { code: 6, message: message.to_string(), report: None }
    }

    /// 8: a file cannot be read or written.
    pub(super) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self { code: 8, message: format!("{}: {error}", path.display()), report: None }
    }

    /// 2: a scenario makes no sense; `name` says which.
    pub(super) fn scenario(name: &str, problems: &Problems) -> Self {
        Self::usage(format!("{name} is no scenario:\n{problems}"))
    }

    /// Says so, and returns the code.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        // Nobody is left to tell if the stream is closed.
        let _closed = if json {
            let value = serde_json::json!({ "error": self.message, "exit_code": self.code, "report": self.report });
            writeln!(std::io::stdout(), "{value}")
        } else {
            writeln!(std::io::stderr(), "legation-sim: {}", self.message)
        };
        ExitCode::from(self.code)
    }
}
