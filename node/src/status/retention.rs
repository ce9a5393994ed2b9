//! What is let go, and what is about to be.

use protocol::host::Machines;
use protocol::identifier::DatabaseName;
use protocol::retention::Pending;
use protocol::signature::Signed;
use serde::Serialize;

use super::alarms::{Alarm, warning};
use super::text::duration;
use crate::exit_code::ExitCode;

/// Retention of one database.
#[derive(Clone, Debug, Serialize)]
pub struct RetentionStatus {
    /// Snapshots that the sites have let go.
    pub let_go_count: u64,
    /// Of these, snapshots of which this site keeps nothing any more but the manifest.
    pub discarded_count: u64,
    /// Later charters by whose rules nothing goes yet, the first one first.
    pub pending: Vec<PendingCharter>,
}

/// Rules that will count once the delay is over.
#[derive(Clone, Debug, Serialize)]
pub struct PendingCharter {
    /// The charter version.
    pub version: u64,
    /// When they begin to count here, in milliseconds since 1970.
    pub settles_ms: u64,
    /// It names snapshots to be deleted before their time.
    pub deletes: bool,
    /// An official has vetoed it: it never settles.
    pub is_vetoed: bool,
}

pub(super) fn of(database: &DatabaseName, machines: &Machines) -> RetentionStatus {
    let history = machines.catalog.history(database);
    let deletes = |version: u64| {
        let charter = machines.catalog.charters().version(version).map(Signed::document);
        let rules = charter.and_then(|charter| charter.database(database)?.retention.as_ref());
        rules.is_some_and(|rules| !rules.deletions.is_empty())
    };
    let pending = machines.retention.pending_charters(&machines.catalog, database).into_iter();
    let pending = pending.map(|Pending { version, settles, is_vetoed }| PendingCharter {
        version,
        settles_ms: settles.unix_ms(),
        deletes: deletes(version),
        is_vetoed,
    });
    RetentionStatus {
        let_go_count: history.map_or(0, |history| history.agreed_gone().count()),
        discarded_count: history.map_or(0, |history| history.discarded().count()),
        pending: pending.collect(),
    }
}

/// A charter that keeps by other rules is news for every official, as long as nothing goes by it; deletions first.
pub(super) fn alarms_of(database: &str, retention: &RetentionStatus, now_ms: u64) -> Vec<Alarm> {
    let mut pending: Vec<&PendingCharter> = retention.pending.iter().collect();
    pending.sort_by_key(|charter| (charter.is_vetoed, !charter.deletes));
    pending.into_iter().map(|charter| alarm_of(database, charter, now_ms)).collect()
}

fn alarm_of(database: &str, charter: &PendingCharter, now_ms: u64) -> Alarm {
    let PendingCharter { version, settles_ms, deletes, is_vetoed } = charter;
    if *is_vetoed {
        return warning(
            "retention-vetoed",
            ExitCode::Refused,
            format!("{database}: an official vetoes what charter version {version} lets go: nothing goes by it"),
            "ask the officials: they decide again with another charter",
        );
    }
    let what =
        if *deletes { "names snapshots to be deleted before their time" } else { "keeps snapshots by other rules" };
    let left = duration(settles_ms.saturating_sub(now_ms));
    warning(
        "retention-pending",
        ExitCode::Refused,
        format!("{database}: charter version {version} {what}; nothing goes by it for {left}"),
        format!(
            "compare 'legation charter show' with what was decided; any one official can stop it: legation charter veto \
             --version {version}"
        ),
    )
}
