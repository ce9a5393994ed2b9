//! Loss, disclosure and unavailability over time, one panel each, with the dated events marked.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::{Area, FAINT, GREY, INK, PlotError, TEXT, WIDTH, colour, style, svg};
use crate::fate::outcome::{Estimate, Outcome};
use crate::report::number::{best, percent, trimmed, typeset};

const PANEL: u32 = 320;
/// Of a panel in which nothing is drawn.
const EMPTY: u32 = 120;
const HEADER: u32 = 36;
const FOOTER: u32 = 56;
/// Left of the axis.
const LABELS: u32 = 150;
const MARGIN_RIGHT: u32 = 24;
/// A logarithmic axis shows no less than this part of its highest value.
const DEPTH: f64 = 1e-4;
/// Beyond the horizon, for the interval.
const BEYOND: f64 = 0.025;

/// An event at a known time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    /// When.
    pub(crate) years: f64,
    /// Its number in the list below the plot.
    pub(crate) number: usize,
}

struct Panel<'a> {
    title: &'static str,
    values: &'a [f64],
    /// At the horizon.
    end: Option<&'a Estimate>,
}

impl Panel<'_> {
    /// Nothing was seen.
    fn is_empty(&self) -> bool {
        self.values.iter().all(|value| *value <= 0.0) && self.end.is_none_or(|end| end.estimate <= 0.0)
    }
}

/// The three panels; `None` where there are no curves.
pub(crate) fn survival(outcome: &Outcome, marks: &[Mark]) -> Result<Option<String>, PlotError> {
    let curves = &outcome.curves;
    if curves.years.len() < 2 || outcome.horizon_years <= 0.0 {
        return Ok(None);
    }
    let panels = [
        Panel { title: "Lost by then", values: &curves.lost, end: Some(&outcome.loss.by_horizon) },
        Panel { title: "Disclosed by then", values: &curves.disclosed, end: Some(&outcome.disclosure.by_horizon) },
        Panel { title: "Without service at that time", values: &curves.unavailable, end: None },
    ];
    let heights: Vec<u32> = panels.iter().map(|panel| if panel.is_empty() { EMPTY } else { PANEL }).collect();
    let height = HEADER + heights.iter().sum::<u32>() + FOOTER;
    let drawn = svg(height, |area| {
        let (header, mut below) = area.split_vertically(HEADER);
        let axis = Axis::time(outcome.horizon_years, BEYOND);
        for (at, (panel, height)) in panels.iter().zip(&heights).enumerate() {
            let (part, rest) = below.split_vertically(*height);
            draw_panel(&part, &curves.years, panel, &axis, marks, colour(at))?;
            below = rest;
        }
        time_labels(&below, &axis)?;
        draw_marks(&header, &axis, marks)
    })?;
    Ok(Some(drawn))
}

fn draw_panel(
    area: &Area<'_>,
    years: &[f64],
    panel: &Panel<'_>,
    time: &Axis,
    marks: &[Mark],
    colour: RGBColor,
) -> Result<(), PlotError> {
    let vertical = value_axis(panel);
    let mut chart = ChartBuilder::on(area)
        .margin_top(50)
        .margin_bottom(26)
        .margin_right(MARGIN_RIGHT)
        .y_label_area_size(LABELS)
        .build_cartesian_2d(time.clone(), vertical.clone())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .disable_x_axis()
        .bold_line_style(FAINT.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(TRANSPARENT)
        .label_style(style(GREY, TEXT, HPos::Right, VPos::Center))
        .draw()?;
    let (low, high) = (vertical.low(), vertical.high());
    for mark in marks {
        let line = vec![(mark.years, low), (mark.years, high)];
        chart.draw_series(std::iter::once(PathElement::new(line, GREY.mix(0.6).stroke_width(2))))?;
    }
    let points: Vec<(f64, f64)> = years
        .iter()
        .zip(panel.values)
        .filter(|(_, value)| **value > 0.0)
        .map(|(year, value)| (*year, *value))
        .collect();
    chart.draw_series(AreaSeries::new(points.iter().copied(), low, colour.mix(0.12)))?;
    chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(4)))?;
    if let Some(end) = panel.end.filter(|_| !panel.is_empty()) {
        let at = (time.low() + (time.high() - time.low()) * (1.0 + BEYOND / 2.0) / (1.0 + BEYOND), end.estimate);
        if end.high95 > end.low95 && end.high95 < f64::MAX {
            let whisker = vec![(at.0, end.low95), (at.0, end.high95)];
            chart.draw_series(std::iter::once(PathElement::new(whisker, colour.stroke_width(4))))?;
        }
        if end.estimate > 0.0 {
            chart.draw_series(std::iter::once(Circle::new(at, 8, colour.filled())))?;
        }
    }
    chart.draw_series(std::iter::once(PathElement::new(
        vec![(time.low(), low), (time.high(), low)],
        INK.stroke_width(2),
    )))?;
    let title = match (points.is_empty(), panel.end) {
        (false, _) => panel.title.to_owned(),
        (true, Some(end)) if end.estimate > 0.0 => {
            format!("{}: too rare to be counted; the estimate at the end", panel.title)
        }
        (true, Some(end)) if end.high95 < 1.0 => format!("{}: not seen; {}", panel.title, typeset(&best(end))),
        (true, _) => format!("{}: not seen", panel.title),
    };
    let place = (0, 4);
    area.draw(&Text::new(title, place, style(colour, TEXT + 3.0, HPos::Left, VPos::Top)))?;
    Ok(())
}

/// Linear within a factor of thirty; above that by powers of ten.
fn value_axis(panel: &Panel<'_>) -> Axis {
    if panel.is_empty() {
        return Axis::blank();
    }
    let ends = panel.end.iter().flat_map(|end| [end.low95, end.estimate, end.high95]);
    let values = panel.values.iter().copied().chain(ends).filter(|value| *value > 0.0 && *value <= 1.0);
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if high / low < 30.0 && high > 1e-5 {
        Axis::linear(0.0, high * 1.12, 3.0, |tick| trimmed(&percent(tick, 2)))
    } else {
        Axis::decades(low.max(high * DEPTH), high)
    }
}

/// Where a time is, in pixels of the whole width.
#[allow(clippy::cast_possible_truncation, reason = "a place on the plot")]
fn across(axis: &Axis, years: f64) -> i32 {
    let (left, right) = (f64::from(LABELS), f64::from(WIDTH - MARGIN_RIGHT));
    libm::round(left + (right - left) * axis.place(years)) as i32
}

/// The axis of time, once for all panels.
fn time_labels(area: &Area<'_>, axis: &Axis) -> Result<(), PlotError> {
    use plotters::coord::ranged1d::{Ranged, ValueFormatter};
    for tick in axis.key_points(10_usize) {
        let x = across(axis, tick);
        area.draw(&PathElement::new(vec![(x, -26), (x, -16)], INK.stroke_width(2)))?;
        area.draw(&Text::new(axis.format_ext(&tick), (x, -6), style(GREY, TEXT, HPos::Center, VPos::Top)))?;
    }
    Ok(())
}

/// Numbers above the lines of the events; those too close to each other share a label.
fn draw_marks(area: &Area<'_>, axis: &Axis, marks: &[Mark]) -> Result<(), PlotError> {
    let mut labels: Vec<(i32, i32, usize, usize)> = Vec::new();
    for mark in marks {
        let x = across(axis, mark.years);
        match labels.last_mut() {
            Some((_, to, _, last)) if x - *to < 44 => (*to, *last) = (x, mark.number),
            Some(_) | None => labels.push((x, x, mark.number, mark.number)),
        }
    }
    for (from, to, first, last) in labels {
        let text = if first == last { first.to_string() } else { format!("{first}\u{2013}{last}") };
        let x = i32::midpoint(from, to);
        area.draw(&Text::new(text, (x, 2), style(INK, TEXT, HPos::Center, VPos::Top)))?;
    }
    Ok(())
}
