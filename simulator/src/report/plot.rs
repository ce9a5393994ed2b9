//! The plots of a report, as SVG to be set into a page.
//!
//! They are drawn at twice the size at which they are read, so that whole pixels are fine enough. Fonts are left to the
//! page's style sheet; texts are escaped by the plotting crate.

pub(crate) mod axis;
pub(crate) mod exceedance;
pub(crate) mod frontier;
pub(crate) mod survival;
pub(crate) mod tornado;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A plot could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("a plot could not be drawn: {0}")]
pub struct PlotError(String);

impl From<DrawingAreaErrorKind<std::io::Error>> for PlotError {
    fn from(error: DrawingAreaErrorKind<std::io::Error>) -> Self {
        Self(error.to_string())
    }
}

/// What is drawn on.
pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A plot of one quantity over another.
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<axis::Axis, axis::Axis>>;

/// Axes with labels and a faint mesh; its upright lines only where they help.
pub(crate) fn draw_mesh(chart: &mut Chart<'_, '_>, has_upright: bool) -> Result<(), PlotError> {
    let mut mesh = chart.configure_mesh();
    if !has_upright {
        mesh.disable_x_mesh();
    }
    mesh.bold_line_style(FAINT.stroke_width(2))
        .light_line_style(TRANSPARENT)
        .axis_style(INK.stroke_width(2))
        .y_label_style(style(GREY, TEXT, HPos::Right, VPos::Center))
        .x_label_style(style(GREY, TEXT, HPos::Center, VPos::Top))
        .draw()?;
    Ok(())
}

/// Width of every plot.
pub(crate) const WIDTH: u32 = 1440;
/// Axes and labels.
pub(crate) const INK: RGBColor = RGBColor(38, 43, 48);
/// What is read second.
pub(crate) const GREY: RGBColor = RGBColor(110, 117, 125);
/// The mesh.
pub(crate) const FAINT: RGBColor = RGBColor(226, 228, 231);
/// Loss, disclosure, unavailability; and further series. Told apart also by those who do not see red or green.
pub(crate) const SERIES: [RGBColor; 6] = [
    RGBColor(158, 52, 42),
    RGBColor(35, 88, 140),
    RGBColor(178, 122, 18),
    RGBColor(64, 124, 104),
    RGBColor(118, 76, 142),
    RGBColor(96, 96, 96),
];
/// Font size of labels, as drawn.
pub(crate) const TEXT: f64 = 31.0;

/// The colour of a series.
pub(crate) fn colour(at: usize) -> RGBColor {
    SERIES.get(at % SERIES.len()).copied().unwrap_or(INK)
}

/// A colour as a style sheet writes it.
pub(crate) fn css(colour: RGBColor) -> String {
    format!("#{:02x}{:02x}{:02x}", colour.0, colour.1, colour.2)
}

/// Draws on an empty area of [`WIDTH`] and the height.
pub(crate) fn svg(height: u32, draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    Ok(text)
}

/// How a text is set.
pub(crate) fn style<'a>(colour: RGBColor, size: f64, across: HPos, along: VPos) -> TextStyle<'a> {
    ("sans-serif", size).into_font().color(&colour).pos(Pos::new(across, along))
}

/// About how wide a text of [`TEXT`] size is, in pixels.
pub(crate) fn text_width(text: &str) -> i32 {
    i32::try_from(text.chars().count()).unwrap_or(i32::MAX).saturating_mul(14)
}

/// The text, or as much of it as fits, with an ellipsis.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{}\u{2026}", kept.trim_end())
}

#[cfg(test)]
mod tests;
