//! What plugin code may ask of its host.

use std::sync::OnceLock;

use crate::abi::host::{CancelState, HostRef};

static HOST: OnceLock<HostRef> = OnceLock::new();

pub(crate) fn set_host(host: HostRef) -> bool {
    HOST.set(host).is_ok()
}

/// The run was cancelled. Passing it on with `?` tells the host that the plugin stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the run was cancelled")]
pub struct Cancelled;

/// Fails if the host wants the plugin to stop now. Call it once per batch or step.
///
/// A run that is being stopped waits for the calls in progress: what is answered within some ten seconds
/// is kept. Then this fails, and a process with a call that has not come back within a minute is ended.
///
/// Outside a host, as in a unit test of the plugin, it never fails.
///
/// # Errors
///
/// Fails with [`Cancelled`] if the run is being stopped.
pub fn check_cancelled() -> Result<(), Cancelled> {
    match HOST.get().map(|host| host.cancel_state()) {
        Some(CancelState::StopNow) => Err(Cancelled),
        _ => Ok(()),
    }
}

/// Reports progress inside a long call; `total` is 0 if unknown. Does nothing outside a host.
///
/// Call it every few seconds: a process that neither answers nor reports anything for `run.stall` is taken
/// to be stuck, and ended.
pub fn progress(step: u64, total: u64) {
    if let Some(host) = HOST.get() {
        host.progress(step, total);
    }
}

/// Reports a named number to the run's log, which counts as progress. Does nothing outside a host.
pub fn metric(name: &str, step: u64, value: f64) {
    if let Some(host) = HOST.get() {
        host.metric(name, step, value);
    }
}

/// Returns the generation of the host; `None` from one that is too old to say.
#[cfg(nashost_next_abi)]
pub fn host_generation() -> Option<u32> {
    HOST.get().and_then(|host| host.generation())
}
