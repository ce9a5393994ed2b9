//! Loss against disclosure, one dot per code, what is wanted shaded.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Axis;
use super::{GREY, INK, PlotError, TEXT, WIDTH, colour, draw_mesh, style, svg, text_width};
use crate::analysis::sweep::{Frontier, Point};
use crate::fate::outcome::Estimate;

const HEIGHT: u32 = 900;
const LEFT: u32 = 150;
const BOTTOM: u32 = 110;
const MARGIN: u32 = 40;
/// Of more dots only the best and the current one are labelled.
const LABELLED_MAX: usize = 60;

type Spot = (f64, f64);

/// The plot; `None` without a point of which anything is known.
pub(crate) fn frontier(frontier: &Frontier) -> Result<Option<String>, PlotError> {
    let mut points: Vec<(Spot, &Point)> =
        frontier.points.iter().filter_map(|point| Some((spot(point)?, point))).collect();
    // The best are drawn last, above the others.
    points.sort_by_key(|(_, point)| (point.is_best, point.is_current));
    if points.is_empty() {
        return Ok(None);
    }
    let wanted = (frontier.target.loss_per_year, frontier.target.disclosure_per_year);
    let across = axis(points.iter().map(|((loss, _), _)| *loss).chain(wanted.0));
    let along = axis(points.iter().map(|((_, disclosure), _)| *disclosure).chain(wanted.1));
    let drawn = svg(HEIGHT, |area| {
        let mut chart = ChartBuilder::on(area)
            .margin_top(MARGIN)
            .margin_right(MARGIN)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(across.clone(), along.clone())?;
        if wanted.0.is_some() || wanted.1.is_some() {
            let corner = (wanted.0.unwrap_or(across.high()), wanted.1.unwrap_or(along.high()));
            let region = Rectangle::new([(across.low(), along.low()), corner], colour(3).mix(0.14).filled());
            chart.draw_series(std::iter::once(region))?;
        }
        draw_mesh(&mut chart, true)?;
        let mut best: Vec<Spot> = points.iter().filter(|(_, point)| point.is_best).map(|(spot, _)| *spot).collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        chart.draw_series(LineSeries::new(best, GREY.stroke_width(2)))?;
        let refreshes = refreshes(frontier);
        for (spot, point) in &points {
            let hue = colour(1 + refreshes.iter().position(|years| *years == point.refresh_years).unwrap_or(0));
            if point.is_best {
                chart.draw_series(std::iter::once(Circle::new(*spot, 11, hue.filled())))?;
            } else {
                chart.draw_series(std::iter::once(Circle::new(*spot, 9, WHITE.filled())))?;
                chart.draw_series(std::iter::once(Circle::new(*spot, 9, hue.stroke_width(3))))?;
            }
            if point.is_current {
                chart.draw_series(std::iter::once(Circle::new(*spot, 19, INK.stroke_width(3))))?;
            }
        }
        for (place, text) in labels(&points, &across, &along) {
            area.draw(&Text::new(text, place, style(INK, TEXT, HPos::Left, VPos::Center)))?;
        }
        let (width, height) = (i32::try_from(WIDTH).unwrap_or(0), i32::try_from(HEIGHT).unwrap_or(0));
        let end = style(INK, TEXT, HPos::Right, VPos::Bottom);
        let right = width - i32::try_from(MARGIN).unwrap_or(0);
        area.draw(&Text::new("losses per year", (right, height - 8), end))?;
        area.draw(&Text::new("disclosures per year", (12, 4), style(INK, TEXT, HPos::Left, VPos::Top)))?;
        Ok(())
    })?;
    Ok(Some(drawn))
}

/// The times between refreshes that occur, in their order.
pub(crate) fn refreshes(frontier: &Frontier) -> Vec<Option<f64>> {
    let mut seen = Vec::new();
    for point in &frontier.points {
        if !seen.contains(&point.refresh_years) {
            seen.push(point.refresh_years);
        }
    }
    seen
}

/// Where a code is drawn: at the upper ends of the intervals, so that what lies in the shaded region is met for certain.
fn spot(point: &Point) -> Option<Spot> {
    let shown = |estimate: &Estimate| Some(estimate.high95).filter(|value| *value > 0.0 && *value < f64::MAX);
    Some((shown(&point.figures.loss)?, shown(&point.figures.disclosure)?))
}

fn axis(values: impl Iterator<Item = f64>) -> Axis {
    let (low, high) = values.fold((f64::MAX, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    Axis::decades(low * 0.7, high * 1.4)
}

/// Labels where they hit neither a dot nor each other; one that finds no place is left out.
fn labels(points: &[(Spot, &Point)], across: &Axis, along: &Axis) -> Vec<((i32, i32), String)> {
    use plotters::coord::ranged1d::Ranged;
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(0);
    let columns = (side(LEFT), side(WIDTH - MARGIN));
    let rows = (side(HEIGHT - BOTTOM), side(MARGIN));
    let dots: Vec<(i32, i32)> = points.iter().map(|((x, y), _)| (across.map(x, columns), along.map(y, rows))).collect();
    let is_named = |point: &Point| point.is_best || point.is_current;
    let mut taken: Vec<[i32; 4]> = dots.iter().map(|(x, y)| [x - 13, y - 13, x + 13, y + 13]).collect();
    let mut line: Vec<(i32, i32)> =
        points.iter().zip(&dots).filter(|((_, point), _)| point.is_best).map(|(_, dot)| *dot).collect();
    line.sort_by_key(|(x, y)| (*x, -*y));
    taken.extend(line.iter().zip(line.iter().skip(1)).flat_map(|(from, to)| along_line(*from, *to)));
    let mut placed = Vec::new();
    let mut done = vec![false; points.len()];
    for at in (0..points.len()).rev() {
        let (Some((_, point)), Some(&(x, y))) = (points.get(at), dots.get(at)) else { continue };
        if done.get(at) == Some(&true) || !(points.len() <= LABELLED_MAX || is_named(point)) {
            continue;
        }
        // Codes of one threshold on one spot have one label.
        let mut alike = Vec::new();
        for (((_, other), (left, top)), done) in points.iter().zip(&dots).zip(&mut done) {
            let near = (left - x).abs() < 12 && (top - y).abs() < 12;
            if near && other.threshold == point.threshold && is_named(other) == is_named(point) {
                alike.push(other.data_shards);
                *done = true;
            }
        }
        alike.sort_unstable();
        alike.dedup();
        let text = format!("{}/{}", ranges(&alike), point.threshold);
        let (width, half) = (text_width(&text), 14);
        let gap = if point.is_current { 26 } else { 18 };
        let places = [
            (x + gap, y),
            (x - gap - width, y),
            (x - width / 2, y - gap - half),
            (x - width / 2, y + gap + half),
            (x + gap - 4, y - gap),
            (x + gap - 4, y + gap),
            (x - gap - width + 4, y - gap),
            (x - gap - width + 4, y + gap),
        ];
        let free = places.into_iter().find(|(left, middle)| {
            let [l, t, r, b] = [*left - 2, middle - half, left + width + 2, middle + half];
            let inside = l > columns.0 && r < columns.1 && t > rows.1 && b < rows.0;
            inside && taken.iter().all(|[tl, tt, tr, tb]| r < *tl || l > *tr || b < *tt || t > *tb)
        });
        if let Some((left, middle)) = free {
            taken.push([left - 2, middle - half, left + width + 2, middle + half]);
            placed.push(((left, middle), text));
        }
    }
    placed
}

/// Small boxes along a line.
fn along_line(from: (i32, i32), to: (i32, i32)) -> impl Iterator<Item = [i32; 4]> {
    let steps = ((to.0 - from.0).abs().max((to.1 - from.1).abs()) / 8).max(1);
    (0..=steps).map(move |step| {
        let (x, y) = (from.0 + (to.0 - from.0) * step / steps, from.1 + (to.1 - from.1) * step / steps);
        [x - 2, y - 2, x + 2, y + 2]
    })
}

/// `1-3,5` of rising numbers.
fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => runs.push((number, number)),
        }
    }
    let text = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}\u{2013}{last}") }
    };
    runs.iter().map(text).collect::<Vec<_>>().join(",")
}
