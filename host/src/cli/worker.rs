//! `nashost worker`: the process that searches and trains for a run.

use super::{Context, args::WorkerArgs, signals};
use crate::{
    error::{Exit, Result},
    pipeline::Duties,
    plugin::PROGRESS,
    worker,
};

/// Serves a driver until it is content.
pub(super) fn command(args: &WorkerArgs, context: &Context) -> Result<Exit> {
    // A batch system may signal every process of a job, not only the driver.
    signals::watch()?;
    let registry = context.registry_of_driver()?;
    worker::serve(args.driver, &context.log, &PROGRESS, |setup| {
        Ok(Duties::new(&registry, setup.clone(), &PROGRESS))
    })
}
