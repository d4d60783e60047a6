//! The table of a benchmark run.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::{Context as _, bail};

use super::measure::{Case, Clock, Samples, Series, median};
use super::{Bench, Goal};

/// One case, measured.
#[derive(Debug)]
pub(super) struct Row {
    bench: &'static str,
    case: String,
    clock: Clock,
    ours: Times,
    reference: Option<Times>,
    goal: Goal,
    /// Whether the goal was met; unknown without the reference that it asks for.
    pub(super) met: Option<bool>,
}

/// The times of one side of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    least: f64,
    median: f64,
    peak_mib: Option<f64>,
}

impl Times {
    fn of(series: &Series, clock: Clock) -> Option<Times> {
        let sorted = series.sorted(clock);
        Some(Times { least: *sorted.first()?, median: median(&sorted)?, peak_mib: series.peak_mib() })
    }
}

impl Row {
    /// Returns the reference's median time over ours.
    fn ratio(&self) -> Option<f64> {
        self.reference.map(|reference| reference.median / self.ours.median)
    }
}

/// Compares the sides of every case of a benchmark.
///
/// # Errors
///
/// Fails if our side has not measured a case that the reference has, or one that has no goal.
pub(super) fn rows(bench: &Bench, samples: &Samples) -> anyhow::Result<Vec<Row>> {
    samples.0.iter().map(|(name, case)| row(bench, name, case)).collect()
}

fn row(bench: &Bench, name: &str, case: &Case) -> anyhow::Result<Row> {
    let goal = bench.goals.iter().find(|(prefix, _)| name.starts_with(prefix));
    let Some(&(_, goal)) = goal else {
        bail!("benchmark `{}` has no goal for the case `{name}`", bench.name)
    };
    if case.ours.is_empty() {
        bail!("benchmark `{}`: only the reference has measured `{name}`", bench.name);
    }
    let clock = case.clock();
    let ours = Times::of(&case.ours, clock).context("a side that has measured has times")?;
    let reference = Times::of(&case.reference, clock);
    let mut row = Row { bench: bench.name, case: name.to_owned(), clock, ours, reference, goal, met: None };
    row.met = match goal {
        Goal::Ratio(least) => row.ratio().map(|ratio| ratio >= least),
        Goal::Seconds(most) => Some(row.ours.median <= most),
        Goal::Within(seconds, mib) => row.ours.peak_mib.map(|peak| row.ours.median <= seconds && peak <= mib),
        Goal::Open => None,
    };
    Ok(row)
}

/// Prints the rows as a Markdown table on standard output.
///
/// # Errors
///
/// Fails if standard output cannot be written.
pub(super) fn print(rows: &[Row]) -> anyhow::Result<()> {
    io::stdout().write_all(table(rows).as_bytes()).context("print the table")
}

fn table(rows: &[Row]) -> String {
    let mut table = String::from(
        "| benchmark | case | clock | nashost, median (min) | reference, median (min) | ratio | goal | met | peak memory |\n\
         |---|---|---|---:|---:|---:|---:|---|---:|\n",
    );
    for row in rows {
        let clock = match row.clock {
            Clock::Cpu => "processor",
            Clock::Wall => "wall",
        };
        let times = |times: Times| format!("{} ({})", duration(times.median), duration(times.least));
        let absent = || "–".to_owned();
        let goal = match row.goal {
            Goal::Ratio(least) => format!("≥ {least}×"),
            Goal::Seconds(most) => format!("≤ {}", duration(most)),
            Goal::Within(seconds, mib) => format!("≤ {}, {mib:.0} MiB", duration(seconds)),
            Goal::Open => "–".to_owned(),
        };
        let met = row.met.map_or("–", |met| if met { "yes" } else { "**no**" });
        let peak = |times: Times| times.peak_mib.map_or_else(absent, |mib| format!("{mib:.0} MiB"));
        let peaks = match row.reference {
            Some(reference) => format!("{} / {}", peak(row.ours), peak(reference)),
            None => peak(row.ours),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {clock} | {} | {} | {} | {goal} | {met} | {peaks} |",
            row.bench,
            row.case,
            times(row.ours),
            row.reference.map_or_else(absent, times),
            row.ratio().map_or_else(absent, |ratio| format!("{ratio:.2}×")),
        );
    }
    table
}

/// Returns seconds in the unit that suits them.
fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-6 => (s * 1e9, "ns"),
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{value:.3} {unit}")
}

#[cfg(test)]
mod tests {
    use super::super::BENCHES;
    use super::*;

    fn measured(bench: &str, lines: &str) -> anyhow::Result<Vec<Row>> {
        let bench = BENCHES.iter().find(|known| known.name == bench).unwrap();
        let mut samples = Samples::default();
        samples.read(lines).unwrap();
        rows(bench, &samples)
    }

    #[test]
    fn a_ratio_is_the_references_time_over_ours() {
        let rows = measured(
            "data",
            "{\"name\":\"png x\",\"side\":\"ours\",\"seconds\":[0.02,0.01,0.03]}\n\
             {\"name\":\"png x\",\"side\":\"reference\",\"seconds\":[0.06,0.05,0.07]}\n\
             {\"name\":\"jpeg x\",\"side\":\"ours\",\"seconds\":[0.01]}\n\
             {\"name\":\"jpeg x\",\"side\":\"reference\",\"seconds\":[0.017]}",
        )
        .unwrap();
        assert_eq!(rows.iter().map(|row| row.met).collect::<Vec<_>>(), [Some(false), Some(true)]);
        let expected = "| data | png x | wall | 20.000 ms (10.000 ms) | 60.000 ms (50.000 ms) | 3.00× | ≥ 2.5× | yes | – / – |";
        assert_eq!(table(&rows).lines().nth(3), Some(expected));
    }

    #[test]
    fn a_ratio_without_its_reference_stays_open() {
        let rows = measured("train-step", r#"{"name":"x","side":"ours","seconds":[1.5]}"#).unwrap();
        assert_eq!(rows[0].met, None);
        assert!(table(&rows).contains("| 1.500 s (1.500 s) | – | – | ≥ 1× | – | – |"), "{}", table(&rows));
    }

    #[test]
    fn an_absolute_goal_needs_no_reference() {
        let line =
            |seconds: &str| format!(r#"{{"name":"x","side":"ours","seconds":[{seconds}],"peak_mib":9.6}}"#);
        assert_eq!(measured("plugin-call", &line("1.9e-6")).unwrap()[0].met, Some(true));
        let missed = measured("plugin-call", &line("2.1e-6")).unwrap();
        assert_eq!(missed[0].met, Some(false));
        assert!(table(&missed).contains("| ≤ 2.000 µs | **no** | 10 MiB |"), "{}", table(&missed));
    }

    #[test]
    fn a_goal_of_time_and_memory_needs_both() {
        let line = |seconds: f64, mib: f64| {
            format!(r#"{{"name":"x","side":"ours","seconds":[{seconds}],"peak_mib":{mib}}}"#)
        };
        let met = |seconds, mib| measured("records", &line(seconds, mib)).unwrap()[0].met;
        assert_eq!(
            [met(1.9, 470.0), met(2.1, 470.0), met(1.9, 480.0)],
            [Some(true), Some(false), Some(false)]
        );
        let silent = measured("records", r#"{"name":"x","side":"ours","seconds":[1.0]}"#).unwrap();
        assert_eq!(silent[0].met, None, "a side that does not tell its memory leaves the goal open");
    }

    #[test]
    fn cases_must_have_our_side_and_a_goal() {
        let error = measured("train-step", r#"{"name":"x","side":"reference","seconds":[1]}"#).unwrap_err();
        assert!(error.to_string().contains("only the reference has measured `x`"));
        let error = measured("data", r#"{"name":"gif","side":"ours","seconds":[1]}"#).unwrap_err();
        assert!(error.to_string().contains("no goal for the case `gif`"));
    }
}
