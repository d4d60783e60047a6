//! `nashost compare`.

use nashost_stats::{bootstrap::Settings, comparison};

use super::{
    Context,
    args::{ByArg, CompareArgs, ConfigArgs},
    comparison::{Shown, exit, refused},
};
use crate::{
    error::{Error, Exit, Result},
    pipeline,
    run::{RunDir, digest::Digest, tables},
    statistics::{
        Collected, Label, OnImages, Patients, collect, images_are_patients, on_images, read_all, read_groups,
    },
};

/// Most trials whose predictions are resampled: each takes part in every resample.
const MOST_TRIALS: usize = 200;

/// Compares methods by their runs.
pub(super) fn command(args: &CompareArgs, context: &Context) -> Result<Exit> {
    let runs = read_all(&args.runs, &args.out, Digest::read)?;
    let label = match args.by {
        ByArg::Method => Label::Method,
        ByArg::Run => Label::Run,
    };
    let mut collected = collect(&runs, args.metric.as_deref(), label)?;
    let plan = args.plan.plan(collected.higher_is_better);
    let report = comparison::compare(&collected.samples, &plan).map_err(|error| refused(&error))?;
    let test_part = match args.resamples {
        0 => None,
        _ => match on_test_part(args, context, &runs, &collected, &report.pairs) {
            Ok(found) => Some(found),
            Err(error) if args.groups.is_some() => return Err(error),
            Err(error) => {
                collected.notes.push(format!("nothing is said of the test part: {}", error.message));
                None
            }
        },
    };
    let shown = Shown::new(collected.metric, report, &plan, collected.trivial, test_part, collected.notes);
    shown.print(context)?;
    match exit(&shown.report, &plan, args.plan.require_better) {
        // A method without a result is not better than the baseline.
        Exit::Ok if args.plan.require_better && !collected.without.is_empty() => Ok(Exit::No),
        ended => Ok(ended),
    }
}

fn on_test_part(
    args: &CompareArgs,
    context: &Context,
    runs: &[(RunDir, Digest)],
    collected: &Collected,
    pairs: &[comparison::Pair],
) -> Result<OnImages> {
    if collected.trials.len() > MOST_TRIALS {
        let message =
            format!("{} trials are too many to resample, {MOST_TRIALS} are not", collected.trials.len());
        return Err(Error::new(Exit::Usage, "E0903", message).help("name fewer runs"));
    }
    let settings = Settings { resamples: args.resamples, seed: args.seed };
    let states = runs.iter().map(|(dir, _)| Ok((dir.clone(), tables::read(dir)?)));
    let runs = &states.collect::<Result<Vec<_>>>()?;
    let compare = |group_of: &dyn Fn(&str) -> Option<String>| {
        on_images(runs, collected, pairs, group_of, args.plan.level, settings)
    };
    if args.groups.is_none() && runs.iter().all(|(_, state)| images_are_patients(state)) {
        return compare(&|id| Some(id.to_owned()));
    }
    let patients = match &args.groups {
        Some(file) => read_groups(file)?,
        None => patients(context, &runs[0].0)?,
    };
    compare(&|id| patients.get(id).cloned())
}

/// The patients of a run's images, from its dataset.
fn patients(context: &Context, run: &RunDir) -> Result<Patients> {
    let (registry, resolved) = context.resolve_run(run, &ConfigArgs::default())?;
    pipeline::patients(&registry, &resolved.config).map_err(|error| {
        let message = format!("the patients of the test images are unknown: {}", error.message);
        Error { message, ..error }.help("name them with --groups FILE (image_id,group)")
    })
}
