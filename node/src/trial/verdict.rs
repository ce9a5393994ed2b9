//! What a trial measured, what was promised, and whether it held.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::{Failure, Output};
use crate::exit_code::ExitCode;

/// Figures and promises of one trial.
#[derive(Default)]
pub(super) struct Verdict {
    figures: Map<String, Value>,
    promises: Vec<(&'static str, bool)>,
}

impl Verdict {
    /// Notes a figure.
    pub(super) fn figure(&mut self, name: &str, value: impl Serialize) {
        // What cannot be shown is shown as nothing.
        self.figures.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
    }

    /// Notes whether a promise held.
    pub(super) fn promise(&mut self, name: &'static str, held: bool) {
        self.promises.push((name, held));
    }

    /// Prints all of it.
    ///
    /// # Errors
    /// A promise did not hold, or there was none; the failure names it and carries the figures.
    pub(super) fn conclude(self, output: &Output) -> Result<(), Failure> {
        let broken: Vec<&str> = self.promises.iter().filter(|(_name, held)| !held).map(|(name, _held)| *name).collect();
        let held: Vec<&str> = self.promises.iter().filter(|(_name, held)| *held).map(|(name, _held)| *name).collect();
        let value = json!({ "figures": self.figures, "held": held, "broken_promises": broken });
        let words = self.words();
        if broken.is_empty() && !held.is_empty() {
            output.result(&value, || words);
            return Ok(());
        }
        let mut failure =
            Failure::new(ExitCode::IntegrityFault, format!("{words}\n\nBROKEN PROMISE: {}", broken.join("; ")));
        failure.report = Some(value);
        Err(failure)
    }

    fn words(&self) -> String {
        let width = self.figures.keys().map(String::len).max().unwrap_or_default();
        let figures = self.figures.iter().map(|(name, value)| format!("{:width$}  {value}", name.replace('_', " ")));
        let promise = |(name, held): &(&str, bool)| format!("{}  {name}", if *held { "held  " } else { "BROKEN" });
        figures.chain(self.promises.iter().map(promise)).collect::<Vec<_>>().join("\n")
    }
}

/// For people: two decimals are enough.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::Verdict;
    use crate::cli::Output;
    use crate::exit_code::ExitCode;

    #[test]
    fn one_broken_promise_is_named_and_fails() {
        let output = Output::new(true);
        let mut verdict = Verdict::default();
        verdict.promise("it comes back", true);
        assert!(verdict.conclude(&output).is_ok());
        let mut verdict = Verdict::default();
        verdict.promise("it comes back", true);
        verdict.promise("nothing is lost", false);
        let failure = verdict.conclude(&output).unwrap_err();
        assert_eq!(failure.code, ExitCode::IntegrityFault);
        assert!(failure.message.contains("BROKEN PROMISE: nothing is lost"));
        assert!(Verdict::default().conclude(&output).is_err(), "a trial without promises proves nothing");
    }
}
