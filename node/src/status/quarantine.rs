//! Snapshots that look as if their register was damaged.

use std::collections::BTreeMap;

use protocol::catalog::{History, Reasons};
use serde::Serialize;

use super::alarms::{Alarm, alarm};
use crate::exit_code::ExitCode;

/// Those that are shown.
const SHOWN_MAX: usize = 16;

/// Quarantine of one database.
#[derive(Clone, Debug, Default, Serialize)]
pub struct QuarantineStatus {
    /// The newest snapshot that is not in quarantine.
    pub newest_accepted: Option<u64>,
    /// Snapshots in quarantine that are kept.
    pub count: u64,
    /// The newest of them, the newest first.
    pub newest: Vec<QuarantinedSnapshot>,
}

/// One of them.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantinedSnapshot {
    /// Which.
    pub sequence: u64,
    /// Why.
    pub reasons: Vec<String>,
}

pub(super) fn of(history: &History, quarantined: &BTreeMap<u64, Reasons>) -> QuarantineStatus {
    let kept = || quarantined.iter().rev().filter(|(sequence, _reasons)| !history.is_let_go(**sequence));
    let newest = kept().take(SHOWN_MAX);
    QuarantineStatus {
        newest_accepted: (1..=history.head_sequence())
            .rev()
            .find(|sequence| !quarantined.contains_key(sequence) && !history.is_let_go(*sequence)),
        count: kept().count() as u64,
        newest: newest
            .map(|(sequence, reasons)| QuarantinedSnapshot { sequence: *sequence, reasons: reasons.words() })
            .collect(),
    }
}

/// As long as the newest snapshot is in quarantine.
pub(super) fn alarm_of(database: &str, quarantine: &QuarantineStatus) -> Option<Alarm> {
    let QuarantinedSnapshot { sequence, reasons } = quarantine.newest.first()?;
    if quarantine.newest_accepted.is_some_and(|accepted| accepted > *sequence) {
        return None;
    }
    let good = quarantine.newest_accepted.map_or_else(
        || "there is no good one".to_owned(),
        |good| format!("the last good one is {good}, and nothing goes before somebody has looked"),
    );
    Some(alarm(
        "quarantine",
        ExitCode::Quarantined,
        format!("{database}: snapshot {sequence} looks as if the register was damaged: {}; {good}", reasons.join("; ")),
        "look at the register at home: can it be read, is it whole? If the change was meant, run the next backup with \
         --expect-change, or have the officials accept the snapshot by charter (quarantine.accepted); if not, switch off what \
         writes to it and restore",
    ))
}
