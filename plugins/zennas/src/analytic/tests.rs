//! The closed form against official runs, against our own Monte Carlo, and against itself.

#![expect(clippy::print_stdout, reason = "`--nocapture` shows how near the values are")]

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    graph::{GraphBuilder, INPUT, Op, Window},
};
use nashost_superres::SuperRes;
use serde_json::{Value, json};

use super::*;
use crate::{
    rank::spearman,
    score::{self, ZenScore},
};

const ORACLE: &str = include_str!("../../../../tests/fixtures/zennas/oracle.json");

fn space(config: Value) -> SuperRes {
    SuperRes::create(serde_json::from_value(config).unwrap()).unwrap()
}

/// The official 16-repeat runs without skip connections: structure, resolution, mean, first value.
fn official() -> Vec<(String, usize, f64, f64)> {
    let oracle: Value = serde_json::from_str(ORACLE).unwrap();
    let mut runs = Vec::new();
    for entry in oracle["entries"].as_array().unwrap() {
        for record in entry["zen"].as_array().unwrap() {
            if record["mode"] == "fresh" && record["reslink"] == false && record["repeats"] == 16 {
                runs.push((
                    entry["structure"].as_str().unwrap().to_owned(),
                    record["resolution"].as_u64().unwrap() as usize,
                    record["mean"].as_f64().unwrap(),
                    record["values"][0].as_f64().unwrap(),
                ));
            }
        }
    }
    runs
}

/// Seconds that this thread has computed: other programs do not count.
fn processor_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e-9
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f64], mx: f64, y: &[f64], my: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

#[test]
fn official_means_are_met_better_than_by_an_official_run() {
    let runs = official();
    assert!(runs.len() > 30);
    let mut analytic = Analytic::new(Config::default());
    let space = space(json!({}));
    let found: Vec<f64> = runs
        .iter()
        .map(|(text, side, ..)| {
            let spec = space.import("plainnet", text).unwrap();
            analytic.super_blocks(&spec.to_string(), [3, *side, *side]).unwrap()
        })
        .collect();
    let specs: Vec<(String, [usize; 3])> = runs
        .iter()
        .map(|(text, side, ..)| (space.import("plainnet", text).unwrap().to_string(), [3, *side, *side]))
        .collect();
    let start = processor_time();
    for (spec, input) in specs.iter().cycle().take(100 * specs.len()) {
        std::hint::black_box(analytic.super_blocks(spec, *input).unwrap());
    }
    let each = (processor_time() - start) / (100 * specs.len()) as f64;
    println!("{:.2} µs a structure, reading its spec included", each * 1e6);
    let means: Vec<f64> = runs.iter().map(|run| run.2).collect();
    let firsts: Vec<f64> = runs.iter().map(|run| run.3).collect();
    let rms = |values: &[f64]| {
        let squares: f64 = values.iter().zip(&means).map(|(a, b)| (a - b).powi(2)).sum();
        (squares / means.len() as f64).sqrt()
    };
    println!(
        "analytic: Pearson {:.6}, Spearman {:.5}, RMS error {:.3}; one official run: {:.6}, {:.5}, {:.3}",
        pearson(&found, &means),
        spearman(&found, &means).unwrap(),
        rms(&found),
        pearson(&firsts, &means),
        spearman(&firsts, &means).unwrap(),
        rms(&firsts),
    );
    for ((text, side, mean, _), value) in runs.iter().zip(&found) {
        println!("{:8.3} {:+7.3} at {side}: {text}", mean, value - mean);
        // The worst, a noisy one, is 2 % off.
        assert!((value / mean - 1.0).abs() < 0.025, "{value} vs {mean}: {text}");
    }
    assert!(pearson(&found, &means) > pearson(&firsts, &means));
    assert!(spearman(&found, &means).unwrap() > spearman(&firsts, &means).unwrap());
    assert!(rms(&found) < rms(&firsts));
}

#[test]
fn the_short_way_equals_the_way_over_the_graph() {
    for (space, geometry) in [
        (space(json!({"sample_steps": 40})), Geometry { input: [3, 32, 32], outputs: 10 }),
        (space(json!({"sample_steps": 40})), Geometry { input: [1, 33, 47], outputs: 2 }),
        (
            space(json!({"space": "idw", "initial": "imagenet-idw", "sample_steps": 30})),
            Geometry { input: [3, 64, 64], outputs: 10 },
        ),
    ] {
        let mut analytic = Analytic::new(Config::default());
        for seed in 0..40 {
            let spec = space.sample(seed).unwrap();
            let long = analytic.graph(&space.graph(&spec, &geometry).unwrap()).unwrap();
            let short = analytic.super_blocks(&spec.to_string(), geometry.input).unwrap();
            // The same numbers in the same order.
            assert_eq!(long, short, "{spec}");
        }
    }
}

#[test]
fn only_super_blocks_have_a_short_way() {
    let short = |spec: Value| Analytic::new(Config::default()).super_blocks(&spec.to_string(), [3, 8, 8]);
    let block =
        |name: &str| json!({"block": name, "in": 3, "out": 8, "stride": 1, "bottleneck": 8, "layers": 1});
    assert!(short(json!([block("SuperResK1K5K1")])).is_ok());
    for name in ["SuperResK3K5", "SuperResK1K5K3", "SuperConvKxBNRELU", "Attention", "SuperResIDWE2", ""] {
        assert!(short(json!([block(name)])).is_err(), "{name}");
    }
    for spec in [json!([]), json!({"depth": 3}), json!(7), json!([{"block": "SuperResK3K3"}])] {
        assert!(short(spec.clone()).is_err(), "{spec}");
    }
}

/// One convolution with batch normalisation and ReLU.
fn one_layer() -> Graph {
    let mut g = GraphBuilder::new([2, 6, 5]);
    let x = g.conv("conv", INPUT, 4, Window::square(3, 1), 1, false);
    let x = g.batch_norm("bn", &x, 1e-3);
    let x = g.relu("relu", &x);
    finish(g, &x)
}

fn finish(mut g: GraphBuilder, features: &str) -> Graph {
    let pooled = g.global_average_pool("pool", features);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 2, true);
    g.finish(&logits, features).unwrap()
}

#[test]
fn terms_of_one_layer_by_hand() {
    let found =
        Analytic::new(Config { bn_term: BnTerm::Paper, ..Config::default() }).graph(&one_layer()).unwrap();
    // Two channels, valid taps per axis on average.
    let variance = 2.0 * (1.0 + 2.0 * 5.0 / 6.0) * (1.0 + 2.0 * 4.0 / 5.0);
    let rho = 1.0 / (1.0 + 1e-4_f64).sqrt();
    let plain =
        f64::ln(4.0 * 30.0) + 0.5 * ((1.0 - rho) / std::f64::consts::PI).ln() + 0.5 * f64::ln(variance);
    // What is left are the corrections for borders and few channels, of some percent.
    assert!((found - plain).abs() < 0.05, "{found} vs {plain}");
}

/// A chain with everything the theory covers and no super-block has.
fn unusual(grouped: usize) -> Graph {
    let mut g = GraphBuilder::new([1, 20, 14]);
    let mut x = INPUT.to_owned();
    let wide = Window { strides: [2, 1], dilations: [1, 2], pads: [1, 2], ..Window::square(3, 1) };
    for (index, (width, window, group)) in [
        (24, Window::square(5, 1), 1),
        (32, wide, 1),
        (32, Window::square(3, 1).pads(0), grouped),
        (48, Window { kernel_shape: [1, 3], pads: [0, 1], ..Window::square(1, 1) }, 1),
        (40, Window::square(1, 1), 1),
    ]
    .into_iter()
    .enumerate()
    {
        x = g.conv(format!("conv{index}"), &x, width, window, group, index == 2);
        x = g.batch_norm(format!("bn{index}"), &x, 1e-3);
        x = g.relu(format!("relu{index}"), &x);
    }
    let x = g.node("drop", Op::Dropout { ratio: 0.5 }, &[&x]);
    finish(g, &x)
}

#[test]
fn any_plain_chain_meets_monte_carlo() {
    let config = score::Config { repeats: 24, ..Default::default() };
    let measured = ZenScore::create(config).unwrap();
    for grouped in [1, 4, 32] {
        let graph = unusual(grouped);
        let value = Analytic::new(Config::default()).graph(&graph).unwrap();
        let geometry = Geometry { input: graph.input, outputs: 2 };
        let candidate = Candidate { spec: json!(0), graph, counters: Default::default(), seed: 1 };
        let context = ScoreContext { geometry, device: "cpu".into() };
        let score = measured.score(&[candidate], &context).unwrap().remove(0);
        let (mean, spread) = (score.value.unwrap(), score.spread.unwrap());
        println!("{grouped} groups: {value:.3}, measured {mean:.3} ± {:.3}", spread / 24.0_f64.sqrt());
        // Three standard errors of the mean are 0.02.
        assert!((value - mean).abs() < 0.04, "{grouped} groups: {value} vs {mean}");
    }
}

#[test]
fn skip_connections_are_left_out_or_refused() {
    let space = space(json!({}));
    let geometry = Geometry { input: [3, 32, 32], outputs: 10 };
    let graph = space.graph(&space.initial().unwrap(), &geometry).unwrap();
    let mut analytic = Analytic::new(Config::default());
    assert_eq!(analytic.graph(&graph), analytic.graph(&graph.without_residual_links()));
    let mut strict = Analytic::new(Config { residual_links: true, ..Config::default() });
    assert_eq!(strict.graph(&graph), Err(Undefined::ResidualLink("blocks.4.units.0.add".into())));
    assert!(strict.graph(&graph.without_residual_links()).is_ok());
}

#[test]
fn what_the_theory_does_not_cover_is_undefined_with_the_reason() {
    let why = |build: &dyn Fn(&mut GraphBuilder) -> String| {
        let mut g = GraphBuilder::new([3, 8, 8]);
        let x = build(&mut g);
        Analytic::new(Config { batch: 1, ..Config::default() }).graph(&finish(g, &x)).unwrap_err().to_string()
    };
    let conv = |g: &mut GraphBuilder| g.conv("conv", INPUT, 4, Window::square(3, 1), 1, false);
    assert_eq!(
        why(&|g| {
            let x = conv(g);
            let x = g.batch_norm("bn", &x, 1e-3);
            g.node("gelu", Op::Gelu, &[&x])
        }),
        "node `gelu` is Gelu; the theory covers Conv, BatchNormalization and ReLU only"
    );
    assert_eq!(
        why(&|g| {
            let x = conv(g);
            g.relu("relu", &x)
        }),
        "node `relu` is Relu, where a chain has a batch normalisation"
    );
    assert_eq!(
        why(&|g| {
            let x = conv(g);
            g.batch_norm("bn", &x, 1e-3)
        }),
        "node `bn` is BatchNormalization, where a chain has the ReLU at its end"
    );
    assert_eq!(
        why(&|g| {
            let x = conv(g);
            let y = g.global_average_pool("squeeze", &x);
            let y = g.node("gate", Op::Sigmoid, &[&y]);
            g.mul("scale", &[&x, &y])
        }),
        "node `scale` is Mul; the theory covers Conv, BatchNormalization and ReLU only"
    );
    assert!(
        why(&|g| {
            let x = g.conv("conv", INPUT, 4, Window::square(8, 1).pads(0), 1, false);
            let x = g.batch_norm("bn", &x, 1e-3);
            g.relu("relu", &x)
        })
        .starts_with("batch normalisation `bn` sees a single value per channel")
    );
}

#[test]
fn deep_and_narrow_chains_stay_finite() {
    let mut analytic = Analytic::new(Config::default());
    for (width, layers) in [(1, 256), (2, 256), (8, 100), (65_536, 40)] {
        let block = |stride| {
            json!({"block": "SuperResK1K7K1", "in": 3, "out": width, "stride": stride,
                   "bottleneck": width, "layers": layers})
        };
        for side in [2, 7, 32] {
            let spec = json!([block(1), block(2), block(1)]).to_string();
            let value = analytic.super_blocks(&spec, [3, side, side]).unwrap();
            assert!(value.is_finite(), "{width} {layers} {side}: {value}");
        }
    }
}

#[test]
fn wrong_configurations_are_refused() {
    let error = |config: Value| ZenScoreAnalytic::create(serde_json::from_value(config).unwrap()).is_err();
    assert!(error(json!({"batch": 0})));
    assert!(error(json!({"gamma": -1.0})));
    assert!(!error(json!({})));
}
