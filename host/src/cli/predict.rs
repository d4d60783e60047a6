//! `nashost predict`.

use nashost_plugin_torch::parse_device;

use super::{Context, args::PredictArgs};
use crate::{
    device,
    error::{Error, Exit, Result},
    export::{ImageList, TrainedModel, require_image_files, score},
    run::RunDir,
};

/// Most images that are named one by one on the terminal; the answer has all.
const SHOWN: usize = 20;

/// Scores images with a trained network.
///
/// # Errors
///
/// Fails with E0926 if the run was not trained on pixels as image files have them; with E0925 if an image has no scores,
/// those of the others are written nevertheless.
pub(super) fn command(args: &PredictArgs, context: &Context) -> Result<Exit> {
    let run = RunDir::open(&args.run, &args.out)?;
    let model = TrainedModel::open(&run, &args.trial)?;
    require_image_files(&model.request.dataset.id)?;
    let list = ImageList::read(&args.images, &args.column)?;
    if args.to.exists() && !context.global.yes {
        let message = format!("{} exists", args.to.display());
        return Err(
            Error::new(Exit::Usage, "E0210", message).help("name another file, or replace it with `-y`")
        );
    }
    if list.others > 0 {
        let others = list.others;
        context.out.note(&format!("{others} files are left out: their names do not end as those of images"));
    }
    let name = device::resolve(&args.device)?.name;
    let device =
        parse_device(&name).map_err(|why| Error::new(Exit::Environment, "E0451", why.to_string()))?;
    let files = list.open(&context.registry_of(&run)?, model.info.channels)?;
    let bar = context.progress.decode(list.len() as u64);
    let scored = score(&model, &files, list.len(), device, &|done| bar.reach(done as u64))?;
    drop(bar);
    scored.write(&model, &list.names, &args.to)?;
    let unusable = scored.unusable();
    context.out.note(&format!(
        "wrote {}: {} of {} images scored by {}",
        args.to.display(),
        list.len() - unusable,
        list.len(),
        model.request.name()
    ));
    if unusable == 0 {
        return Ok(Exit::Ok);
    }
    let named = list.names.iter().zip(&scored.images);
    let bad: Vec<String> =
        named.filter_map(|(name, image)| Some(format!("{name}: {}", image.as_ref().err()?))).collect();
    let mut message = format!("{unusable} of {} images have no scores:", list.len());
    for line in bad.iter().take(SHOWN) {
        message += &format!("\n{line}");
    }
    if bad.len() > SHOWN {
        message += &format!("\nand {} more", bad.len() - SHOWN);
    }
    Err(Error::new(Exit::No, "E0925", message)
        .help(format!("column `why` of {} has all of them", args.to.display())))
}
