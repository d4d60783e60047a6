//! Charts as inline SVG. Colours and line styles are classes, so that the style sheet decides them
//! for light, dark and print.

mod axis;
pub(crate) mod forest;
mod stacked;
mod thin;

use maud::{Markup, html};

use self::thin::{thin_line, thin_points};
pub(crate) use self::{
    axis::{Axis, extent},
    stacked::stacked,
};
use crate::curve::Points;

/// Width of a chart in its own units; about one CSS pixel each.
pub(crate) const WIDTH: f64 = 400.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 42.0;
/// Points up to which each gets an element, and a tip, of its own.
const SINGLE_POINTS: usize = 300;
/// Different looks of a series; see the style sheet.
pub(crate) const LOOKS: usize = 8;

/// Class of the series `index`.
pub(crate) fn look(index: usize) -> String {
    format!("s{}", index % LOOKS)
}

/// A chart being drawn.
pub(crate) struct Plot {
    title: String,
    description: String,
    x: Axis,
    y: Axis,
    height: f64,
    marks: Vec<Markup>,
    message: Option<String>,
}

impl Plot {
    /// An empty chart; `description` tells in words what is to be seen.
    pub(crate) fn new(title: impl Into<String>, description: impl Into<String>, x: Axis, y: Axis) -> Self {
        let (title, description) = (title.into(), description.into());
        Self { title, description, x, y, height: 270.0, marks: Vec::new(), message: None }
    }

    /// The same chart with equal sides, for two shares.
    pub(crate) fn square(self) -> Self {
        Self { height: WIDTH - LEFT - RIGHT + TOP + BOTTOM, ..self }
    }

    /// The same chart, `height` high.
    pub(crate) fn height(self, height: f64) -> Self {
        Self { height, ..self }
    }

    fn px(&self, x: f64) -> f64 {
        LEFT + self.x.place(x) * (WIDTH - LEFT - RIGHT)
    }

    fn py(&self, y: f64) -> f64 {
        self.height - BOTTOM - self.y.place(y) * (self.height - TOP - BOTTOM)
    }

    fn pixels(&self, points: &[(f64, f64)]) -> Points {
        points
            .iter()
            .map(|&(x, y)| (self.px(x), self.py(y)))
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect()
    }

    /// A line through `points`, thinned to what can be seen; a dot, if there is but one.
    pub(crate) fn line(&mut self, class: &str, points: &[(f64, f64)], tip: &str) {
        if points.len() == 1 {
            return self.dots(class, points, |_| tip.to_owned());
        }
        let path = path(&thin_line(&self.pixels(points)));
        if !path.is_empty() {
            self.marks.push(html! { path class={ "line " (class) } d=(path) { title { (tip) } } });
        }
    }

    /// One dot per point. Many of them are thinned to one per small square.
    pub(crate) fn dots(&mut self, class: &str, points: &[(f64, f64)], tip: impl Fn(usize) -> String) {
        let pixels = self.pixels(points);
        self.marks.push(if pixels.len() <= SINGLE_POINTS {
            html! { @for (index, (x, y)) in pixels.iter().enumerate() {
                circle class={ "dot " (class) } cx=(short(*x)) cy=(short(*y)) r="3" { title { (tip(index)) } }
            } }
        } else {
            let dots: Vec<_> =
                thin_points(&pixels).iter().map(|(x, y)| format!("M{} {}h0", short(*x), short(*y))).collect();
            html! { path class={ "cloud " (class) } d=(dots.concat()) {} }
        });
    }

    /// A vertical interval with a dot at its value.
    pub(crate) fn error_bar(&mut self, class: &str, x: f64, y: f64, interval: Option<[f64; 2]>, tip: &str) {
        let (px, py) = (short(self.px(x)), short(self.py(y)));
        let bar =
            interval.map(|[low, high]| format!("M{px} {}V{}", short(self.py(low)), short(self.py(high))));
        self.marks.push(html! { g {
            title { (tip) }
            @if let Some(bar) = bar { path class={ "whisker " (class) } d=(bar) {} }
            circle class={ "dot " (class) } cx=(px) cy=(py) r="3.5" {}
        } });
    }

    /// A bar from `base` to `y` over `x.0` to `x.1`.
    pub(crate) fn bar(&mut self, class: &str, x: (f64, f64), base: f64, y: f64) {
        let (left, right) = (self.px(x.0), self.px(x.1));
        let (top, bottom) = (self.py(base.max(y)), self.py(base.min(y)));
        self.marks.push(html! {
            rect class={ "bar " (class) } x=(short(left + 0.5)) y=(short(top))
                width=(short((right - left - 1.0).max(0.5))) height=(short(bottom - top)) {}
        });
    }

    /// A star at a point that stands out.
    pub(crate) fn star(&mut self, x: f64, y: f64, tip: &str) {
        let at = format!("translate({} {})", short(self.px(x)), short(self.py(y)));
        self.marks.push(html! {
            path.star transform=(at) d="M0-8 2-2.6 7.6-2.5 3.1 1 4.7 6.5 0 3.3-4.7 6.5-3.1 1-7.6-2.5-2-2.6Z" { title { (tip) } }
        });
    }

    /// A straight line of reference.
    pub(crate) fn reference(&mut self, from: (f64, f64), to: (f64, f64), tip: &str) {
        let path = path(&self.pixels(&[from, to]));
        self.marks.push(html! { path.reference d=(path) { title { (tip) } } });
    }

    /// Words in place of data.
    pub(crate) fn message(&mut self, text: impl Into<String>) {
        self.message = Some(text.into());
    }

    /// The chart as a figure with a caption below.
    pub(crate) fn figure(&self, caption: &Markup) -> Markup {
        let (right, bottom) = (WIDTH - RIGHT, self.height - BOTTOM);
        let view = format!("0 0 {WIDTH} {}", short(self.height));
        let middle = (TOP + bottom) / 2.0;
        html! {
            figure {
                h4 { (self.title) }
                svg role="img" aria-label=(format!("{}. {}", self.title, self.description)) viewBox=(view) {
                    desc { (self.description) }
                    @for (value, label) in self.x.ticks() {
                        @let x = short(self.px(value));
                        path.grid d={ "M" (x) " " (short(TOP)) "V" (short(bottom)) } {}
                        text x=(x) y=(short(bottom + 15.0)) text-anchor="middle" { (label) }
                    }
                    @for (value, label) in self.y.ticks() {
                        @let y = self.py(value);
                        path.grid d={ "M" (short(LEFT)) " " (short(y)) "H" (short(right)) } {}
                        text x=(short(LEFT - 6.0)) y=(short(y + 4.0)) text-anchor="end" { (label) }
                    }
                    path.axis d={ "M" (short(LEFT)) " " (short(TOP)) "V" (short(bottom)) "H" (short(right)) } {}
                    text.label x=(short((LEFT + right) / 2.0)) y=(short(self.height - 8.0)) text-anchor="middle" { (self.x.label()) }
                    text.label transform={ "translate(12 " (short(middle)) ") rotate(-90)" } text-anchor="middle" { (self.y.label()) }
                    @for mark in &self.marks { (mark) }
                    @if let Some(message) = &self.message {
                        text.message x=(short((LEFT + right) / 2.0)) y=(short(middle)) text-anchor="middle" { (message) }
                    }
                }
                figcaption { (caption) }
            }
        }
    }
}

/// A number in a path: one decimal is finer than a screen.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        path += if index == 0 { "M" } else { "L" };
        path += &short(*x);
        path.push(' ');
        path += &short(*y);
    }
    path
}

/// A key to series: one swatch and name each.
pub(crate) fn key<'a>(entries: impl IntoIterator<Item = (String, &'a str)>) -> Markup {
    html! {
        ul.key { @for (class, name) in entries {
            li {
                svg.swatch viewBox="0 0 28 12" aria-hidden="true" {
                    path class={ "line " (class) } d="M1 6H27" {}
                    circle class={ "dot " (class) } cx="14" cy="6" r="3.5" {}
                }
                (name)
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_points_stay_small_and_keep_the_extremes() {
        let points: Vec<_> = (0..100_000_u64).map(|i| (i as f64, (i * 7919 % 1000) as f64)).collect();
        let mut plot = Plot::new("t", "d", Axis::linear("x", 0.0, 1e5), Axis::linear("y", 0.0, 1000.0));
        plot.line("s0", &points, "line");
        plot.dots("s0", &points, |_| String::new());
        let svg = plot.figure(&html! {}).into_string();
        assert!(svg.len() < 100_000, "{}", svg.len());
        // The lowest value, 0, is on the axis; the highest, 999, near the top.
        assert!(svg.contains(&format!(" {}", short(270.0 - BOTTOM))));
    }

    #[test]
    fn texts_are_escaped() {
        let mut plot = Plot::new("<t>", "\"d\"", Axis::linear("<x>", 0.0, 1.0), Axis::linear("y", 0.0, 1.0));
        plot.line("s0", &[(0.0, 0.0), (1.0, 1.0)], "<script>");
        plot.message("<b>");
        let svg = plot.figure(&html! { "<i>" }).into_string();
        for bad in ["<t>", "<x>", "<script", "<b>", "<i>", "\"d\""] {
            assert!(!svg.contains(bad), "{bad} in {svg}");
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let mut plot = Plot::new("t", "d", Axis::log("x", 1.0, 10.0), Axis::linear("y", 0.0, 1.0));
        plot.line("s0", &[(1.0, 0.0), (f64::NAN, 0.5), (10.0, 1.0)], "");
        plot.dots("s0", &[(0.0, 0.5)], |_| String::new());
        let svg = plot.figure(&html! {}).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
