//! What people and programs read: text or one JSON object on standard output.

use std::io::Write as _;

use super::Failure;

/// Where results go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    json: bool,
    to_stderr: bool,
}

impl Output {
    /// Text, or JSON if asked for.
    #[must_use]
    pub const fn new(json: bool) -> Self {
        Self { json, to_stderr: false }
    }

    /// The same on standard error, for a command whose standard output is data.
    #[must_use]
    pub const fn beside_data(self) -> Self {
        Self { to_stderr: true, ..self }
    }

    /// Whether the reader is a program.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Prints a result: `text` for people, `value` for programs.
    pub fn result(&self, value: &serde_json::Value, text: impl FnOnce() -> String) {
        let line = if self.json { value.to_string() } else { text() };
        self.print(line.trim_end());
    }

    /// Prints an error and what is known about it.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let mut value = serde_json::json!({ "error": failure.message, "exit_code": failure.code.number() });
            if let (Some(object), Some(report)) = (value.as_object_mut(), &failure.report) {
                object.insert("report".to_owned(), report.clone());
            }
            self.print(&value.to_string());
        } else {
            // Nobody left to tell if standard error is closed.
            let _closed = writeln!(std::io::stderr(), "legation: {}", failure.message);
        }
    }

    fn print(&self, text: &str) {
        // A reader that went away has what it wanted.
        let _closed = if self.to_stderr {
            writeln!(std::io::stderr(), "{text}")
        } else {
            writeln!(std::io::stdout(), "{text}")
        };
    }
}
