//! What the sides of a benchmark print, and what is made of it.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde::Deserialize;

/// One line of a side's standard output: some repetitions of one case.
///
/// ```json
/// {"name": "png 2000 px -> 224 px", "side": "ours", "seconds": [0.021, 0.020]}
/// ```
///
/// On a machine that is shared, the time of one thread on its processor is steadier than the time on
/// the wall; a side that runs one thread gives both, and then the former is compared.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measurement {
    /// The case. What both sides call the same is compared.
    name: String,
    side: Side,
    /// Wall-clock seconds of each repetition.
    seconds: Vec<f64>,
    /// Processor seconds of each repetition.
    cpu_seconds: Option<Vec<f64>>,
    /// The most memory that the process has held, in MiB.
    peak_mib: Option<f64>,
}

/// Who has measured.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    /// nashost.
    Ours,
    /// What it is compared with.
    Reference,
}

/// All repetitions of one case on one side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    seconds: Vec<f64>,
    cpu_seconds: Vec<f64>,
    peak_mib: f64,
}

/// The two sides of one case.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Case {
    pub(super) ours: Series,
    pub(super) reference: Series,
}

/// Everything that a benchmark has measured, by case.
#[derive(Debug, Default)]
pub(super) struct Samples(pub(super) BTreeMap<String, Case>);

impl Samples {
    /// Adds what a side has printed.
    ///
    /// # Errors
    ///
    /// Fails if a line is no measurement.
    pub(super) fn read(&mut self, output: &str) -> anyhow::Result<()> {
        for line in output.lines() {
            let measurement: Measurement =
                serde_json::from_str(line).with_context(|| format!("read the measurement `{line}`"))?;
            let case = self.0.entry(measurement.name).or_default();
            let series = match measurement.side {
                Side::Ours => &mut case.ours,
                Side::Reference => &mut case.reference,
            };
            series.seconds.extend(measurement.seconds);
            series.cpu_seconds.extend(measurement.cpu_seconds.unwrap_or_default());
            series.peak_mib = series.peak_mib.max(measurement.peak_mib.unwrap_or_default());
        }
        Ok(())
    }
}

impl Series {
    /// Returns whether nothing was measured.
    pub(super) fn is_empty(&self) -> bool {
        self.seconds.is_empty()
    }

    /// Returns the most memory held, in MiB, if it was told.
    pub(super) fn peak_mib(&self) -> Option<f64> {
        (self.peak_mib > 0.0).then_some(self.peak_mib)
    }
}

/// The clocks of a comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Clock {
    /// Processor time.
    Cpu,
    /// Wall-clock time.
    Wall,
}

impl Case {
    /// Returns the clock that every side that has measured gives.
    pub(super) fn clock(&self) -> Clock {
        let whole = |series: &Series| series.cpu_seconds.len() == series.seconds.len();
        if whole(&self.ours) && whole(&self.reference) { Clock::Cpu } else { Clock::Wall }
    }
}

impl Series {
    /// Returns the repetitions by this clock, shortest first.
    pub(super) fn sorted(&self, clock: Clock) -> Vec<f64> {
        let mut times = match clock {
            Clock::Cpu => self.cpu_seconds.clone(),
            Clock::Wall => self.seconds.clone(),
        };
        times.sort_by(f64::total_cmp);
        times
    }
}

/// Returns the median of ascending values; nothing has none.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_add_up_per_case_and_side() {
        let mut samples = Samples::default();
        samples.read(r#"{"name":"a","side":"ours","seconds":[1.0,3.0],"peak_mib":10}"#).unwrap();
        samples.read("").unwrap();
        let turn = "{\"name\":\"a\",\"side\":\"reference\",\"seconds\":[4.0]}\n\
                    {\"name\":\"a\",\"side\":\"ours\",\"seconds\":[2.0],\"peak_mib\":12}";
        samples.read(turn).unwrap();
        let case = &samples.0["a"];
        assert_eq!(case.ours.sorted(Clock::Wall), [1.0, 2.0, 3.0]);
        assert_eq!(case.reference.sorted(Clock::Wall), [4.0]);
        assert_eq!(case.ours.peak_mib(), Some(12.0));
        assert_eq!(case.reference.peak_mib(), None);
    }

    #[test]
    fn processor_time_counts_only_if_both_sides_give_it() {
        let mut samples = Samples::default();
        samples.read(r#"{"name":"a","side":"ours","seconds":[9.0],"cpu_seconds":[1.0]}"#).unwrap();
        assert_eq!(samples.0["a"].clock(), Clock::Cpu);
        samples.read(r#"{"name":"a","side":"reference","seconds":[2.0]}"#).unwrap();
        assert_eq!(samples.0["a"].clock(), Clock::Wall);
    }

    #[test]
    fn a_line_that_is_no_measurement_is_quoted() {
        let error = Samples::default().read("warming up").unwrap_err();
        assert!(error.to_string().contains("`warming up`"));
        let line = r#"{"name":"a","side":"theirs","seconds":[]}"#;
        assert!(Samples::default().read(line).is_err());
    }

    #[test]
    fn medians_of_few_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[5.0]), Some(5.0));
        assert_eq!(median(&[1.0, 2.0]), Some(1.5));
        assert_eq!(median(&[1.0, 2.0, 9.0]), Some(2.0));
    }
}
