//! Log messages of the host and of plugins, on standard error.

use tracing_subscriber::{EnvFilter, fmt};

use super::Context;

/// Starts logging: `-v` raises the level, `NASHOST_LOG` sets it per module (`nashost=debug`).
pub(super) fn start(context: &Context) {
    let level = match (context.global.quiet, context.global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("NASHOST_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let subscriber = fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().finish();
    // A second start, in tests, keeps the first subscriber.
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging was started before");
    }
}
