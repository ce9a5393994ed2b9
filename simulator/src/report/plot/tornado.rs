//! What each factor does to each figure when it is halved and doubled: a row of bars per factor.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::{Area, FAINT, GREY, INK, PlotError, TEXT, WIDTH, colour, shortened, style, svg};
use crate::analysis::figures::{Figure, Figures, ranked};
use crate::analysis::sensitivity::{Sensitivity, Swing};
use crate::report::number::{number, trimmed};

/// Factors that are shown.
const ROWS_MAX: usize = 14;
const ROW: i32 = 54;
const TOP: i32 = 96;
const LABELS: i32 = 520;
const GAP: i32 = 36;
/// The widest bar goes to this factor at least, and at most to the second.
const REACH: (f64, f64) = (2.0, 100.0);

/// The plot; `None` where nothing was varied, or nothing was seen.
pub(crate) fn tornado(sensitivity: &Sensitivity) -> Result<Option<String>, PlotError> {
    let shown: Vec<&Swing> = sensitivity.swings.iter().take(ROWS_MAX).collect();
    if !shown.iter().any(|swing| Figure::ALL.iter().any(|figure| is_seen(&sensitivity.base, swing, *figure))) {
        return Ok(None);
    }
    let rows = i32::try_from(shown.len()).unwrap_or(0);
    let height = TOP + ROW * rows + 16;
    let drawn = svg(u32::try_from(height).unwrap_or(0), |area| {
        let width = (i32::try_from(WIDTH).unwrap_or(0) - LABELS - 3 * GAP) / 3;
        for (row, swing) in (0..).zip(&shown) {
            let label = shortened(&swing.factor, 38);
            let middle = TOP + ROW * row + ROW / 2;
            area.draw(&Text::new(label, (LABELS - 18, middle), style(INK, TEXT - 2.0, HPos::Right, VPos::Center)))?;
        }
        for (column, figure) in (0..).zip(Figure::ALL) {
            let left = LABELS + GAP / 2 + (width + GAP) * column;
            draw_column(area, (left, left + width), figure, &sensitivity.base, &shown)?;
        }
        Ok(())
    })?;
    Ok(Some(drawn))
}

/// Whether the figure is above zero for any of the three.
fn is_seen(base: &Figures, swing: &Swing, figure: Figure) -> bool {
    [base, &swing.halved, &swing.doubled].iter().any(|figures| figures.get(figure).estimate > 0.0)
}

fn draw_column(
    area: &Area<'_>,
    (left, right): (i32, i32),
    figure: Figure,
    base: &Figures,
    shown: &[&Swing],
) -> Result<(), PlotError> {
    let at = Figure::ALL.iter().position(|other| *other == figure).unwrap_or(0);
    let hue = colour(at);
    let middle = i32::midpoint(left, right);
    let bottom = TOP + ROW * i32::try_from(shown.len()).unwrap_or(0);
    area.draw(&Text::new(figure.name(), (middle, 4), style(hue, TEXT + 2.0, HPos::Center, VPos::Top)))?;
    let ratios = |swing: &Swing| {
        let of = |figures: &Figures| ranked(figures.get(figure)) / ranked(base.get(figure));
        (of(&swing.halved), of(&swing.doubled))
    };
    let is_known = |ratio: f64| ratio.is_finite() && ratio > 0.0;
    let known = shown.iter().map(|swing| ratios(swing)).filter(|(half, double)| is_known(*half) && is_known(*double));
    let reach = known.flat_map(|(half, double)| [half, double]).map(|ratio| ratio.max(1.0 / ratio));
    let reach = reach.fold(REACH.0, f64::max).min(REACH.1);
    if !shown.iter().any(|swing| is_seen(base, swing, figure)) {
        let style = style(GREY, TEXT - 3.0, HPos::Center, VPos::Center);
        area.draw(&Text::new("not seen", (middle, i32::midpoint(TOP, bottom)), style))?;
        return Ok(());
    }
    let place = |ratio: f64| {
        let share = libm::log(ratio.clamp(1.0 / reach, reach)) / libm::log(reach);
        middle + pixels(share * f64::from(right - left) / 2.0)
    };
    let limit = trimmed(&number(reach, 2));
    let ends = [
        (1.0 / reach, format!("\u{f7}{limit}"), HPos::Left),
        (1.0, "1".to_owned(), HPos::Center),
        (reach, format!("\u{d7}{limit}"), HPos::Right),
    ];
    for (ratio, text, anchor) in ends {
        let x = place(ratio);
        area.draw(&Text::new(text, (x, 50), style(GREY, TEXT - 4.0, anchor, VPos::Top)))?;
        area.draw(&PathElement::new(vec![(x, TOP - 6), (x, bottom)], FAINT.stroke_width(2)))?;
    }
    for (row, swing) in (0..).zip(shown) {
        let (half, double) = ratios(swing);
        if !(is_known(half) && is_known(double)) {
            continue;
        }
        let (top, low) = (TOP + ROW * row + 9, TOP + ROW * row + ROW - 9);
        let strength = if swing.is_distinct(figure) { 1.0 } else { 0.35 };
        let bar = |from: i32, to: i32, ink: RGBAColor| {
            Rectangle::new([(from.min(to), top), (from.max(to), low)], ink.filled())
        };
        // Where both ends lie on one side, the shorter bar is drawn over the longer one.
        let mut bars = [(half, 0.45), (double, 1.0)];
        bars.sort_by(|a, b| libm::fabs(libm::log(b.0)).total_cmp(&libm::fabs(libm::log(a.0))));
        for (ratio, tint) in bars {
            area.draw(&bar(middle, place(ratio), hue.mix(tint * strength)))?;
        }
    }
    area.draw(&PathElement::new(vec![(middle, TOP - 6), (middle, bottom)], INK.stroke_width(2)))?;
    Ok(())
}

#[allow(clippy::cast_possible_truncation, reason = "a place on the plot")]
fn pixels(value: f64) -> i32 {
    libm::round(value) as i32
}
