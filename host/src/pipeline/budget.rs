//! How much a run may take: time, trials, GPU hours, disk.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    config::{RunConfig, Size},
    run::state::State,
};

/// How often the folder is measured.
const MEASURE: Duration = Duration::from_secs(5);

/// The budgets of a run, and what this session has taken of them.
pub(super) struct Budget<'a> {
    config: &'a RunConfig,
    began: Instant,
    /// Time of earlier sessions.
    before: Duration,
    /// GPU time of earlier sessions and of trainings that ended in this one.
    gpu: Duration,
    /// When the trainings that are going on began, by worker.
    training: BTreeMap<usize, Instant>,
    measured: Option<(Instant, u64)>,
}

impl<'a> Budget<'a> {
    /// Starts the clocks of a session, whose run has the state `state` before it.
    pub(super) fn new(config: &'a RunConfig, began: Instant, state: &State) -> Self {
        Self {
            config,
            began,
            before: Duration::from_secs_f64(state.seconds()),
            gpu: Duration::from_secs_f64(state.gpu_seconds()),
            training: BTreeMap::new(),
            measured: None,
        }
    }

    /// Notes that `worker` has a training.
    pub(super) fn begin(&mut self, worker: usize) {
        self.training.insert(worker, Instant::now());
    }

    /// Notes that `worker` has none any more.
    pub(super) fn end(&mut self, worker: usize, device: &str) {
        if let Some(began) = self.training.remove(&worker)
            && device.starts_with("cuda")
        {
            self.gpu += began.elapsed();
        }
    }

    /// Says which budget is used up, if one is.
    pub(super) fn exhausted(&mut self, run: &Path, device: &str) -> Option<String> {
        let time = self.before + self.began.elapsed();
        if let Some(max) = self.config.max_time.filter(|max| time >= max.0) {
            return Some(format!("`run.max_time` of {max} is used up"));
        }
        if let Some(max) = self.config.max_gpu_hours.filter(|_| device.starts_with("cuda")) {
            let running: Duration = self.training.values().map(Instant::elapsed).sum();
            if (self.gpu + running).as_secs_f64() >= max * 3600.0 {
                return Some(format!("`run.max_gpu_hours` of {max} is used up"));
            }
        }
        let max = self.config.max_disk?;
        let (_, size) = match self.measured.filter(|(when, _)| when.elapsed() < MEASURE) {
            Some(measured) => measured,
            None => *self.measured.insert((Instant::now(), size_of_folder(run))),
        };
        (size >= max.0).then(|| format!("`run.max_disk` of {max} is used up: the folder has {}", Size(size)))
    }

    /// Whether `trial` is beyond `run.max_trials`.
    pub(super) fn forbids(&self, trial: u32) -> bool {
        self.config.max_trials.is_some_and(|max| trial > max)
    }
}

/// Bytes of all files in `folder`; what vanishes meanwhile does not count.
fn size_of_folder(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            Some(if kind.is_dir() { size_of_folder(&entry.path()) } else { entry.metadata().ok()?.len() })
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;

    #[test]
    fn a_budget_is_exhausted_when_it_is_used_up_and_says_which() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = RunConfig::default();
        let began = Instant::now();
        let exhausted = |config: &RunConfig, device: &str| {
            Budget::new(config, began, &State::default()).exhausted(folder.path(), device)
        };
        assert_eq!(exhausted(&config, "cpu"), None);
        config.max_time = Some(Span(Duration::from_secs(3600)));
        assert_eq!(exhausted(&config, "cpu"), None);
        config.max_time = Some(Span(Duration::ZERO));
        assert!(exhausted(&config, "cpu").unwrap().contains("run.max_time"));
        config.max_time = None;
        config.max_gpu_hours = Some(1e-12);
        assert_eq!(exhausted(&config, "cpu"), None, "a CPU uses no GPU");
        config.max_gpu_hours = None;
        config.max_disk = Some(Size(100));
        assert_eq!(exhausted(&config, "cpu"), None);
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("a/b"), [0; 100]).unwrap();
        assert!(exhausted(&config, "cpu").unwrap().contains("run.max_disk"));
    }

    #[test]
    fn the_folder_is_measured_anew_only_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let config = RunConfig { max_disk: Some(Size(100)), ..RunConfig::default() };
        let mut budget = Budget::new(&config, Instant::now(), &State::default());
        budget.measured = Some((Instant::now().checked_sub(2 * MEASURE).unwrap(), 1000));
        assert_eq!(budget.exhausted(folder.path(), "cpu"), None, "the old size no longer counts");
        std::fs::write(folder.path().join("a"), [0; 100]).unwrap();
        assert_eq!(budget.exhausted(folder.path(), "cpu"), None, "the new one counts for a while");
    }

    #[test]
    fn gpu_time_is_summed_over_workers() {
        let config = RunConfig { max_gpu_hours: Some(10e-3 / 3600.0), ..RunConfig::default() };
        let mut budget = Budget::new(&config, Instant::now(), &State::default());
        budget.begin(0);
        budget.begin(1);
        std::thread::sleep(Duration::from_millis(6));
        budget.end(0, "cuda:0");
        assert!(budget.exhausted(Path::new("."), "cuda:0").unwrap().contains("max_gpu_hours"));
    }

    #[test]
    fn trials_beyond_the_limit_are_forbidden() {
        let config = RunConfig { max_trials: Some(2), ..RunConfig::default() };
        let budget = Budget::new(&config, Instant::now(), &State::default());
        assert_eq!([1, 2, 3].map(|trial| budget.forbids(trial)), [false, false, true]);
    }
}
