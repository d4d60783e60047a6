//! Values with intervals, one row each, under one axis: forest plots and effect plots.

use maud::{Markup, html};

use super::{Axis, WIDTH, short};

const SIDE: f64 = 14.0;
const ROW: f64 = 34.0;
const BOTTOM: f64 = 40.0;

/// A row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Name, above the bar on the left.
    pub(crate) name: String,
    /// Value in words, above the bar on the right.
    pub(crate) text: String,
    /// Class of the marks.
    pub(crate) class: String,
    /// The value; a row without one says so.
    pub(crate) value: Option<f64>,
    /// Its interval.
    pub(crate) interval: Option<[f64; 2]>,
    /// The value of each seed, if there are several.
    pub(crate) seeds: Vec<f64>,
}

/// A figure of rows under `axis`, with a line of reference at `reference`.
pub(crate) fn figure(
    title: &str,
    description: &str,
    axis: &Axis,
    reference: Option<f64>,
    rows: &[Row],
    caption: &Markup,
) -> Markup {
    let bottom = ROW * rows.len() as f64 + 8.0;
    let height = bottom + BOTTOM;
    let px = |value: f64| short(SIDE + axis.place(value) * (WIDTH - 2.0 * SIDE));
    html! {
        figure {
            h4 { (title) }
            svg role="img" aria-label=(format!("{title}. {description}")) viewBox=(format!("0 0 {WIDTH} {}", short(height))) {
                desc { (description) }
                @for (value, label) in axis.ticks() {
                    @let x = px(value);
                    path.grid d={ "M" (x) " 4V" (short(bottom)) } {}
                    text x=(x) y=(short(bottom + 15.0)) text-anchor="middle" { (label) }
                }
                @if let Some(reference) = reference {
                    path.reference d={ "M" (px(reference)) " 4V" (short(bottom)) } {}
                }
                text.label x=(short(WIDTH / 2.0)) y=(short(height - 7.0)) text-anchor="middle" { (axis.label()) }
                @for (index, row) in rows.iter().enumerate() {
                    @let top = ROW * index as f64 + 4.0;
                    @let y = short(top + 22.0);
                    g {
                        title { (row.name) ": " (row.text) }
                        text.halo x=(short(SIDE)) y=(short(top + 12.0)) { (row.name) }
                        text.halo x=(short(WIDTH - SIDE)) y=(short(top + 12.0)) text-anchor="end" { (row.text) }
                        @if let Some([low, high]) = row.interval {
                            path class={ "whisker " (row.class) } d={ "M" (px(low)) " " (y) "H" (px(high)) } {}
                        }
                        @for seed in row.seeds.iter().filter(|_| row.seeds.len() > 1) {
                            path class={ "tick " (row.class) } d={ "M" (px(*seed)) " " (short(top + 17.0)) "v10" } {}
                        }
                        @if let Some(value) = row.value {
                            circle class={ "dot " (row.class) } cx=(px(value)) cy=(y) r="4.5" {}
                        }
                    }
                }
            }
            figcaption { (caption) }
        }
    }
}
