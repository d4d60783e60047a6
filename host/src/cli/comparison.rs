//! A comparison as it is printed, whether of runs or of files.

use nashost_stats::comparison::{CompareError, Pair, Plan, Report, Verdict, sentences};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Context,
    args::Format,
    output::{Style, Table},
};
use crate::{
    error::{Error, Exit, Result},
    statistics::{OnImages, PairOnImages, Trivial},
};

/// Everything that is told of a comparison.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shown {
    /// What the numbers are.
    pub(super) metric: String,
    /// Methods and pairs.
    #[serde(flatten)]
    pub(super) report: Report,
    /// Trivial predictors: what any method must beat.
    pub(super) trivial: Vec<Trivial>,
    /// What the images of the test part say.
    pub(super) test_part: Option<OnImages>,
    /// The comparison in words.
    pub(super) sentences: Vec<String>,
    /// What readers must know.
    pub(super) notes: Vec<String>,
}

impl Shown {
    /// Puts the sentences to the numbers.
    pub(super) fn new(
        metric: String,
        report: Report,
        plan: &Plan,
        trivial: Vec<Trivial>,
        test_part: Option<OnImages>,
        notes: Vec<String>,
    ) -> Self {
        let mut sentences = sentences(&report, plan);
        sentences.extend(beaten(&report, plan, &trivial));
        sentences.extend(test_part.iter().flat_map(|part| part.pairs.iter().filter_map(contradiction)));
        Self { metric, report, trivial, test_part, sentences, notes }
    }

    /// Prints it.
    pub(super) fn print(&self, context: &Context) -> Result<()> {
        for note in &self.notes {
            context.out.warn(note);
        }
        match context.out.format() {
            Format::Json => context.out.json(self),
            Format::Csv => context.out.table(&self.csv()),
            Format::Md | Format::Latex | Format::Html => {
                context.out.table(&self.methods())?;
                context.out.text("\n")?;
                context.out.table(&self.pairs())
            }
            Format::Table => {
                context.out.text(&(context.out.paint(Style::Strong, &self.metric) + "\n\n"))?;
                context.out.table(&self.methods())?;
                context.out.text("\n")?;
                context.out.table(&self.pairs())?;
                self.images_text(context)?;
                let lines: String = self.sentences.iter().map(|line| format!("→ {line}\n")).collect();
                context.out.text(&format!("\n{lines}"))
            }
        }
    }

    fn methods(&self) -> Table {
        let mut table = Table::new(&["method", "runs", "mean ± sd"]);
        for row in &self.report.methods {
            let sd = row.moments.sd.map_or_else(String::new, |sd| format!(" ± {sd:.4}"));
            table.row([
                json!(row.method),
                json!(row.moments.n),
                json!(format!("{:.4}{sd}", row.moments.mean)),
            ]);
        }
        for trivial in &self.trivial {
            table.row([
                json!(format!("({})", trivial.name)),
                Value::Null,
                json!(format!("{:.4}", trivial.value)),
            ]);
        }
        table
    }

    fn pairs(&self) -> Table {
        let mut columns = vec!["comparison", "difference", "over runs"];
        columns.extend(self.test_part.as_ref().map(|_| "over patients"));
        columns.extend(["test", "p", "p (Holm)", "δ", "detectable"]);
        let mut table = Table::new(&columns);
        for pair in &self.report.pairs {
            let mut cells = vec![
                format!("{} − {}", pair.method, pair.against),
                format!("{:+.4}", pair.difference),
                interval(pair.interval),
            ];
            if self.test_part.is_some() {
                let images = self.images(pair).map(|images| images.bca.unwrap_or(images.percentile));
                cells.push(interval(images));
            }
            cells.extend([
                pair.test.to_owned(),
                digits(pair.p),
                digits(pair.p_holm),
                format!("{:+.2}", pair.dominance.cliffs_delta),
                digits(pair.detectable),
            ]);
            table.row(cells.into_iter().map(Value::from));
        }
        table
    }

    fn images(&self, pair: &Pair) -> Option<&PairOnImages> {
        let part = self.test_part.as_ref()?;
        part.pairs.iter().find(|of| of.method == pair.method && of.against == pair.against)
    }

    /// Every number of every pair, one row each.
    fn csv(&self) -> Table {
        let mut table = Table::new(&[
            "metric",
            "method",
            "against",
            "runs",
            "runs_against",
            "paired",
            "difference",
            "ci_low",
            "ci_high",
            "test",
            "p",
            "p_holm",
            "p_bh",
            "family",
            "least_p",
            "cliffs_delta",
            "cliffs_delta_low",
            "cliffs_delta_high",
            "a12",
            "rank_biserial",
            "detectable",
            "equivalence_p",
            "equivalence_p_holm",
            "test_part_low",
            "test_part_high",
            "test_part_p",
            "why",
        ]);
        for pair in &self.report.pairs {
            let images = self.images(pair);
            let end = |bounds: Option<[f64; 2]>, side: usize| json!(bounds.map(|bounds| bounds[side]));
            let part = images.map(|images| images.bca.unwrap_or(images.percentile));
            table.row([
                json!(self.metric),
                json!(pair.method),
                json!(pair.against),
                json!(pair.runs[0]),
                json!(pair.runs[1]),
                json!(pair.paired),
                json!(pair.difference),
                end(pair.interval, 0),
                end(pair.interval, 1),
                json!(pair.test),
                json!(pair.p),
                json!(pair.p_holm),
                json!(pair.p_bh),
                json!(self.report.family),
                json!(pair.least_p),
                json!(pair.dominance.cliffs_delta),
                end(pair.dominance.delta_interval, 0),
                end(pair.dominance.delta_interval, 1),
                json!(pair.dominance.a12),
                json!(pair.rank_biserial),
                json!(pair.detectable),
                json!(pair.equivalence.map(|found| found.p)),
                json!(pair.equivalence_p_holm),
                end(part, 0),
                end(part, 1),
                json!(images.map(|images| images.p)),
                json!(pair.why),
            ]);
        }
        table
    }

    /// Tests of single images, of which there is one pair of trials per seed.
    fn images_text(&self, context: &Context) -> Result<()> {
        let Some(part) = &self.test_part else { return Ok(()) };
        context.out.text(&format!(
            "\ntest part: {} images of {} patients, {} resamples of the patients\n",
            part.images, part.patients, part.resamples
        ))?;
        for pair in &part.pairs {
            for seed in &pair.seeds {
                let m = &seed.mcnemar;
                context.out.text(&format!(
                    "{} and {}, seed {}: only the first is right on {} images, only the second on {} (McNemar p = {})\n",
                    pair.method, pair.against, seed.seed, m.only_first, m.only_second, digits(Some(m.p))
                ))?;
                let told = seed.delong.iter().filter(|row| row.p_holm.is_some_and(|p| p < 0.05));
                for row in told {
                    context.out.text(&format!(
                        "  {}: AUROC {:+.4} {} (DeLong, p = {} after Holm over the labels)\n",
                        row.label,
                        row.difference.unwrap_or_default(),
                        interval(row.interval),
                        digits(row.p_holm)
                    ))?;
                }
            }
        }
        Ok(())
    }
}

/// Says if a trivial predictor is as good as the best method.
fn beaten(report: &Report, plan: &Plan, trivial: &[Trivial]) -> Option<String> {
    let sign = if plan.higher_is_better { 1.0 } else { -1.0 };
    let best = report.methods.first()?;
    let strongest = trivial.iter().max_by(|a, b| (sign * a.value).total_cmp(&(sign * b.value)))?;
    (sign * strongest.value >= sign * best.moments.mean).then(|| {
        format!(
            "The trivial predictor {} ({:.4}) is as good as the best method, {} ({:.4}).",
            strongest.name, strongest.value, best.method, best.moments.mean
        )
    })
}

/// Says if the test part is too small for a difference.
fn contradiction(pair: &PairOnImages) -> Option<String> {
    let [low, high] = pair.bca.unwrap_or(pair.percentile);
    (low <= 0.0 && high >= 0.0).then(|| {
        format!(
            "On these test images {} and {} are not distinguishable: with other patients the difference may be anything from {low:+.4} to {high:+.4}.",
            pair.method, pair.against
        )
    })
}

fn interval(bounds: Option<[f64; 2]>) -> String {
    bounds.map_or_else(String::new, |[low, high]| format!("[{low:+.4}, {high:+.4}]"))
}

fn digits(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value < 0.00005 => "< 0.0001".to_owned(),
        Some(value) => format!("{value:.4}"),
    }
}

/// A comparison that cannot be made, as users meet it.
pub(super) fn refused(error: &CompareError) -> Error {
    match error {
        CompareError::Methods(_) | CompareError::Baseline { .. } => {
            Error::new(Exit::Usage, "E0902", error.to_string()).help(
                "name several runs, or one with several methods; `--by run` tells runs of one method apart",
            )
        }
        _ => Error::new(Exit::Usage, "E0904", error.to_string()),
    }
}

/// The exit status: 1 if methods are required to be better than the baseline and are not.
pub(super) fn exit(report: &Report, plan: &Plan, require_better: bool) -> Exit {
    let better = |pair: &Pair| pair.verdict(plan) == Verdict::Better;
    if require_better && !report.pairs.iter().all(better) { Exit::No } else { Exit::Ok }
}
