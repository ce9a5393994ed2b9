//! The status as one screen of text.

use std::fmt::Write as _;
use std::time::Duration;

use super::{DatabaseStatus, PeerStatus, Severity, SiteStatus};

/// A span of time in its two largest units: `3 days 4 h`.
#[must_use]
pub fn duration(ms: u64) -> String {
    // Under a minute seconds matter, above they do not.
    let seconds = if ms < 60_000 { ms.div_ceil(1_000) } else { ms / 60_000 * 60 };
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// How long ago a moment was.
#[must_use]
pub fn ago(now_ms: u64, then_ms: u64) -> String {
    format!("{} ago", duration(now_ms.saturating_sub(then_ms)))
}

/// A number of bytes.
#[must_use]
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// One screen.
#[must_use]
pub fn screen(status: &SiteStatus) -> String {
    let mut text = String::new();
    let place = status.jurisdiction.as_deref().unwrap_or("?");
    // Writing to a String does not fail.
    let _ok = writeln!(
        text,
        "{} ({place}) of {}, charter version {}, up {}",
        status.site,
        status.state,
        status.charter_version,
        duration(status.up_ms)
    );
    if status.alarms.is_empty() {
        text.push_str("all is well\n");
    }
    for alarm in &status.alarms {
        let word = match alarm.severity {
            Severity::Alarm => "ALARM",
            Severity::Warning => "warning",
        };
        let _ok = writeln!(text, "{word}: {}\n    next: {}", alarm.text, alarm.next_step);
    }
    let _ok = writeln!(
        text,
        "\n{:20} {:>8} {:>14} {:>7} {:>7} {:>8} {:>7}  worst loss",
        "database", "newest", "age", "shards", "shares", "places", "to lose"
    );
    status.databases.iter().for_each(|database| text.push_str(&database_line(database)));
    let _ok = writeln!(
        text,
        "\n{:20} {:>4} {:>16} {:>16} {:>7} {:>7} {:>7} {:>8}",
        "site", "in", "heard", "proved", "valid", "silent", "faults", "lacking"
    );
    status.sites.iter().for_each(|site| text.push_str(&site_line(site, status.now_ms)));
    text.push_str(&work(status));
    text
}

fn database_line(database: &DatabaseStatus) -> String {
    let Some(newest) = &database.newest else { return format!("{:20} {:>8}\n", database.database, "none") };
    let age = database.age_ms.map_or_else(|| "?".to_owned(), duration);
    format!(
        "{:20} {:>8} {age:>14} {:>7} {:>7} {:>8} {:>7}  {}\n",
        database.database,
        newest.sequence,
        format!("{}/{}", newest.shard_sites.len(), newest.data_shards),
        format!("{}/{}", newest.share_sites.len(), newest.threshold),
        newest.jurisdictions.len(),
        newest.left_to_lose,
        newest.weakest.as_deref().unwrap_or("-"),
    )
}

fn site_line(site: &PeerStatus, now_ms: u64) -> String {
    let when = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| ago(now_ms, at));
    format!(
        "{:20} {:>4} {:>16} {:>16} {:>7} {:>7} {:>7} {:>8}\n",
        site.site,
        site.jurisdiction,
        if site.silent_because.is_some() { "does not answer".to_owned() } else { when(site.heard_ms) },
        when(site.proved_ms),
        site.valid_count,
        site.skip_count,
        site.fault_count,
        site.missing_shard_count + site.missing_share_count,
    )
}

fn work(status: &SiteStatus) -> String {
    let (repair, audit, scrub) = (&status.repair, &status.audit, &status.scrub);
    let eta = repair.eta_ms.map_or_else(String::new, |eta| format!(", {} to go", duration(eta)));
    let missing = match (repair.missing_count, repair.has_looked) {
        (0, true) => "nothing is missing here".to_owned(),
        (0, false) => "still looking through the store".to_owned(),
        (missing, _) => format!("{missing} shards are missing here, {} in work{eta}", repair.in_work_count),
    };
    let find = audit.find_one_percent_ms.map_or_else(|| "-".to_owned(), duration);
    let last = scrub
        .last_pass_ended_ms
        .map_or_else(|| "never to its end yet".to_owned(), |at| format!("last to its end {}", ago(status.now_ms, at)));
    format!(
        "\nrepair  {missing}; {} remade since the start from {}\n\
         audit   {} sites ask each other every {}: the loss of 1 % of a site is seen within {find} (99 %);\n\
         \u{20}       {:.2} % of this site is proven in a month\n\
         scrub   {:.0} % read, {last}\n",
        repair.mended_count,
        bytes(repair.fetched_bytes),
        audit.auditor_count + 1,
        duration(audit.interval_ms),
        f64::from(u32::try_from(audit.proven_in_a_month_ppm).unwrap_or(u32::MAX)) / 10_000.0,
        scrub.position * 100.0,
    )
}
