//! `nashost stats`.

use std::path::Path;

use nashost_stats::{
    comparison::{self, Sample},
    study::files::{self, Layout, Tested},
    table,
};
use serde_json::json;

use super::{
    Context,
    args::{Format, StatsArgs},
    comparison::{Shown, exit, refused},
    output::Table,
};
use crate::error::{Error, Exit, Result};

/// Warning on every use of values that were picked or tuned on the test set.
const ON_TEST: &str = "these are settings of a grid, scored on the test set: neither replicates nor independent, so \
                       no p-value of them is valid";

/// Compares methods by files of results.
pub(super) fn command(args: &StatsArgs, context: &Context) -> Result<Exit> {
    let texts = args.files.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let layouts: Vec<Option<Layout>> = texts.iter().map(|text| Layout::of(text)).collect();
    if layouts.iter().all(|layout| *layout == Some(Layout::Output)) {
        return outputs(args, context, &texts);
    }
    let mut notes = Vec::new();
    let mut samples: Vec<Sample> = Vec::new();
    let mut metric = args.metric.clone().unwrap_or_else(|| "value".to_owned());
    for ((path, text), layout) in args.files.iter().zip(&texts).zip(layouts) {
        let of_file = match layout {
            None => table::read(text, &metric).map_err(|why| unusable(path, &why))?,
            Some(Layout::Grid) => {
                if args.metric.is_none() {
                    metric = "accuracy".to_owned();
                }
                if notes.is_empty() {
                    notes.push(ON_TEST.to_owned());
                }
                vec![grid(path, text, &metric)?]
            }
            Some(Layout::Output) => {
                return Err(unusable(
                    path,
                    &"an output.csv of the study is one run; compare GridSearchResults.csv files",
                ));
            }
        };
        for sample in of_file {
            match samples.iter_mut().find(|known| known.method == sample.method) {
                Some(known) => known.results.extend(sample.results),
                None => samples.push(sample),
            }
        }
    }
    let plan = args.plan.plan(!args.lower_is_better);
    if let Some(top) = args.top {
        notes.push(format!(
            "only the {top} best values of each method: chosen by the result, so no p-value is valid"
        ));
        samples.iter_mut().for_each(|sample| keep_best(sample, top, plan.higher_is_better));
    }
    let report = comparison::compare(&samples, &plan).map_err(|error| refused(&error))?;
    let shown = Shown::new(metric, report, &plan, Vec::new(), None, notes);
    shown.print(context)?;
    Ok(exit(&shown.report, &plan, args.plan.require_better))
}

fn keep_best(sample: &mut Sample, top: usize, higher: bool) {
    let best = |a: &(_, f64), b: &(_, f64)| if higher { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) };
    sample.results.sort_by(best);
    sample.results.truncate(top);
    // Ranks are no keys: the best of one method has nothing to do with the best of another.
    sample.results.iter_mut().for_each(|(key, _)| *key = None);
}

/// The values of a grid search of the study; the method is named by the file's folder.
fn grid(path: &Path, text: &str, metric: &str) -> Result<Sample> {
    let settings = files::grid(text).map_err(|why| unusable(path, &why))?;
    let value = match metric {
        "accuracy" => |setting: &nashost_stats::study::Setting| setting.accuracy,
        "macro_f1" => |setting: &nashost_stats::study::Setting| setting.macro_f1,
        other => {
            return Err(unusable(
                path,
                &format!("a grid of the study has `accuracy` and `macro_f1`, not `{other}`"),
            ));
        }
    };
    Ok(Sample {
        method: method_of(path),
        results: settings.iter().map(|setting| (None, value(setting))).collect(),
    })
}

fn method_of(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).or_else(|| path.file_stem());
    folder.unwrap_or_default().to_string_lossy().into_owned()
}

/// Shows the test values of `output.csv` files in the layout of the study's Tables 3 to 6.
fn outputs(args: &StatsArgs, context: &Context, texts: &[String]) -> Result<Exit> {
    let mut table =
        Table::new(&["run", "checkpoint", "label", "accuracy", "precision", "tpr", "fpr", "f1", "weighted"]);
    let mut all = Vec::new();
    for (path, text) in args.files.iter().zip(texts) {
        let tested = files::output(text).map_err(|why| unusable(path, &why))?;
        for Tested { checkpoint, rows } in &tested {
            for row in rows {
                let short = |value: f64| json!((value * 1e3).round() / 1e3);
                table.row([
                    json!(method_of(path)),
                    json!(checkpoint),
                    json!(row.label),
                    short(row.accuracy),
                    short(row.precision),
                    short(row.sensitivity),
                    short(row.fpr()),
                    short(row.f1),
                    short(row.weighted()),
                ]);
            }
        }
        all.push(json!({"run": method_of(path), "tested": tested}));
    }
    match context.out.format() {
        Format::Json => context.out.json(&all)?,
        _ => context.out.table(&table)?,
    }
    context
        .out
        .note("percent, as in the files; `accuracy` of the overall row is of images with all labels right");
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|why| unusable(path, &why))
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(Exit::Usage, "E0901", format!("{}: {why}", path.display()))
        .help("the columns are method and value (or --metric COLUMN), and seed, fold, dataset or pair if runs match")
}
