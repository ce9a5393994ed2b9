//! Unit tests of the status: words, and which alarm is which.

use super::alarms;
use super::text::{duration, screen};
use super::*;

fn snapshot(sequence: u64, shards: usize, is_durable: bool) -> SnapshotStatus {
    let names: Vec<String> = ["bern", "lima", "oslo", "rome", "tokyo"].map(str::to_owned).into();
    SnapshotStatus {
        sequence,
        is_durable,
        is_restorable: shards >= 3,
        shard_sites: names.iter().take(shards).cloned().collect(),
        data_shards: 3,
        share_sites: names,
        threshold: 3,
        jurisdictions: vec!["CH".to_owned(), "IT".to_owned()],
        left_to_lose: shards.saturating_sub(3),
        weakest: Some("jurisdiction CH".to_owned()),
        readers: Vec::new(),
        readers_count: 4,
        takers: Vec::new(),
        takers_count: 3,
    }
}

fn well() -> SiteStatus {
    let peer = |name: &str| PeerStatus {
        site: name.to_owned(),
        jurisdiction: "CH".to_owned(),
        heard_ms: Some(99_990_000),
        silent_because: None,
        proved_ms: Some(99_950_000),
        valid_count: 10,
        skip_count: 0,
        fault_count: 0,
        missing_shard_count: 0,
        missing_share_count: 0,
        proven_lost_count: 0,
    };
    SiteStatus {
        site: "oslo".to_owned(),
        jurisdiction: Some("NO".to_owned()),
        state: "Ruritania".to_owned(),
        charter_version: 2,
        now_ms: 100_000_000,
        up_ms: 90_000_000,
        alarms: Vec::new(),
        agreements: Vec::new(),
        handovers: Vec::new(),
        databases: vec![DatabaseStatus {
            database: "land-register".to_owned(),
            newest: Some(snapshot(7, 5, true)),
            weakest: Some(snapshot(7, 5, true)),
            age_ms: Some(3_600_000),
            age_max_ms: 26 * 3_600_000,
            snapshot_count: 7,
            durable_count: 7,
            stored_bytes: 600 << 20,
            stripe_count: 40,
            short_stripe_count: 0,
            lost_stripe_count: 0,
            reshare_due_count: 0,
            retention: RetentionStatus { let_go_count: 0, discarded_count: 0, pending: Vec::new() },
            quarantine: QuarantineStatus { newest_accepted: Some(7), ..QuarantineStatus::default() },
            is_forked: false,
        }],
        sites: vec![peer("bern"), peer("lima")],
        repair: RepairStatus {
            missing_count: 0,
            recovered_share_count: 0,
            in_work_count: 0,
            eta_ms: None,
            mended_count: 0,
            failed_count: 0,
            fetched_bytes: 0,
            written_bytes: 0,
            has_looked: true,
        },
        audit: AuditStatus {
            auditor_count: 2,
            interval_ms: 60_000,
            find_one_percent_ms: Some(13_800_000),
            proven_in_a_month_ppm: 2_571,
        },
        scrub: ScrubStatus { position: 0.25, rotten_count: 0, last_pass_ended_ms: None },
        free_bytes: Some(1 << 40),
    }
}

fn found(change: impl FnOnce(&mut SiteStatus)) -> Vec<(&'static str, Severity, u8)> {
    let mut status = well();
    change(&mut status);
    let found = alarms::of(&status, true);
    assert!(found.iter().all(|alarm| !alarm.text.is_empty() && !alarm.next_step.is_empty()));
    found.into_iter().map(|alarm| (alarm.code, alarm.severity, alarm.exit_code.number())).collect()
}

#[test]
fn each_trouble_has_its_own_alarm() {
    use Severity::{Alarm, Warning};
    assert_eq!(found(|_| {}), []);
    assert_eq!(found(|status| status.databases[0].newest = None), [("no-snapshot", Warning, 4)]);
    let newest = |shards, durable| {
        move |status: &mut SiteStatus| status.databases[0].newest = Some(snapshot(7, shards, durable))
    };
    assert_eq!(found(newest(3, false)), [("not-durable", Alarm, 4)]);
    assert_eq!(found(newest(2, false)), [("not-restorable", Alarm, 4)]);
    assert_eq!(found(|status| status.databases[0].weakest = Some(snapshot(3, 3, false))), [("not-durable", Alarm, 4)]);
    assert_eq!(found(|status| status.databases[0].age_ms = Some(27 * 3_600_000)), [("late", Alarm, 4)]);
    assert_eq!(found(|status| status.databases[0].age_ms = None), [("no-receipt", Warning, 4)]);
    assert_eq!(found(|status| status.databases[0].is_forked = true), [("fork", Alarm, 7)]);
    assert_eq!(found(|status| status.databases[0].short_stripe_count = 1), [("short", Warning, 4)]);
    assert_eq!(found(|status| status.databases[0].reshare_due_count = 3), [("old-shares", Warning, 4)]);
    assert_eq!(found(|status| status.repair.missing_count = 3), [("missing-here", Warning, 6)]);
    assert_eq!(found(|status| status.scrub.rotten_count = 1), [("rot", Warning, 6)]);
    assert_eq!(found(|status| status.free_bytes = Some(1 << 20)), [("disk-nearly-full", Warning, 8)]);
    assert_eq!(found(|status| status.sites[0].proven_lost_count = 1), [("proven-loss", Alarm, 6)]);
    assert_eq!(found(|status| status.sites[0].missing_shard_count = 1), [("missing-there", Warning, 4)]);
    let silent =
        |site: &mut PeerStatus, since| (site.silent_because, site.heard_ms) = (Some("refused".to_owned()), since);
    assert_eq!(found(|status| silent(&mut status.sites[0], Some(99_000_000))), [("silent", Warning, 5)]);
    assert_eq!(found(|status| silent(&mut status.sites[0], Some(99_900_000))), [], "a short silence is none");
    let all_silent = |status: &mut SiteStatus| status.sites.iter_mut().for_each(|site| silent(site, None));
    assert_eq!(found(all_silent), [("alone", Alarm, 5), ("silent", Warning, 5), ("silent", Warning, 5)]);
    let unproven = |status: &mut SiteStatus| {
        (status.sites[1].skip_count, status.sites[1].proved_ms) = (40, Some(1_000));
    };
    assert_eq!(found(unproven), [("unproven", Warning, 6)]);
    let status = well();
    assert_eq!(alarms::of(&status, false).first().unwrap().code, "not-a-member");
}

#[test]
fn the_worst_comes_first() {
    let both = found(|status| {
        status.repair.missing_count = 3;
        status.databases[0].is_forked = true;
    });
    assert_eq!(both.first().unwrap().0, "fork");
}

#[test]
fn one_screen() {
    let text = screen(&well());
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[0], "oslo (NO) of Ruritania, charter version 2, up 1day 1h");
    assert_eq!(rows[1], "all is well");
    assert!(
        text.contains("land-register               7             1h     5/3     5/3        2       2  jurisdiction CH"),
        "{text}"
    );
    assert!(
        text.contains(
            "the loss of 1 % of a site is seen within 3h 50m (99 %);\n        0.26 % of this site is proven in a month"
        ),
        "{text}"
    );
    assert!(rows.iter().all(|row| row.len() <= 120) && rows.len() <= 40, "{text}");
    assert_eq!([500, 61_000, 7_500_000].map(duration), ["1s", "1m", "2h 5m"]);
}
