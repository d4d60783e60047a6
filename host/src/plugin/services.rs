//! What the host does for plugins: logs, cancellation, progress.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use nashost_plugin_api::abi::host::{CancelState, HostServices, LogRecord};
use tracing::level_filters::LevelFilter;

/// Rises with everything that this process does, and with what its plugins tell of their own.
pub(crate) static PROGRESS: AtomicU64 = AtomicU64::new(0);

static CANCEL: AtomicU8 = AtomicU8::new(0);

/// Returns whether the process is being stopped.
pub fn cancel_state() -> CancelState {
    match CANCEL.load(Ordering::Relaxed) {
        0 => CancelState::Go,
        1 => CancelState::FinishTrial,
        _ => CancelState::StopNow,
    }
}

/// Asks everything in the process, plugins included, to stop; never takes a request back.
pub fn request_cancel(state: CancelState) {
    CANCEL.fetch_max(state as u8, Ordering::Relaxed);
}

/// Services for one plugin.
pub(super) struct Services {
    plugin: String,
}

impl Services {
    pub(super) fn new(plugin: &str) -> Self {
        Self { plugin: plugin.to_owned() }
    }
}

impl HostServices for Services {
    fn log(&self, record: &LogRecord<'_>) {
        let (plugin, from, span, fields) =
            (self.plugin.as_str(), record.target, record.span_path, record.fields);
        let line = record.line;
        macro_rules! emit {
            ($level:ident) => {
                tracing::$level!(target: "plugin", plugin, from, line, span, fields, "{}", record.message)
            };
        }
        match record.level {
            1 => emit!(error),
            2 => emit!(warn),
            3 => emit!(info),
            4 => emit!(debug),
            _ => emit!(trace),
        }
    }

    fn log_max_level(&self) -> u8 {
        match LevelFilter::current() {
            LevelFilter::OFF => 0,
            LevelFilter::ERROR => 1,
            LevelFilter::WARN => 2,
            LevelFilter::INFO => 3,
            LevelFilter::DEBUG => 4,
            _ => 5,
        }
    }

    fn cancel_state(&self) -> CancelState {
        cancel_state()
    }

    fn progress(&self, step: u64, total: u64) {
        PROGRESS.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(target: "plugin", plugin = self.plugin, step, total, "progress");
    }

    fn metric(&self, name: &str, step: u64, value: f64) {
        PROGRESS.fetch_add(1, Ordering::Relaxed);
        tracing::info!(target: "plugin", plugin = self.plugin, name, step, value, "metric");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_plugin_tells_of_itself_is_progress() {
        let services = Services::new("x");
        for tell in [|s: &Services| s.progress(1, 0), |s: &Services| s.metric("loss", 1, 0.5)] {
            let before = PROGRESS.load(Ordering::Relaxed);
            tell(&services);
            assert!(PROGRESS.load(Ordering::Relaxed) > before);
        }
    }
}
