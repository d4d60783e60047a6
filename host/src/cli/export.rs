//! `nashost export`.

use nashost_export::Input;

use super::{
    Context,
    args::{ExportArgs, ExportInput, Format},
};
use crate::{
    error::{Exit, Result},
    export::{TrainedModel, write},
    run::RunDir,
};

/// Writes a trained network for other programs.
pub(super) fn command(args: &ExportArgs, context: &Context) -> Result<Exit> {
    let model = TrainedModel::open(&RunDir::open(&args.run, &args.out)?, &args.trial)?;
    let input = match args.input {
        ExportInput::Pixels => Input::Pixels,
        ExportInput::Normalised => Input::Normalised,
    };
    let description = write(&model, args.kind, input, &args.to, context.global.yes)?;
    if context.out.format() == Format::Json {
        context.out.json(&description)?;
    }
    context.out.note(&format!(
        "wrote {}: {} after epoch {} of run {}",
        args.to.display(),
        description.trial,
        description.epoch,
        description.run_id
    ));
    Ok(Exit::Ok)
}
