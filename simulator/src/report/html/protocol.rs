//! What a run of the real machines came to.

use maud::{Markup, html};

use crate::report::protocol::ProtocolRun;
use crate::report::{number, words};

pub(super) fn section(run: &ProtocolRun) -> Markup {
    let broken = run.invariants.iter().filter(|invariant| invariant.broken.is_some()).count();
    let unordered = run.readers.iter().filter(|reader| !reader.by_order).count();
    let lost: u64 = run.snapshots.iter().map(|snapshots| snapshots.lost).sum();
    let good = broken == 0 && unordered == 0 && lost == 0;
    html! {
        div class={ "status " @if good { "met" } @else { "missed" } } {
            p { (verdict(broken, unordered, lost)) }
            p {
                (number::hours(run.hours)) " of virtual time, " (count(run.messages)) " messages, "
                (number::bytes(number::whole(run.bytes), 3)) "."
            }
        }
        (phases(run))
        (snapshots(run))
        (restores(run))
        (readers(run))
        (invariants(run))
        h2 { "To get the same again" }
        dl.terms { dt { "Seed" } dd { (run.seed) } dt { "Trace" } dd { code { (run.trace_digest) } } }
    }
}

/// What matters most, in a sentence.
pub(crate) fn verdict(broken: usize, unordered: usize, lost: u64) -> String {
    let parts = [
        (broken, format!("{} broken", words::counted(broken, "invariant"))),
        (unordered, format!("{} could read without an order", words::counted(unordered, "coalition"))),
        (
            usize::try_from(lost).unwrap_or(usize::MAX),
            format!("{} lost", words::counted(usize::try_from(lost).unwrap_or(usize::MAX), "durable snapshot")),
        ),
    ];
    let said: Vec<String> = parts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
    if said.is_empty() {
        return "Every invariant held; no durable snapshot was lost; nobody could read without an order.".to_owned();
    }
    format!("{}.", said.join("; "))
}

fn count(count: u64) -> String {
    words::thousands(usize::try_from(count).unwrap_or(usize::MAX))
}

fn hours(value: Option<f64>) -> String {
    value.map_or("\u{2013}".to_owned(), number::hours)
}

fn phases(run: &ProtocolRun) -> Markup {
    html! {
        @if !run.phases.is_empty() {
            h2 { "What happened" }
            table {
                thead { tr { th.number { "After" } th { "" } th.number { "Converged after" } } }
                tbody {
                    @for phase in &run.phases {
                        tr {
                            td.number { (number::hours(phase.from_hours)) }
                            td { (phase.what) }
                            td.number { (hours(phase.converged_after_hours)) }
                        }
                    }
                }
            }
        }
    }
}

fn snapshots(run: &ProtocolRun) -> Markup {
    html! {
        @if !run.snapshots.is_empty() {
            h2 { "Snapshots" }
            table {
                thead {
                    tr { th { "Database" } th.number { "Begun" } th.number { "Durable" } th.number { "Half durable after" } th.number { "Lost" } }
                }
                tbody {
                    @for snapshots in &run.snapshots {
                        tr {
                            th { (snapshots.database) }
                            td.number { (count(snapshots.begun)) }
                            td.number { (count(snapshots.durable)) }
                            td.number { (hours(snapshots.durable_after_hours)) }
                            td.number { @if snapshots.lost > 0 { span.missed { (count(snapshots.lost)) } } @else { "0" } }
                        }
                    }
                }
            }
        }
    }
}

fn restores(run: &ProtocolRun) -> Markup {
    html! {
        @if !run.restores.is_empty() {
            h2 { "Restores" }
            table {
                thead { tr { th { "Database" } th { "At" } th.number { "Took" } th.number { "Lacks" } th { "" } } }
                tbody {
                    @for restored in &run.restores {
                        tr {
                            th { (restored.database) }
                            td { (restored.place) }
                            td.number { (hours(restored.took_hours)) }
                            td.number { (hours(restored.gap_hours)) }
                            td { @if let Some(why) = &restored.why_not { span.missed { "failed" } ": " (why) } }
                        }
                    }
                }
            }
        }
    }
}

fn readers(run: &ProtocolRun) -> Markup {
    html! {
        h2 { "Who could read" }
        @if run.readers.is_empty() {
            p { "Nobody: at no time did any coalition hold enough." }
        } @else {
            table {
                thead { tr { th { "Who" } th { "What" } th.number { "Since" } th { "By order" } } }
                tbody {
                    @for reader in &run.readers {
                        tr {
                            th { (reader.who) }
                            td { (reader.what) }
                            td.number { @if let Some(hours) = reader.since_hours { (number::hours(hours)) } }
                            td { @if reader.by_order { "yes" } @else { span.missed { "no" } } }
                        }
                    }
                }
            }
        }
    }
}

fn invariants(run: &ProtocolRun) -> Markup {
    html! {
        @if !run.invariants.is_empty() {
            h2 { "Invariants" }
            table {
                thead { tr { th { "" } th.number { "Checked" } th { "" } } }
                tbody {
                    @for invariant in &run.invariants {
                        tr {
                            th { (invariant.name) }
                            td.number { (count(invariant.checks)) }
                            td {
                                @if let Some(broken) = &invariant.broken { span.missed { "broken" } ": " (broken) }
                                @else { span.met { "held" } }
                            }
                        }
                    }
                }
            }
        }
    }
}
