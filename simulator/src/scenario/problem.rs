//! What is wrong with a scenario file: the line, the field, and what would be right.

use std::fmt;

use toml::de::{DeTable, DeValue};

/// One step into the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A key of a table.
    Key(&'static str),
    /// An entry of a list, from 0.
    Entry(usize),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; absent if the field is not there at all.
    pub line: Option<usize>,
    /// The field, such as `sites[3].renewal` (entries from 1).
    pub field: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Why a file is no scenario: all that is wrong with it, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problems {
    /// It is not TOML of this form; the message has line, column and the text.
    #[error("{0}")]
    Form(String),
    /// It says things that make no sense.
    #[error("{}", lines(.0))]
    Sense(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Gathers problems, and finds the line of each.
pub(super) struct Gathered<'a> {
    text: &'a str,
    document: Option<toml::Spanned<DeTable<'a>>>,
    problems: Vec<Problem>,
    left_out: usize,
}

/// The most problems that are listed.
const LISTED_MAX: usize = 100;

impl<'a> Gathered<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, document: DeTable::parse(text).ok(), problems: Vec::new(), left_out: 0 }
    }

    pub(super) fn add(&mut self, path: &[Step], message: impl fmt::Display) {
        if self.problems.len() >= LISTED_MAX {
            self.left_out += 1;
            return;
        }
        let document = self.document.as_ref().map(toml::Spanned::get_ref);
        let (line, field) = (document.and_then(|document| line_of(self.text, document, path)), field_of(path));
        self.problems.push(Problem { line, field, message: message.to_string() });
    }

    pub(super) fn finish(mut self) -> Result<(), Problems> {
        self.problems.sort_by_key(|problem| problem.line);
        if self.left_out > 0 {
            let message = format!("{} more problems are not listed", self.left_out);
            self.problems.push(Problem { line: None, field: "and".to_owned(), message });
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Problems::Sense(self.problems)) }
    }
}

fn field_of(path: &[Step]) -> String {
    let mut field = String::new();
    for step in path {
        match step {
            Step::Key(key) if field.is_empty() => field.push_str(key),
            Step::Key(key) => field.extend([".", key]),
            Step::Entry(at) => field.push_str(&format!("[{}]", at + 1)),
        }
    }
    field
}

/// The line of the deepest step that is in the file.
fn line_of(text: &str, document: &DeTable<'_>, path: &[Step]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    let mut value = document.get(*key)?;
    let mut start = value.span().start;
    for step in rest {
        let next = match (step, value.get_ref()) {
            (Step::Key(key), DeValue::Table(table)) => table.get(*key),
            (Step::Entry(at), DeValue::Array(entries)) => entries.get(*at),
            _ => None,
        };
        let Some(next) = next else { break };
        value = next;
        start = value.span().start;
    }
    Some(text.get(..start)?.matches('\n').count() + 1)
}
