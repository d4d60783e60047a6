//! Runs as users look at them: `nashost runs` and `nashost show`.

use std::path::{Path, PathBuf};

use comfy_table::{Cell, CellAlignment, Table, presets};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    claim::RunStatus,
    dir::RunDir,
    summary::{Aggregate, HEADLINE, MethodSummary, Summary},
    tables,
    time::Timestamp,
    times::Times,
};
use crate::error::Result;

/// One line of `nashost runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunLine {
    /// Identity of the run: the name of its directory.
    pub run_id: String,
    /// The end of it that is enough on the command line.
    pub id: String,
    /// What the user called it.
    pub name: String,
    /// How it stands.
    pub status: RunStatus,
    /// Its directory.
    pub path: PathBuf,
}

impl RunLine {
    fn of(run: &RunDir) -> Result<Self> {
        Ok(Self {
            run_id: run.id().to_owned(),
            id: run.short_id().to_owned(),
            name: run.name().to_owned(),
            status: RunStatus::of(run)?,
            path: run.path().to_owned(),
        })
    }
}

/// Lists the runs in `out`, oldest first, from markers and locks alone.
///
/// # Errors
///
/// Fails if `out` cannot be read.
pub fn runs(out: &Path) -> Result<Vec<RunLine>> {
    RunDir::list(out)?.par_iter().map(RunLine::of).collect()
}

/// Returns the table of `nashost runs`. Names of runs are ASCII, so a column is as wide as its longest
/// cell has bytes; a table for any text takes seconds for a hundred thousand rows.
pub fn runs_table(runs: &[RunLine]) -> String {
    let header = ["id", "name", "status", "directory"];
    let rows = || runs.iter().map(|run| [&*run.id, &*run.name, run.status.name(), &*run.run_id]);
    let mut widths = header.map(str::len);
    for row in rows() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let [id, name, status, _] = widths;
    let lines = std::iter::once(header).chain(rows());
    lines
        .map(|cells| format!("{:id$}  {:name$}  {:status$}  {}\n", cells[0], cells[1], cells[2], cells[3]))
        .collect()
}

/// A run in detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// Identity and state.
    pub run: RunLine,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When the last event was written.
    pub last_event_at: Option<Timestamp>,
    /// What the events say so far.
    pub summary: Summary,
    /// Where the time went.
    pub times: Times,
    /// Trials.
    pub trials: Vec<TrialLine>,
}

/// A trial in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrialLine {
    /// `T0001`.
    pub trial: String,
    /// Name of the method.
    pub method: String,
    /// Seed.
    pub seed: u64,
    /// `queued`, `running`, `done`, `failed`, `oom`, `timeout` or `crashed`.
    pub state: String,
    /// Epochs trained.
    pub epochs_done: u64,
    /// Epochs asked for.
    pub epochs: u32,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Looks at a run, which may be running, through its events.
///
/// # Errors
///
/// Fails if the events are damaged.
pub fn show(run: &RunDir) -> Result<Shown> {
    let state = tables::read(run)?;
    let trials = state.trials.values().map(|trial| TrialLine {
        trial: trial.request.name(),
        method: trial.request.method.clone(),
        seed: trial.request.seed,
        state: trial.phase().to_owned(),
        epochs_done: trial.epochs.len() as u64,
        epochs: trial.request.train.epochs,
        failure: trial.failure().map(|f| format!("{}: {}", f.failure.code, f.failure.message)),
    });
    Ok(Shown {
        run: RunLine::of(run)?,
        started_at: state.started.as_ref().map(|(time, _)| *time),
        last_event_at: state.last,
        trials: trials.collect(),
        summary: Summary::of(&state),
        times: Times::of(&state),
    })
}

impl Shown {
    /// Returns the text of `nashost show`.
    pub fn text(&self) -> String {
        let mut blocks =
            vec![format!("run {} · {} · {}", self.run.id, self.run.name, self.run.status.name())];
        blocks.extend(self.search_line());
        if !self.trials.is_empty() {
            blocks.push(self.trials_table());
        }
        blocks.extend(results_table(&self.summary));
        blocks.extend(self.summary.warnings.iter().map(|warning| format!("warning: {warning}")));
        blocks.push(self.times.text());
        blocks.push(format!("files: {}", self.run.path.display()));
        blocks.join("\n") + "\n"
    }

    fn search_line(&self) -> Option<String> {
        let search = self.summary.search.as_ref()?;
        let best = search.best.as_ref().map(|best| format!(", best {} {:.4}", search.metric, best.value));
        let note = if search.uses_data { "" } else { " (reads no images)" };
        let extent = match search.steps {
            0 => format!("{} candidates", search.candidates),
            steps => format!("{steps} steps"),
        };
        let line = format!(
            "search: {} on {}, {extent}{}{note}",
            search.strategy,
            search.space,
            best.unwrap_or_default()
        );
        Some(search.roles.iter().fold(line, |line, roles| format!("{line}\n        {roles}")))
    }

    fn trials_table(&self) -> String {
        let mut table = plain(&["trial", "method", "seed", "state", "epochs", "failure"]);
        for trial in &self.trials {
            table.add_row([
                trial.trial.clone(),
                trial.method.clone(),
                trial.seed.to_string(),
                trial.state.clone(),
                format!("{}/{}", trial.epochs_done, trial.epochs),
                trial.failure.clone().unwrap_or_default(),
            ]);
        }
        table.to_string()
    }
}

/// Returns methods and trivial predictors beside each other on the test part, by the headline
/// metrics that the run has; `None` as long as nothing was evaluated.
pub fn results_table(summary: &Summary) -> Option<String> {
    let rows: Vec<_> =
        summary.methods.iter().chain(&summary.baselines).filter(|row| !row.test.is_empty()).collect();
    let names: Vec<&str> =
        HEADLINE.into_iter().filter(|name| rows.iter().any(|row| row.test.contains_key(*name))).collect();
    if names.is_empty() {
        return None;
    }
    let mut table = plain(&[&["on the test set", "seeds"], &names[..]].concat());
    for row in rows {
        table.add_row(result_row(row, &names));
    }
    for index in 1..=names.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Some(table.to_string())
}

fn result_row(row: &MethodSummary, names: &[&str]) -> Vec<Cell> {
    let values = names.iter().map(|name| row.test.get(*name).map_or_else(String::new, value));
    [row.method.clone(), row.seeds.to_string()].into_iter().chain(values).map(Cell::new).collect()
}

/// `0.211 ± 0.030 [0.150, 0.270]`, or `undefined`.
fn value(aggregate: &Aggregate) -> String {
    let Some(mean) = aggregate.mean else { return "undefined".to_owned() };
    let sd = aggregate.sd.map(|sd| format!(" ± {sd:.3}")).unwrap_or_default();
    let ci = aggregate.ci95.map(|[low, high]| format!(" [{low:.3}, {high:.3}]")).unwrap_or_default();
    format!("{mean:.3}{sd}{ci}")
}

/// A table without lines, which reads well and greps well.
fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Ending, Recorder, testing};

    fn finished(out: &Path) -> RunDir {
        let mut recorder = Recorder::create(RunDir::create(out, "neck").unwrap()).unwrap();
        let dir = recorder.dir().clone();
        let mut events = testing::run();
        events.pop();
        for event in events {
            recorder.record(event).unwrap();
        }
        recorder.finish(Ending::Done, None).unwrap();
        dir
    }

    #[test]
    fn runs_are_listed_with_their_state() {
        let out = tempfile::tempdir().unwrap();
        assert!(runs(&out.path().join("none yet")).unwrap().is_empty());
        let done = finished(out.path());
        drop(RunDir::create(out.path(), "killed").unwrap());
        let live = RunDir::create(out.path(), "live").unwrap();
        let runs = runs(out.path()).unwrap();
        let mut states: Vec<_> = runs.iter().map(|run| (run.name.as_str(), run.status)).collect();
        states.sort_by_key(|(name, _)| *name);
        assert_eq!(
            states,
            [("killed", RunStatus::Interrupted), ("live", RunStatus::Running), ("neck", RunStatus::Done)]
        );
        drop(live);
        let table = runs_table(&runs);
        assert!(table.contains(done.short_id()) && table.contains("interrupted"), "{table}");
        let columns: Vec<_> = table.lines().map(|line| line.rfind("  ")).collect();
        assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }

    #[test]
    fn a_run_is_shown_with_its_baselines() {
        let out = tempfile::tempdir().unwrap();
        let shown = show(&finished(out.path())).unwrap();
        assert_eq!(shown.trials.len(), 2);
        let text = shown.text();
        for part in [
            "zennas",
            "all-positive",
            "0.250 [0.125, 0.375]",
            "undefined",
            "E0601: loss is NaN",
            "reads no images",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        let json = serde_json::to_string(&shown).unwrap();
        assert_eq!(serde_json::from_str::<Shown>(&json).unwrap(), shown);
    }

    #[test]
    fn a_run_without_events_is_shown_empty() {
        let out = tempfile::tempdir().unwrap();
        let recorder = Recorder::create(RunDir::create(out.path(), "neck").unwrap()).unwrap();
        let shown = show(recorder.dir()).unwrap();
        assert_eq!(shown.run.status, RunStatus::Running);
        assert!(shown.text().starts_with("run "), "{}", shown.text());
    }
}
