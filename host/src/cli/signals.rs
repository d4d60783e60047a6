//! Ctrl-C and its relatives: the first asks everything to finish its step, the second stops now.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use nashost_plugin_api::abi::host::CancelState;
use signal_hook::{
    consts::{SIGINT, SIGTERM, SIGUSR1},
    iterator::Signals,
};

use crate::{
    error::{Error, Exit, Result},
    plugin::request_cancel,
};

/// Status of the first signal that came; 0 if none did.
static EXIT: AtomicU8 = AtomicU8::new(0);

/// Signals that follow the first one within this time are the same request. systemd and Slurm signal every process of
/// a job, and a process that started others passes its signal on to them.
const SAME_REQUEST: Duration = Duration::from_secs(1);

/// Watches for signals from now on.
///
/// # Errors
///
/// Fails if the system refuses a handler.
pub(super) fn watch() -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGUSR1])
        .map_err(|e| Error::new(Exit::Environment, "E0455", format!("signals cannot be watched: {e}")))?;
    std::thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in &mut signals {
            // Slurm warns with SIGUSR1 before a job's time is up.
            let exit = if signal == SIGINT { Exit::Interrupted } else { Exit::Terminated };
            match first {
                None => {
                    first = Some(Instant::now());
                    EXIT.store(exit as u8, Ordering::Relaxed);
                    tracing::warn!("stopping after this step; once more stops now");
                    request_cancel(CancelState::FinishTrial);
                }
                Some(since) if since.elapsed() < SAME_REQUEST => {}
                // Files are written by atomic renames and synced appends, so nothing is lost here.
                Some(_) => std::process::exit(i32::from(exit as u8)),
            }
        }
    });
    Ok(())
}

/// Status of a process that was stopped: 130 after SIGINT, 143 after SIGTERM.
pub(super) fn exit(otherwise: Exit) -> Exit {
    match EXIT.load(Ordering::Relaxed) {
        143 => Exit::Terminated,
        130 => Exit::Interrupted,
        _ => otherwise,
    }
}
