//! Progress on stderr: a bar on a terminal, plain lines now and then elsewhere, or nothing.

mod line;
mod text;

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use indicatif::{MultiProgress, ProgressDrawTarget};

use self::{
    line::Line,
    text::{DecodeText, OneShotText, SearchText, TrainingText},
};
use super::trial::{TrialEvent, TrialRequest};

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A bar that is redrawn.
    Bars,
    /// A line every ten seconds, for files and pipes.
    Lines,
    /// Nothing.
    Silent,
}

impl Mode {
    /// Chooses by the flags `-q` and `--no-progress`, and by whether stderr is a terminal.
    pub fn detect(quiet: bool, no_progress: bool) -> Self {
        match () {
            () if quiet || no_progress => Self::Silent,
            () if io::stderr().is_terminal() => Self::Bars,
            () => Self::Lines,
        }
    }
}

/// Where progress is shown. Clones show it in the same place.
#[derive(Clone)]
pub struct Progress {
    mode: Mode,
    bars: MultiProgress,
    lines: Arc<Mutex<dyn Write + Send>>,
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Progress").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Progress {
    /// Shows progress on stderr.
    pub fn new(mode: Mode) -> Self {
        Self::on(mode, io::stderr())
    }

    fn on(mode: Mode, lines: impl Write + Send + 'static) -> Self {
        let target = match mode {
            Mode::Bars => ProgressDrawTarget::stderr(),
            Mode::Lines | Mode::Silent => ProgressDrawTarget::hidden(),
        };
        Self { mode, bars: MultiProgress::with_draw_target(target), lines: Arc::new(Mutex::new(lines)) }
    }

    /// Takes bars off the screen while `write` writes to the terminal.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bars.suspend(write)
    }

    /// Shows the decoding of `images` images.
    pub fn decode(&self, images: u64) -> DecodeProgress {
        DecodeProgress { line: Line::new(self), state: Mutex::new(DecodeText { done: 0, images }) }
    }

    /// Shows a search, of `evaluations` evaluations as far as that is known.
    pub fn search(&self, evaluations: Option<u64>) -> SearchProgress {
        let line = Line::new(self);
        SearchProgress { line, state: Mutex::new(SearchText { evaluations, ..SearchText::default() }) }
    }

    /// Shows a one-shot search.
    pub fn one_shot(&self) -> OneShotProgress {
        OneShotProgress { line: Line::new(self), state: Mutex::default() }
    }

    /// Says something that is worth knowing while work goes on.
    pub fn note(&self, text: &str) {
        if self.mode != Mode::Silent {
            // A closed stderr must not end the run.
            self.suspend(|| {
                let _ = writeln!(lock(&self.lines), "note: {text}");
            });
        }
    }

    /// Shows the training of `trials` trials.
    pub fn training(&self, trials: u32) -> TrainingProgress {
        let state =
            Training { text: TrainingText { trials, ..TrainingText::default() }, ..Training::default() };
        TrainingProgress { line: Line::new(self), state: Mutex::new(state) }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The progress of decoding; dropping it ends the display. May be shared between threads.
#[derive(Debug)]
pub struct DecodeProgress {
    line: Line,
    state: Mutex<DecodeText>,
}

impl DecodeProgress {
    /// Counts `images` more images.
    pub fn advance(&self, images: u64) {
        let mut state = lock(&self.state);
        state.done += images;
        self.line.show(state.fraction(), &*state);
    }

    /// Shows that `images` images are done; threads may come late with smaller numbers.
    pub fn reach(&self, images: u64) {
        let mut state = lock(&self.state);
        state.done = state.done.max(images);
        self.line.show(state.fraction(), &*state);
    }
}

/// The progress of a search; dropping it ends the display. May be shared between threads.
#[derive(Debug)]
pub struct SearchProgress {
    line: Line,
    state: Mutex<SearchText>,
}

impl SearchProgress {
    /// Shows how many candidates were evaluated, the best value so far, and how many candidates
    /// broke a budget.
    pub fn update(&self, evaluated: u64, best: Option<f64>, rejected: u64) {
        let mut state = lock(&self.state);
        *state = SearchText { evaluated, best, rejected, ..*state };
        self.line.show(state.fraction(), &*state);
    }
}

/// The progress of a one-shot search; dropping it ends the display.
#[derive(Debug)]
pub struct OneShotProgress {
    line: Line,
    state: Mutex<OneShotText>,
}

impl OneShotProgress {
    /// Takes note of how many steps there will be, as far as that is known.
    pub fn expect(&self, steps: Option<u64>) {
        lock(&self.state).steps = steps;
    }

    /// Shows what a step did; of its numbers, the loss.
    pub fn update(&self, step: u64, phase: &str, epoch: u64, numbers: &BTreeMap<String, f64>) {
        let mut state = lock(&self.state);
        let loss = numbers.get("loss").copied().or(state.loss);
        *state = OneShotText { step, steps: state.steps, phase: phase.to_owned(), epoch, loss };
        self.line.show(state.fraction(), &*state);
    }
}

/// The progress of training; dropping it ends the display. May be shared between threads.
#[derive(Debug)]
pub struct TrainingProgress {
    line: Line,
    state: Mutex<Training>,
}

#[derive(Debug, Default)]
struct Training {
    text: TrainingText,
    ended: u32,
    /// Share of the work that is done of each running trial.
    running: BTreeMap<u32, f64>,
}

/// The metric on display.
const SHOWN: &str = "macro_f1";

impl TrainingProgress {
    /// Counts a trial that ended before this process began.
    pub fn skip(&self, request: &TrialRequest, done: bool) {
        let state = &mut *lock(&self.state);
        state.text.trial = request.trial;
        state.text.failed += u32::from(!done);
        state.ended += 1;
    }

    /// Shows what the trial `request` tells.
    pub fn tell(&self, request: &TrialRequest, event: &TrialEvent) {
        let state = &mut *lock(&self.state);
        let epochs = request.train.epochs;
        let share = |epochs_done: f64| if epochs == 0 { 0.0 } else { epochs_done / f64::from(epochs) };
        state.text.trial = request.trial;
        state.text.epochs = epochs;
        match event {
            TrialEvent::Started { .. } => {
                (state.text.epoch, state.text.val) = (0, None);
                state.running.insert(request.trial, 0.0);
            }
            TrialEvent::Step { epoch, step, steps } => {
                state.text.epoch = *epoch;
                let of_epoch = if *steps == 0 { 0.0 } else { *step as f64 / *steps as f64 };
                state.running.insert(request.trial, share(f64::from(*epoch) - 1.0 + of_epoch));
            }
            TrialEvent::Epoch(report) => {
                state.text.epoch = report.epoch;
                state.text.see(report.val.overall.get(SHOWN).and_then(|value| value.value));
                state.running.insert(request.trial, share(f64::from(report.epoch)));
            }
            TrialEvent::Checkpoint(_) => {}
            TrialEvent::Finished(_) | TrialEvent::Failed { .. } => {
                state.text.failed += u32::from(matches!(event, TrialEvent::Failed { .. }));
                state.running.remove(&request.trial);
                state.ended += 1;
            }
        }
        let done = f64::from(state.ended) + state.running.values().sum::<f64>();
        self.line.show((state.text.trials > 0).then(|| done / f64::from(state.text.trials)), &state.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{testing, trial::FailureKind};

    /// A stderr that can be looked at.
    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(mode: Mode, tell: impl FnOnce(&Progress)) -> Vec<String> {
        let screen = Screen::default();
        tell(&Progress::on(mode, screen.clone()));
        let bytes = lock(&screen.0).clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|l| l.split(" · 0 s").next().unwrap().to_owned())
            .collect()
    }

    fn train(progress: &Progress) {
        let training = progress.training(2);
        let (first, second) = (testing::request(1, 1), testing::request(2, 1));
        training.tell(&first, &TrialEvent::Started { params: 1, macs: 1 });
        training.tell(&first, &TrialEvent::Step { epoch: 1, step: 3, steps: 4 });
        training.tell(&first, &TrialEvent::Epoch(testing::epoch(1, 0.5)));
        training.tell(&first, &testing::finished(0.25));
        training.tell(&second, &TrialEvent::Started { params: 1, macs: 1 });
        let kind = FailureKind::Failed;
        training
            .tell(&second, &TrialEvent::Failed { kind, code: "E0601".to_owned(), message: String::new() });
    }

    #[test]
    fn lines_are_few_and_the_last_one_is_always_there() {
        let lines = shown(Mode::Lines, train);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("trial 1/2 · epoch 0/15"), "{lines:?}");
        assert!(
            lines[1].starts_with("trial 2/2 · epoch 0/15 · best val macro-F1 0.25 (trial 1) · 1 failed"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_one_shot_search_keeps_its_last_loss_and_notes_are_whole_lines() {
        let lines = shown(Mode::Lines, |progress| {
            progress.note("the search reads images");
            let search = progress.one_shot();
            search.expect(Some(4));
            search.update(3, "weights", 2, &BTreeMap::from([("loss".to_owned(), 0.52)]));
            search.update(4, "values", 2, &BTreeMap::new());
        });
        assert_eq!(lines[0], "note: the search reads images");
        assert_eq!(lines.last().unwrap(), "search step 4/4 · values, epoch 2 · loss 0.520");
    }

    #[test]
    fn silence_is_silent() {
        assert!(shown(Mode::Silent, train).is_empty());
    }

    #[test]
    fn threads_share_a_display() {
        let lines = shown(Mode::Lines, |progress| {
            let decode = progress.decode(400);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..100).for_each(|_| decode.advance(1)));
                }
            });
        });
        assert_eq!(lines.last().unwrap(), "images 400/400");
    }

    #[test]
    fn a_search_shows_its_best() {
        let lines = shown(Mode::Lines, |progress| {
            let search = progress.search(Some(500));
            search.update(1, None, 0);
            search.update(500, Some(138.25), 30);
        });
        assert_eq!(lines, ["search 1/500", "search 500/500 · best 138.25 · 30 rejected"]);
    }
}
