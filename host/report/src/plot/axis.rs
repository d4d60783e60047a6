//! Axes: where a value lies, and the ticks that people expect.

use crate::number;

/// About as many ticks as an axis has.
const TICKS: f64 = 5.0;

/// An axis.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    label: String,
    low: f64,
    high: f64,
    is_log: bool,
    is_whole: bool,
    is_share: bool,
    is_magnitude: bool,
}

impl Axis {
    /// A linear axis from `low` to `high`.
    pub(crate) fn linear(label: impl Into<String>, low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        Self {
            label: label.into(),
            low,
            high,
            is_log: false,
            is_whole: false,
            is_share: false,
            is_magnitude: false,
        }
    }

    /// A linear axis over whole numbers.
    pub(crate) fn whole(label: impl Into<String>, low: f64, high: f64) -> Self {
        Self { is_whole: true, ..Self::linear(label, low, high) }
    }

    /// An axis from 0 to 1.
    pub(crate) fn share(label: impl Into<String>) -> Self {
        Self { is_share: true, ..Self::linear(label, 0.0, 1.0) }
    }

    /// The same axis without signs, for bars in both directions.
    pub(crate) fn magnitude(self) -> Self {
        Self { is_magnitude: true, ..self }
    }

    /// A logarithmic axis; `low` and `high` are above 0.
    pub(crate) fn log(label: impl Into<String>, low: f64, high: f64) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low / 2.0, low * 2.0) };
        Self { is_log: true, ..Self::linear(label, low, high) }
    }

    /// A linear axis that holds all finite `values`, with some air around them.
    pub(crate) fn around(label: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = extent(values).unwrap_or((0.0, 1.0));
        let air = (high - low) * 0.04;
        Self::linear(label, low - air, high + air)
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Where `value` lies: 0 at the low end, 1 at the high one, held there if beyond.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = if self.is_log {
            (value.ln() - self.low.ln()) / (self.high.ln() - self.low.ln())
        } else {
            (value - self.low) / (self.high - self.low)
        };
        // Not a number, and the logarithm of 0, stay what they are, and are not drawn.
        if place.is_finite() { place.clamp(0.0, 1.0) } else { f64::NAN }
    }

    /// Values with their labels.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        if self.is_log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let step = nice((self.high - self.low) / TICKS);
        let step = if self.is_whole { step.max(1.0) } else { step };
        let digits = if self.is_share { 1 } else { (-step.log10().floor()).max(0.0) as usize };
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        let label = |value: f64| {
            let value = if self.is_magnitude { value.abs() } else { value };
            if value.abs() >= 10_000.0 { number::scaled(value) } else { number::fixed(value, digits) }
        };
        (first..=last).map(|at| at as f64 * step).map(|value| (value, label(value))).collect()
    }

    fn log_ticks(&self) -> Vec<(f64, String)> {
        let decades = (self.high / self.low).log10();
        let parts: &[f64] = if decades > 3.0 {
            &[1.0]
        } else if decades > 1.0 {
            &[1.0, 3.0]
        } else {
            &[1.0, 2.0, 3.0, 5.0, 7.0]
        };
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let values =
            (first..=last).flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
        let ticks: Vec<_> = values
            .filter(|value| (self.low * 0.999..=self.high * 1.001).contains(value))
            .map(|value| (value, number::scaled(value)))
            .collect();
        // Less than an octave may lie between all of these.
        if ticks.len() < 2 { self.linear_ticks() } else { ticks }
    }
}

/// Least and greatest of the finite values.
pub(crate) fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn nice(step: f64) -> f64 {
    let unit = 10_f64.powf(step.log10().floor());
    let parts = [1.0, 2.0, 5.0, 10.0];
    unit * parts.into_iter().find(|part| part * unit >= step * 0.999).unwrap_or(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::share("")), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear("", 31.9, 32.6)), ["32.0", "32.2", "32.4", "32.6"]);
        assert_eq!(labels(&Axis::whole("", 1.0, 3.0)), ["1", "2", "3"]);
        assert_eq!(
            labels(&Axis::linear("", 0.0, 100_000.0)),
            ["0", "20.0 k", "40.0 k", "60.0 k", "80.0 k", "100 k"]
        );
        assert_eq!(labels(&Axis::log("", 1e3, 1e7)), ["1.00 k", "10.0 k", "100 k", "1.00 M", "10.0 M"]);
        assert_eq!(labels(&Axis::log("", 4.1e5, 4.6e5)).len(), 6, "a narrow one has linear ticks");
    }

    #[test]
    fn places_are_held_at_the_ends() {
        let axis = Axis::log("", 1.0, 100.0);
        assert_eq!([1.0, 10.0, 100.0, 1e4].map(|value| axis.place(value)), [0.0, 0.5, 1.0, 1.0]);
        assert!(axis.place(0.0).is_nan() && axis.place(f64::NAN).is_nan());
        let flat = Axis::around("", [2.0, 2.0, f64::INFINITY]);
        assert_eq!(flat.place(2.0), 0.5, "one value is in the middle");
    }
}
