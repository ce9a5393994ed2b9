//! What counts as suspicious in a database's snapshots, as a person writes it into a charter plan and reads it back.

use protocol::document::Quarantine;
use serde::Deserialize;

use super::retention_plan::{SpanPlan, spans};

/// What stands under `quarantine` of a database.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct QuarantinePlan {
    shrunk_percent: Option<u32>,
    grown_percent: Option<u32>,
    #[serde(default)]
    accepted: Vec<SpanPlan>,
}

impl QuarantinePlan {
    pub(super) fn quarantine(&self) -> Quarantine {
        Quarantine {
            shrunk_percent: self.shrunk_percent,
            grown_percent: self.grown_percent,
            accepted: spans(&self.accepted),
        }
    }
}

/// The bounds in words, one line each.
pub(super) fn words(quarantine: Option<&Quarantine>) -> Vec<String> {
    let by_home = "a snapshot that home finds suspicious is in quarantine".to_owned();
    let Some(quarantine) = quarantine else { return vec![by_home] };
    let shrunk =
        quarantine.shrunk_percent.map(|percent| format!("so is one with less than {percent} % of the stored bytes"));
    let grown =
        quarantine.grown_percent.map(|percent| format!("so is one with more than {percent} % of the stored bytes"));
    let accepted = quarantine.accepted.iter();
    let accepted =
        accepted.map(|span| format!("snapshots {} to {} are accepted: {}", span.first, span.last, span.reason));
    std::iter::once(by_home).chain(shrunk).chain(grown).chain(accepted).collect()
}
