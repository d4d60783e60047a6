//! What a worker process may do to the rest of the machine.

use std::fs;

use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, getrlimit, set_parent_process_death_signal, setrlimit,
};

use crate::{
    config::Size,
    error::{Error, Exit, Result},
};

/// Which process the kernel ends first when memory runs out; 1000 is the most willing.
const WILLING: &str = "800";

/// Makes the kernel end this process with its driver, and before it when memory runs out.
///
/// # Errors
///
/// Fails if the driver is gone already (E0456).
pub(crate) fn follow(driver: u32) -> Result<()> {
    let gone = || Error::new(Exit::Environment, "E0456", "the driver of this worker is gone");
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|_| gone())?;
    // The driver may have died before the line above.
    if getppid().map(Pid::as_raw_nonzero).map(|pid| pid.get().unsigned_abs()) != Some(driver) {
        return Err(gone());
    }
    // Without /proc the kernel chooses by size alone.
    let _ = fs::write("/proc/self/oom_score_adj", WILLING);
    Ok(())
}

/// Limits what this process may allocate. Mapped files, libraries among them, do not count.
///
/// # Errors
///
/// Fails if the system allows less (E0456).
pub(super) fn memory(size: Size) -> Result<()> {
    let maximum = match crate::sandbox::inside() {
        // There, no plugin may raise it again.
        Some(_) => Some(size.0),
        None => getrlimit(Resource::Data).maximum,
    };
    setrlimit(Resource::Data, Rlimit { current: Some(size.0), maximum }).map_err(|cause| {
        Error::new(Exit::Environment, "E0456", format!("memory cannot be limited to {size}: {cause}"))
            .help("choose another `run.worker_memory`, or leave it out")
    })
}
