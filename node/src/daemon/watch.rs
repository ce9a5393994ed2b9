//! Says in the log, at once and once, what is wrong from now on and what is well again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::http::Watcher;
use crate::clock::Monotonic;
use crate::status::{Alarm, Severity};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(10);
/// Looking takes at most this part of the time: the ledger of many snapshots costs something.
const SHARE_OF_TIME: u64 = 20;

/// Looks for ever.
pub(super) async fn run(watcher: Watcher) {
    let mut known: BTreeMap<String, Alarm> = BTreeMap::new();
    loop {
        let (looker, clock) = (watcher.clone(), Monotonic::start());
        let looked = tokio::task::spawn_blocking(move || looker.look().alarms).await;
        let Ok(alarms) = looked else { return };
        let now: BTreeMap<String, Alarm> = alarms.into_iter().map(|alarm| (key(&alarm), alarm)).collect();
        for alarm in now.iter().filter(|(key, _alarm)| !known.contains_key(*key)).map(|(_key, alarm)| alarm) {
            let Alarm { code, text, next_step, .. } = alarm;
            match alarm.severity {
                Severity::Alarm => tracing::error!(code, next_step, "ALARM: {text}"),
                Severity::Warning => tracing::warn!(code, next_step, "{text}"),
            }
        }
        for alarm in known.iter().filter(|(key, _alarm)| !now.contains_key(*key)).map(|(_key, alarm)| alarm) {
            tracing::info!(code = alarm.code, subject = alarm.subject, "no longer so");
        }
        known = now;
        let pause = PAUSE.max(Duration::from_millis(clock.elapsed_ms().saturating_mul(SHARE_OF_TIME)));
        tokio::time::sleep(pause).await;
    }
}

/// What makes an alarm the same one: counts and times in its text change all the while.
fn key(alarm: &Alarm) -> String {
    format!("{} {}", alarm.code, alarm.subject)
}
