//! The words of progress lines.

use std::{
    fmt::{self, Display},
    time::Duration,
};

/// `images 300/933`.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecodeText {
    pub(super) done: u64,
    pub(super) images: u64,
}

impl DecodeText {
    pub(super) fn fraction(&self) -> Option<f64> {
        fraction(self.done, Some(self.images))
    }
}

impl Display for DecodeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "images {}/{}", self.done, self.images)
    }
}

/// `search 1200/5000 · best 138.2 · 310 rejected`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SearchText {
    pub(super) evaluated: u64,
    pub(super) evaluations: Option<u64>,
    pub(super) best: Option<f64>,
    pub(super) rejected: u64,
}

impl SearchText {
    pub(super) fn fraction(&self) -> Option<f64> {
        fraction(self.evaluated, self.evaluations)
    }
}

impl Display for SearchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "search {}", self.evaluated)?;
        if let Some(evaluations) = self.evaluations {
            write!(f, "/{evaluations}")?;
        }
        if let Some(best) = self.best {
            write!(f, " · best {best:.2}")?;
        }
        if self.rejected > 0 {
            write!(f, " · {} rejected", self.rejected)?;
        }
        Ok(())
    }
}

/// `search step 12/40 · weights, epoch 3 · loss 0.520`.
#[derive(Debug, Clone, Default)]
pub(super) struct OneShotText {
    pub(super) step: u64,
    pub(super) steps: Option<u64>,
    pub(super) phase: String,
    pub(super) epoch: u64,
    pub(super) loss: Option<f64>,
}

impl OneShotText {
    pub(super) fn fraction(&self) -> Option<f64> {
        fraction(self.step, self.steps)
    }
}

impl Display for OneShotText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "search step {}", self.step)?;
        if let Some(steps) = self.steps {
            write!(f, "/{steps}")?;
        }
        write!(f, " · {}, epoch {}", self.phase, self.epoch)?;
        match self.loss {
            Some(loss) => write!(f, " · loss {loss:.3}"),
            None => Ok(()),
        }
    }
}

fn fraction(done: u64, all: Option<u64>) -> Option<f64> {
    all.filter(|all| *all > 0).map(|all| done as f64 / all as f64)
}

/// `trial 17/40 · epoch 6/15 · val macro-F1 0.21 (best 0.26, trial 9) · 3 failed`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TrainingText {
    pub(super) trial: u32,
    pub(super) trials: u32,
    pub(super) epoch: u32,
    pub(super) epochs: u32,
    pub(super) val: Option<f64>,
    /// Best value and its trial.
    pub(super) best: Option<(f64, u32)>,
    pub(super) failed: u32,
}

impl TrainingText {
    /// Takes note of a validation value of the current trial.
    pub(super) fn see(&mut self, val: Option<f64>) {
        self.val = val;
        if let Some(val) = val
            && self.best.is_none_or(|(best, _)| val > best)
        {
            self.best = Some((val, self.trial));
        }
    }
}

impl Display for TrainingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trial {}/{} · epoch {}/{}", self.trial, self.trials, self.epoch, self.epochs)?;
        match (self.val, self.best) {
            (Some(val), Some((best, trial))) => {
                write!(f, " · val macro-F1 {val:.2} (best {best:.2}, trial {trial})")?;
            }
            (None, Some((best, trial))) => write!(f, " · best val macro-F1 {best:.2} (trial {trial})")?,
            (_, None) => {}
        }
        if self.failed > 0 {
            write!(f, " · {} failed", self.failed)?;
        }
        Ok(())
    }
}

/// `41 min, ~58 min left`, as far as `fraction` lets one say.
pub(super) fn time(elapsed: Duration, fraction: Option<f64>) -> String {
    let left = fraction
        .filter(|done| *done > 0.0 && *done < 1.0)
        .and_then(|done| Duration::try_from_secs_f64(elapsed.as_secs_f64() * (1.0 - done) / done).ok());
    match left {
        Some(left) => format!("{}, ~{} left", duration(elapsed), duration(left)),
        None => duration(elapsed),
    }
}

fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_reads_as_documented() {
        let text = TrainingText {
            trial: 17,
            trials: 40,
            epoch: 6,
            epochs: 15,
            val: Some(0.21),
            best: Some((0.26, 9)),
            failed: 3,
        };
        let elapsed = Duration::from_secs(41 * 60);
        let line = format!("{text} · {}", time(elapsed, Some(41.0 / 99.0)));
        assert_eq!(
            line,
            "trial 17/40 · epoch 6/15 · val macro-F1 0.21 (best 0.26, trial 9) · 3 failed · 41 min, ~58 min left"
        );
    }

    #[test]
    fn an_undefined_value_does_not_hide_the_best() {
        let mut text = TrainingText { trial: 1, trials: 2, epoch: 1, epochs: 3, ..TrainingText::default() };
        text.see(None);
        assert_eq!(text.to_string(), "trial 1/2 · epoch 1/3");
        text.see(Some(0.3));
        text.see(Some(0.2));
        text.see(None);
        assert_eq!(text.to_string(), "trial 1/2 · epoch 1/3 · best val macro-F1 0.30 (trial 1)");
    }

    #[test]
    fn time_is_told_as_far_as_it_is_known() {
        let seconds = Duration::from_secs;
        assert_eq!(time(seconds(5), None), "5 s");
        assert_eq!(time(seconds(5), Some(0.0)), "5 s");
        assert_eq!(time(seconds(5), Some(0.5)), "5 s, ~5 s left");
        assert_eq!(time(seconds(7500), Some(1.0)), "2 h 05 min");
        assert_eq!(time(seconds(7500), Some(1e-300)), "2 h 05 min", "too long to say");
    }
}
