//! Agreements that end, as certificates do.

use protocol::document::{Charter, Site};
use serde::Serialize;

use super::alarms::{Alarm, alarm, warning};
use crate::exit_code::ExitCode;

const DAY_MS: u64 = 86_400_000;
/// So long before the end there is a warning: a treaty takes its time.
const WARNING_DAYS: u64 = 180;
/// So long before it there is an alarm: a new site must be admitted and filled.
const ALARM_DAYS: u64 = 30;

/// An agreement that ends.
#[derive(Clone, Debug, Serialize)]
pub struct AgreementStatus {
    /// The site.
    pub site: String,
    /// The treaty, contract or decision.
    pub reference: String,
    /// When it ends.
    pub expires_ms: u64,
}

/// Those of a charter's active sites that end, the first one first.
pub(super) fn of(charter: &Charter) -> Vec<AgreementStatus> {
    let ends = |site: &Site| {
        let agreement = site.agreement.as_ref()?;
        let (site, reference) = (site.name.to_string(), agreement.reference.clone());
        Some(AgreementStatus { site, reference, expires_ms: agreement.expires?.unix_ms() })
    };
    let mut all: Vec<AgreementStatus> = charter.active_sites().filter_map(ends).collect();
    all.sort_by_key(|one| one.expires_ms);
    all
}

/// What to say of it now.
pub(super) fn alarm_of(agreement: &AgreementStatus, now_ms: u64) -> Option<Alarm> {
    let AgreementStatus { site, reference, expires_ms } = agreement;
    let days_left = expires_ms.saturating_sub(now_ms) / DAY_MS;
    let text = if *expires_ms <= now_ms {
        format!("the agreement for {site} has ended: {reference}")
    } else if days_left < WARNING_DAYS {
        format!("the agreement for {site} ends in {days_left} days: {reference}")
    } else {
        return None;
    };
    let next_step =
        "renew it and write the new end into the charter, or name a site to take its place: 'legation site expel'";
    let raise = if days_left < ALARM_DAYS { alarm } else { warning };
    let raised = raise("agreement-ends", ExitCode::Refused, text, next_step);
    Some(Alarm { subject: site.clone(), ..raised })
}

#[cfg(test)]
mod tests {
    use super::{AgreementStatus, DAY_MS, alarm_of};
    use crate::status::Severity;

    #[test]
    fn it_warns_early_and_raises_the_alarm_late() {
        let agreement =
            AgreementStatus { site: "lu-vault".to_owned(), reference: "treaty".to_owned(), expires_ms: 1_000 * DAY_MS };
        let at = |day: u64| alarm_of(&agreement, day * DAY_MS).map(|alarm| (alarm.severity, alarm.text));
        assert_eq!(at(820), None, "180 days are left");
        let ends = |days| format!("the agreement for lu-vault ends in {days} days: treaty");
        assert_eq!(at(821), Some((Severity::Warning, ends(179))));
        assert_eq!(at(970), Some((Severity::Warning, ends(30))));
        assert_eq!(at(971), Some((Severity::Alarm, ends(29))));
        let ended = "the agreement for lu-vault has ended: treaty".to_owned();
        assert_eq!(at(1_000), Some((Severity::Alarm, ended.clone())));
        assert_eq!(at(5_000), Some((Severity::Alarm, ended)));
    }
}
