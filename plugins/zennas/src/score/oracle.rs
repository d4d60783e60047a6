//! The Zen-Score against seeded runs of the official code.
//!
//! The long tests cover every structure: `cargo xtask test --long`.

use std::{ops::Range, thread};

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
    metric::{ArchitectureMetric as _, Candidate, ScoreContext},
};
use nashost_superres::SuperRes;
use serde_json::Value;
use statrs::distribution::{ContinuousCDF as _, Normal, StudentsT};

use super::{Config, Generator, Statistics, ZenScore};

const ORACLE: &str = include_str!("../../../../tests/fixtures/zennas/oracle.json");

fn entries() -> Vec<Value> {
    let mut oracle: Value = serde_json::from_str(ORACLE).expect("the oracle is JSON");
    serde_json::from_value(oracle["entries"].take()).expect("entries are a list")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// An official run: a structure at a resolution, with or without skip connections.
struct Run<'a> {
    entry: &'a Value,
    record: &'a Value,
}

impl Run<'_> {
    /// Scores the structure with our code, once for each seed, on all cores.
    fn scores(&self, config: Config, seeds: Range<u64>) -> Vec<f64> {
        let space = SuperRes::create(nashost_superres::Config::default()).expect("the default space");
        let text = self.entry["structure"].as_str().expect("a string");
        let side = number(&self.record["resolution"]) as usize;
        let outputs = number(&self.entry["num_classes"]) as usize;
        let geometry = Geometry { input: [3, side, side], outputs };
        let spec = space.import("plainnet", text).expect("a structure");
        let graph = space.graph(&spec, &geometry).expect("a network");
        let residual_links = self.record["reslink"].as_bool().expect("a boolean");
        let metric = ZenScore::create(Config { residual_links, ..config }).expect("a valid configuration");
        let context = ScoreContext { geometry, device: "cpu".into() };
        let score = |seed| {
            let (spec, graph) = (spec.clone(), graph.clone());
            let candidate = Candidate { spec, graph, counters: Default::default(), seed };
            let score = metric.score(&[candidate], &context).expect("the CPU can be used").remove(0);
            score.value.unwrap_or_else(|| panic!("{}: {:?}", self.entry["id"], score.why))
        };
        let seeds: Vec<u64> = seeds.collect();
        let cores = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let shares: Vec<_> = seeds
                .chunks(seeds.len().div_ceil(cores))
                .map(|share| scope.spawn(move || share.iter().map(|&seed| score(seed)).collect::<Vec<_>>()))
                .collect();
            shares.into_iter().flat_map(|share| share.join().expect("scores")).collect()
        })
    }

    /// Convolutions of the main chain, each of which is followed by a batch normalisation.
    fn depth(&self) -> u64 {
        number(&self.entry["num_bn_no_reslink"])
    }

    /// How far a seeded value may be off. Without skip connections rounding errors grow with
    /// depth: these bounds cover what the official code itself changes by when its convolution
    /// kernels are exchanged (oneDNN on or off).
    fn tolerance(&self) -> f64 {
        match self.depth() {
            ..=40 => 1e-3,
            41..=62 => 1e-2,
            63..=98 => 0.15,
            99..=140 => 0.3,
            // One network, whose score has a standard deviation of 1.4.
            _ => 1.0,
        }
    }

    /// Checks that libtorch's generator gives the official value for the same seed.
    fn check_seeded(&self, values: usize) {
        let expected: Vec<f64> =
            self.record["values"].as_array().expect("a list").iter().take(values).map(float).collect();
        let config = Config { generator: Generator::Libtorch, ..Config::default() };
        let found = self.scores(config, 1000..1000 + expected.len() as u64);
        for (seed, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let off = (found - expected).abs();
            assert!(off <= self.tolerance(), "{} seed {seed}: {found} vs {expected}", self.entry["id"]);
        }
    }

    /// Compares the portable generator's mean with the official one.
    fn compare_means(&self, seeds: u64) -> Comparison {
        let found = self.scores(Config::default(), 0..seeds);
        let n = found.len() as f64;
        let mean = found.iter().sum::<f64>() / n;
        let squares = found.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let official_n = float(&self.record["repeats"]);
        let official = float(&self.record["mean"]);
        let official_squares = float(&self.record["std"]).powi(2) * official_n;
        // Both are samples of one distribution, so they estimate its variance together: alone,
        // some official records of one or two values could not.
        let freedom = n + official_n - 2.0;
        let variance = (squares + official_squares) / freedom;
        let error = (variance / n + variance / official_n).sqrt();
        let (id, resolution) = (&self.entry["id"], &self.record["resolution"]);
        let links = if self.record["reslink"] == true { ", residual links" } else { "" };
        Comparison {
            what: format!(
                "{id} at {resolution} px{links}: {mean:.3} of {n} seeds, {official:.3} of {official_n}"
            ),
            errors: (mean - official) / error,
            freedom,
        }
    }
}

/// A mean of ours against the official one.
struct Comparison {
    what: String,
    /// The difference, in standard errors of it.
    errors: f64,
    /// Degrees of freedom of the estimated variance.
    freedom: f64,
}

impl Comparison {
    /// The probability of a smaller difference than this, with its sign, if the true means are equal.
    fn smaller(&self) -> f64 {
        StudentsT::new(0.0, 1.0, self.freedom).expect("a distribution").cdf(self.errors)
    }
}

/// Checks that differences of means are those of chance: no comparison is extreme for a family of
/// that many (Student's t, Bonferroni, 1 %), and together they favour no side.
#[expect(clippy::print_stdout, reason = "the deviations are worth seeing")]
fn judge(family: &[Comparison]) {
    let m = family.len() as f64;
    for comparison in family {
        println!("{}, {:+.2} standard errors", comparison.what, comparison.errors);
    }
    for comparison in family {
        let smaller = comparison.smaller();
        let chance = 2.0 * smaller.min(1.0 - smaller);
        let Comparison { what, errors, .. } = comparison;
        assert!(chance * m >= 0.01, "{what}, {errors:.2} standard errors: p = {chance:.1e}, one of {m}");
    }
    let normal = Normal::standard();
    let side =
        family.iter().map(|comparison| normal.inverse_cdf(comparison.smaller())).sum::<f64>() / m.sqrt();
    assert!(side.abs() <= 3.0, "together the means are off by {side:.2} standard errors");
}

/// Multiply-adds of one score, about.
fn cost(run: &Run<'_>) -> f64 {
    let scale = float(&run.record["resolution"]) / float(&run.entry["resolution"]);
    float(&run.entry["true_macs"]) * scale * scale * 32.0
}

/// Runs `check` on every record of `mode` and `reslink` that costs less than `most`.
fn each<T>(mode: &str, reslink: bool, most: f64, check: impl Fn(&Run<'_>) -> T) -> Vec<T> {
    let mut done = Vec::new();
    for entry in &entries() {
        for record in entry["zen"].as_array().expect("a list") {
            let run = Run { entry, record };
            if record["mode"] == mode && record["reslink"] == reslink && cost(&run) < most {
                done.push(check(&run));
            }
        }
    }
    done
}

/// A quarter of a second or less per score.
const SHORT: f64 = 4e9;
const LONG: f64 = f64::INFINITY;

#[test]
fn seeded_values_of_the_search_mode_equal_the_official_ones() {
    assert!(each("fresh", false, SHORT, |run| run.check_seeded(2)).len() > 10);
}

#[test]
fn seeded_values_with_residual_links_equal_the_official_ones() {
    assert!(each("fresh", true, SHORT, |run| run.check_seeded(1)).len() > 10);
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn every_seeded_value_equals_the_official_one() {
    for reslink in [false, true] {
        assert!(each("fresh", reslink, LONG, |run| run.check_seeded(usize::MAX)).len() > 30);
    }
}

#[test]
fn portable_means_agree_with_the_official_ones() {
    let family = each("fresh", false, SHORT / 2.0, |run| run.compare_means(8));
    assert!(family.len() > 5);
    judge(&family);
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn every_portable_mean_agrees_with_the_official_one() {
    // As many seeds as cost the same time for every network, between these limits.
    let seeds = |run: &Run<'_>| (6.4e11 / cost(run)).clamp(8.0, 64.0) as u64;
    let family: Vec<_> = [false, true]
        .into_iter()
        .flat_map(|reslink| each("fresh", reslink, LONG, |run| run.compare_means(seeds(run))))
        .collect();
    assert!(family.len() > 70);
    judge(&family);
}

/// One official call with several repeats: the same stream of random numbers, running statistics
/// never reset.
fn check_accumulated(run: &Run<'_>) {
    let config = Config {
        generator: Generator::Libtorch,
        statistics: Statistics::Accumulate,
        repeats: number(&run.record["repeats"]) as u32,
        ..Config::default()
    };
    let found = run.scores(config, 7..8)[0];
    let off = (found - float(&run.record["mean"])).abs();
    assert!(off <= run.tolerance(), "{}: {found} vs {}", run.entry["id"], run.record["mean"]);
}

#[test]
fn accumulated_means_equal_the_official_ones() {
    assert!(each("accumulate", false, SHORT / 2.0, check_accumulated).len() > 5);
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn every_accumulated_mean_equals_the_official_one() {
    assert!(each("accumulate", false, LONG, check_accumulated).len() > 30);
}

/// The standard error of what the recipe asks for, against that of one score of the official
/// search, which takes 64 images, and of its stand-alone script, which takes 16. The noise comes from the
/// weights: two draws of them with four images each say more.
#[test]
#[ignore = "long: cargo xtask test --long"]
#[expect(clippy::print_stdout, reason = "the deviations are worth seeing")]
fn the_recipe_is_as_precise_as_the_official_search() {
    let entries = entries();
    for id in ["resnet20_cifar_like", "rand_xxbl_cifar_113", "zennet_cifar_model_size1M_res32_c10"] {
        let entry = entries.iter().find(|entry| entry["id"] == id).expect("a structure of that name");
        let record = serde_json::json!({ "resolution": 32, "reslink": false });
        let run = Run { entry, record: &record };
        let deviation = |config| super::moments(&run.scores(config, 0..100)).1;
        let ours = deviation(Config { batch: 4, repeats: 2, ..Config::default() });
        for batch in [16, 64] {
            let official = deviation(Config { batch, ..Config::default() });
            println!("{id}: {ours:.4}, {official:.4} with {batch} images");
            // The ratio of two such estimates has a standard error of 10 %.
            assert!(ours < 1.2 * official, "{id}: {ours} vs {official} with {batch} images");
        }
    }
}
