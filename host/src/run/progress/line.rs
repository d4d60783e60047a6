//! One line of progress, however it is shown.

use std::{
    fmt::Display,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Mode, Progress, lock, text};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(10);
/// Steps of a bar.
const STEPS: f64 = 1000.0;

/// A line that changes while work goes on. Dropping it leaves its last state on the screen.
#[derive(Debug)]
pub(super) struct Line {
    progress: Progress,
    bar: Option<ProgressBar>,
    start: Instant,
    pace: Mutex<Pace>,
}

impl Line {
    pub(super) fn new(progress: &Progress) -> Self {
        let bar = (progress.mode == Mode::Bars).then(|| {
            let style = ProgressStyle::with_template("{bar:24} {wide_msg}").expect("the template is valid");
            progress.bars.add(ProgressBar::new(STEPS as u64).with_style(style))
        });
        Self { progress: progress.clone(), bar, start: Instant::now(), pace: Mutex::default() }
    }

    /// Shows `text`, with the time that `fraction` of the work took and what is left.
    pub(super) fn show(&self, fraction: Option<f64>, text: &dyn Display) {
        if self.progress.mode == Mode::Silent {
            return;
        }
        let elapsed = self.start.elapsed();
        let text = format!("{text} · {}", text::time(elapsed, fraction));
        match &self.bar {
            Some(bar) => {
                bar.set_position((fraction.unwrap_or(0.0) * STEPS) as u64);
                bar.set_message(text);
            }
            None => {
                let due = lock(&self.pace).due(elapsed, text);
                due.into_iter().for_each(|line| self.write(&line));
            }
        }
    }

    fn write(&self, line: &str) {
        // A closed stderr must not end the run.
        let _ = writeln!(self.progress.lines.lock().unwrap_or_else(|e| e.into_inner()), "{line}");
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        match &self.bar {
            Some(bar) => bar.abandon(),
            None => {
                let last = lock(&self.pace).waiting.take();
                last.into_iter().for_each(|line| self.write(&line));
            }
        }
    }
}

/// Lets a line through every now and then, and keeps the newest of the others.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Duration>,
    waiting: Option<String>,
}

impl Pace {
    /// Returns `line` if it is time for one; `now` counts from the start.
    fn due(&mut self, now: Duration, line: String) -> Option<String> {
        if self.last.is_some_and(|last| now < last + EVERY) {
            self.waiting = Some(line);
            return None;
        }
        self.last = Some(now);
        self.waiting = None;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_their_distance() {
        let mut pace = Pace::default();
        let seconds = [0, 1, 9, 10, 11, 30];
        let due: Vec<_> =
            seconds.iter().filter_map(|s| pace.due(Duration::from_secs(*s), s.to_string())).collect();
        assert_eq!(due, ["0", "10", "30"]);
        assert_eq!(pace.waiting, None);
        pace.due(Duration::from_secs(31), "31".to_owned());
        assert_eq!(pace.waiting.as_deref(), Some("31"));
    }
}
