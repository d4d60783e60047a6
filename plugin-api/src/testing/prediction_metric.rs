//! Rules for metrics of predictions.

use rand::{Rng as _, seq::SliceRandom as _};

use super::{
    Bench,
    bench::{Trouble, broken, on_four_threads},
};
use crate::{
    abi::foreign::{CallError, ForeignPredictionMetric},
    dataset::Target,
    metric::{MetricReport, MetricValue, OutputInfo, Predictions},
    seed,
};

/// Largest difference that another order of additions may make, relative to the value.
const ROUNDING: f64 = 1e-9;

/// Predictions with their own memory.
#[derive(Clone)]
struct Table {
    labels: usize,
    scores: Vec<f64>,
    targets: Vec<Target>,
    thresholds: Vec<f64>,
}

impl Table {
    /// Draws predictions that are better than chance. One target in ten is not assessed.
    fn draw(images: usize, labels: usize) -> Self {
        let mut rng = seed::rng(11);
        let mut table = Self { labels, scores: vec![], targets: vec![], thresholds: vec![0.5; labels] };
        for _ in 0..images * labels {
            let is_positive = rng.random_bool(0.4);
            let target = if is_positive { Target::Positive } else { Target::Negative };
            table.targets.push(if rng.random_bool(0.1) { Target::NotAssessed } else { target });
            table.scores.push(0.6 * rng.random::<f64>() + if is_positive { 0.4 } else { 0.0 });
        }
        table
    }

    fn predictions(&self) -> Predictions<'_> {
        let Self { labels, scores, targets, thresholds } = self;
        Predictions { labels: *labels, scores, targets, thresholds }
    }

    /// The same images in another order.
    fn shuffled(&self) -> Self {
        let mut order: Vec<usize> = (0..self.targets.len() / self.labels).collect();
        order.shuffle(&mut seed::rng(5));
        let cells = |image: usize| image * self.labels..(image + 1) * self.labels;
        Self {
            scores: order.iter().flat_map(|&image| self.scores[cells(image)].to_vec()).collect(),
            targets: order.iter().flat_map(|&image| self.targets[cells(image)].to_vec()).collect(),
            ..self.clone()
        }
    }
}

/// Tries every rule on metrics that `make` creates.
pub fn prediction_metric_rules(
    bench: &mut Bench<'_>,
    make: &dyn Fn() -> Result<ForeignPredictionMetric, CallError>,
) {
    let table = Table::draw(60, 3);
    bench.rule("outputs", || {
        let metric = make()?;
        let outputs = metric.outputs()?;
        if outputs.is_empty() || outputs != metric.outputs()? {
            return broken("it lists no outputs, or others the second time");
        }
        answers(&outputs, &metric.evaluate(&table.predictions())?, table.labels)?;
        Ok(outputs.iter().map(|output| output.name.as_str()).collect::<Vec<_>>().join(", "))
    });
    bench.rule("defined", || {
        let metric = make()?;
        let mut cases = vec![table.clone(), Table::draw(1, 1), Table::draw(0, 2)];
        for only in [Target::Negative, Target::Positive, Target::NotAssessed] {
            cases.push(Table { targets: vec![only; table.targets.len()], ..table.clone() });
        }
        cases.push(Table { scores: vec![0.5; table.scores.len()], ..table.clone() });
        for case in &cases {
            for (name, value) in values(&metric.evaluate(&case.predictions())?) {
                defined(&name, &value)?;
            }
        }
        Ok("usual predictions, none, one, all of one class, all equal".to_owned())
    });
    bench.rule("images", || {
        let metric = make()?;
        let (here, there) =
            (metric.evaluate(&table.predictions())?, metric.evaluate(&table.shuffled().predictions())?);
        same(&here, &there, "in another order of the images")?;
        Ok("60 images in two orders".to_owned())
    });
    bench.rule("masked", || {
        let metric = make()?;
        let mut other = table.clone();
        for (score, target) in other.scores.iter_mut().zip(&table.targets) {
            if *target == Target::NotAssessed {
                *score = 1.0 - *score;
            }
        }
        let (here, there) = (metric.evaluate(&table.predictions())?, metric.evaluate(&other.predictions())?);
        same(&here, &there, "with other scores where nobody looked")?;
        let masked = table.targets.iter().filter(|target| **target == Target::NotAssessed).count();
        Ok(format!("{masked} of {} targets", table.targets.len()))
    });
    bench.rule("threads", || {
        let metric = make()?;
        let work = || metric.evaluate(&table.predictions());
        on_four_threads(&work()?, work)
    });
}

fn values(report: &MetricReport) -> Vec<(String, MetricValue)> {
    let overall = report.overall.iter().map(|(name, value)| (name.clone(), value.clone()));
    let labels = report.per_label.iter().flat_map(|(name, values)| {
        values
            .iter()
            .enumerate()
            .map(move |(label, value)| (format!("{name} of label {label}"), value.clone()))
    });
    overall.chain(labels).collect()
}

fn defined(name: &str, value: &MetricValue) -> Result<(), Trouble> {
    match (value.value, &value.why) {
        (Some(number), _) if !number.is_finite() => broken(format!("{name} is {number}")),
        (None, None) => broken(format!("{name} has neither a value nor a reason")),
        _ => Ok(()),
    }
}

fn answers(outputs: &[OutputInfo], report: &MetricReport, labels: usize) -> Result<(), Trouble> {
    for output in outputs {
        let answered = match output.per_label {
            true => report.per_label.get(&output.name).is_some_and(|values| values.len() == labels),
            false => report.overall.contains_key(&output.name),
        };
        if !answered {
            return broken(format!("`{}` is listed and not answered as it should be", output.name));
        }
    }
    let answered = report.overall.len() + report.per_label.len();
    if answered == outputs.len() { Ok(()) } else { broken("it answers more than it lists") }
}

fn same(here: &MetricReport, there: &MetricReport, when: &str) -> Result<(), Trouble> {
    let (here, there) = (values(here), values(there));
    for ((name, here), (_, there)) in here.iter().zip(&there) {
        let close = match (here.value, there.value) {
            (Some(a), Some(b)) => (a - b).abs() <= ROUNDING * a.abs().max(1.0),
            (a, b) => a == b,
        };
        if !close || here.support != there.support {
            return broken(format!("{name} is {there:?} instead of {here:?} {when}"));
        }
    }
    if here.len() == there.len() { Ok(()) } else { broken(format!("another number of values {when}")) }
}
