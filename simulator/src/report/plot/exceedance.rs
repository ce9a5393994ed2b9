//! How many have not ended after a time: one line per database.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::{GREY, INK, PlotError, SERIES, TEXT, colour, draw_mesh, style, svg};
use crate::fate::outcome::Distribution;
use crate::report::number;

/// Share of samples above each value, for the first few distributions, and the most that is wanted of 95 of 100. `None`
/// where none of them has points.
pub(crate) fn exceedance(
    distributions: &[&Distribution],
    wanted_hours: Option<f64>,
    what: &str,
) -> Result<Option<String>, PlotError> {
    let shown: Vec<&&Distribution> = distributions.iter().take(SERIES.len()).collect();
    let ends = shown.iter().flat_map(|d| d.ecdf.iter()).map(|(value, _)| *value).chain(wanted_hours);
    let ends = ends.filter(|value| *value > 0.0);
    let (low, high) = ends.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if high <= 0.0 || shown.iter().all(|d| d.ecdf.is_empty()) {
        return Ok(None);
    }
    let drawn = svg(520, |area| {
        let time = Axis::hours(low * 0.8, high * 1.25);
        let shares = Axis::linear(0.0, 1.0, 4.0, |tick| number::trimmed(&number::percent(tick, 2)));
        let mut chart = ChartBuilder::on(area)
            .margin_top(30)
            .margin_right(50)
            .x_label_area_size(60)
            .y_label_area_size(150)
            .build_cartesian_2d(time.clone(), shares)?;
        draw_mesh(&mut chart, false)?;
        let right = time.high();
        let five = vec![(time.low(), 0.05), (right, 0.05)];
        chart.draw_series(DashedLineSeries::new(five, 8, 8, GREY.stroke_width(2)))?;
        let label = style(GREY, TEXT - 3.0, HPos::Right, VPos::Bottom);
        chart.draw_series(std::iter::once(Text::new("5 %", (right, 0.055), label)))?;
        if let Some(wanted) = wanted_hours {
            let line = vec![(wanted, 0.0), (wanted, 1.0)];
            chart.draw_series(DashedLineSeries::new(line, 8, 8, INK.stroke_width(3)))?;
            let text = format!("wanted: {}", number::hours(wanted));
            let across = if time.place(wanted) > 0.7 { HPos::Right } else { HPos::Left };
            let at = wanted * libm::pow(time.high() / time.low(), if time.place(wanted) > 0.7 { -0.01 } else { 0.01 });
            chart.draw_series(std::iter::once(Text::new(text, (at, 0.99), style(INK, TEXT, across, VPos::Top))))?;
        }
        for (at, distribution) in shown.iter().enumerate() {
            let points = std::iter::once((time.low(), 1.0)).chain(steps(distribution, right));
            chart.draw_series(LineSeries::new(points, colour(at).stroke_width(4)))?;
        }
        let title = style(INK, TEXT, HPos::Left, VPos::Top);
        area.draw(&Text::new(what.to_owned(), (164, 0), title))?;
        Ok(())
    })?;
    Ok(Some(drawn))
}

/// Down at each value; what never ends stays to the right edge.
fn steps(distribution: &Distribution, right: f64) -> Vec<(f64, f64)> {
    let mut points = Vec::with_capacity(2 * distribution.ecdf.len() + 2);
    let mut above = 1.0;
    for (value, share) in &distribution.ecdf {
        points.push((*value, above));
        above = (1.0 - share).max(0.0);
        points.push((*value, above));
    }
    if distribution.never > 0.0 {
        points.push((right, above));
    }
    points
}
