//! placeholder
use crate::cli::BenchOptions;
use crate::workspace::Workspace;
pub(crate) fn run(_w: &Workspace, _o: &BenchOptions) -> anyhow::Result<()> {
    Ok(())
}
