//! Two outcomes side by side.

use maud::{Markup, html};

use super::set;
use crate::analysis::compare::{Comparison, Contrast};
use crate::report::text;

pub(super) fn section(comparison: &Comparison) -> Markup {
    let [first, second] = &comparison.names;
    html! {
        h2 { "Figures" }
        table {
            thead {
                tr { th { "" } th.number { (first) } th.number { (second) } th.number { "Ratio" } th { "" } }
            }
            tbody {
                @for row in &comparison.rows {
                    @let [one, other, ratio] = text::cells(row);
                    tr {
                        th { (row.figure) }
                        td.number { (set(&one)) }
                        td.number { (set(&other)) }
                        td.number { (set(&ratio)) }
                        td { span class=(class(row.contrast)) { (text::contrast(row.contrast)) } }
                    }
                }
            }
        }
        p.note { (text::CONTRAST_NOTE) @if comparison.common_seed { " " (text::COMMON_SEED_NOTE) } }
    }
}

const fn class(contrast: Contrast) -> &'static str {
    match contrast {
        Contrast::Equal => "",
        Contrast::Open => "open",
        Contrast::SecondLower => "met",
        Contrast::SecondHigher => "missed",
    }
}
