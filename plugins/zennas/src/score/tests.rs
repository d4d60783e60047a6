//! Properties of the score that need no oracle.

use nashost_plugin_api::{
    architecture::Geometry,
    graph::{Graph, GraphBuilder, INPUT, Op, Window},
};
use serde_json::json;

use nashost_plugin_api::seed::derive_seed;
use nashost_plugin_torch::gaussian;
use tch::{Kind, Tensor};

use super::*;

fn metric(config: serde_json::Value) -> ZenScore {
    ZenScore::create(serde_json::from_value(config).unwrap()).unwrap()
}

fn score(metric: &ZenScore, graph: &Graph, seed: u64) -> Score {
    let candidate = Candidate { spec: json!(null), graph: graph.clone(), counters: Default::default(), seed };
    let context =
        ScoreContext { geometry: Geometry { input: graph.input, outputs: 2 }, device: "cpu".into() };
    metric.score(&[candidate], &context).unwrap().remove(0)
}

/// Two convolutions with batch normalisation and a skip connection around the second. `middle`
/// adds more nodes after the first activation.
fn network(middle: impl Fn(&mut GraphBuilder, String) -> String) -> Graph {
    let mut g = GraphBuilder::new([3, 8, 8]);
    let x = g.conv("conv1", INPUT, 8, Window::square(3, 1), 1, false);
    let x = g.batch_norm("bn1", &x, 1e-3);
    let x = g.relu("relu1", &x);
    let x = middle(&mut g, x);
    let y = g.conv("conv2", &x, 8, Window::square(3, 1), 1, true);
    let y = g.batch_norm("bn2", &y, 1e-3);
    let y = g.residual("add", &y, &x);
    let y = g.relu("relu2", &y);
    finish(g, &y)
}

/// Adds the classifier.
fn finish(mut g: GraphBuilder, features: &str) -> Graph {
    let pooled = g.global_average_pool("pool", features);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, 2, true);
    g.finish(&logits, features).unwrap()
}

fn plain() -> Graph {
    network(|_, x| x)
}

#[test]
fn the_score_of_one_layer_by_hand() {
    let mut g = GraphBuilder::new([2, 4, 4]);
    let x = g.conv("conv", INPUT, 3, Window::square(3, 1), 1, false);
    let x = g.batch_norm("bn", &x, 1e-3);
    let graph = finish(g, &x);
    let draw = |name, [n, channels, height, width]: [i64; 4]| {
        let seed = derive_seed(derive_seed(5, "repeat/0"), name);
        gaussian(seed, &[n, height, width, channels]).permute([0, 3, 1, 2])
    };
    let weight = draw("conv.weight", [3, 2, 3, 3]);
    let image = draw("image", [4, 2, 4, 4]);
    let noise = draw("perturbation", [4, 2, 4, 4]);

    // Straight from the definition, in double precision, with libtorch's own batch normalisation.
    let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
    let (mean, variance) =
        (Tensor::zeros([3], (Kind::Double, Device::Cpu)), Tensor::ones([3], (Kind::Double, Device::Cpu)));
    let none: Option<&Tensor> = None;
    let run = |image: &Tensor| {
        let x = double(image).conv2d(&double(&weight), none, [1, 1], [1, 1], [1, 1], 1);
        x.batch_norm(none, none, Some(&mean), Some(&variance), true, 0.1, 1e-3, false)
    };
    let first = run(&image);
    let second = run(&(&image + 0.01 * &noise));
    let difference = (first - second).abs().sum(Kind::Double).double_value(&[]) / 4.0;
    let running = variance.mean(Kind::Double).double_value(&[]);
    let expected = difference.ln() + running.sqrt().ln();

    let found = score(&metric(json!({"batch": 4})), &graph, 5).value.unwrap();
    // Single precision loses about 1e-7 of values near 1 whose differences are near 0.01.
    assert!((found - expected).abs() < 1e-5, "{found} vs {expected}");
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let metric = metric(json!({}));
    let graph = plain();
    let alone = score(&metric, &graph, 1);
    assert_eq!(alone.value, score(&metric, &graph, 1).value);
    assert_ne!(alone.value, score(&metric, &graph, 2).value);
    let candidate =
        |seed| Candidate { spec: json!(0), graph: graph.clone(), counters: Default::default(), seed };
    let context =
        ScoreContext { geometry: Geometry { input: graph.input, outputs: 2 }, device: "cpu".into() };
    let together = metric.score(&[candidate(2), candidate(1)], &context).unwrap();
    assert_eq!(together[1].value, alone.value);
}

#[test]
fn threads_do_not_change_the_values() {
    for generator in ["portable", "libtorch"] {
        let metric = metric(json!({"generator": generator}));
        let graph = plain();
        let alone: Vec<_> = (0..8).map(|seed| score(&metric, &graph, seed).value).collect();
        let at_once: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|seed| {
                    scope.spawn({
                        let (metric, graph) = (&metric, &graph);
                        move || score(metric, graph, seed).value
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(alone, at_once, "{generator}");
    }
}

#[test]
fn both_arithmetics_score_alike() {
    let score = |generator| score(&metric(json!({"generator": generator, "repeats": 200})), &plain(), 1);
    let (portable, libtorch) = (score("portable"), score("libtorch"));
    let difference = portable.value.unwrap() - libtorch.value.unwrap();
    let error = portable.spread.unwrap().hypot(libtorch.spread.unwrap()) / 200.0_f64.sqrt();
    assert!(difference.abs() < 3.0 * error, "{difference}, standard error {error}");
    assert!((portable.spread.unwrap() / libtorch.spread.unwrap() - 1.0).abs() < 0.2);
}

#[test]
fn repeats_have_a_mean_and_a_spread() {
    let graph = plain();
    let one = score(&metric(json!({})), &graph, 3);
    assert_eq!((one.repeats, one.spread), (1, None));
    let many = score(&metric(json!({"repeats": 20})), &graph, 3);
    assert_eq!(many.repeats, 20);
    assert!(many.spread.unwrap() > 0.0);
    assert!((many.value.unwrap() - one.value.unwrap()).abs() < 5.0 * many.spread.unwrap());
    // Variances far above 1 are approached from below when statistics go on.
    let drifted = score(&metric(json!({"repeats": 20, "statistics": "accumulate"})), &graph, 3);
    assert!(drifted.value.unwrap() > many.value.unwrap() + many.spread.unwrap());
    let paper = score(&metric(json!({"repeats": 20, "bn_term": "paper"})), &graph, 3);
    assert!(paper.value.unwrap() > drifted.value.unwrap());
}

#[test]
fn skip_connections_are_removed_unless_wanted() {
    let without = metric(json!({}));
    let with = metric(json!({"residual_links": true}));
    let (plain, bare) = (plain(), plain().without_residual_links());
    assert_eq!(score(&without, &plain, 1).value, score(&without, &bare, 1).value);
    assert_eq!(score(&with, &bare, 1).value, score(&without, &bare, 1).value);
    assert_ne!(score(&with, &plain, 1).value, score(&without, &plain, 1).value);
}

#[test]
fn a_value_with_several_readers_is_not_overwritten() {
    // The product and the sum read what a careless batch normalisation or activation destroys.
    let careless = network(|g, x| {
        let normal = g.batch_norm("again", &x, 1e-3);
        let alias = g.node("alias", Op::Identity, &[&x]);
        let active = g.relu("active", &alias);
        let sum = g.add("sum", &[&x, &normal]);
        g.mul("product", &[&sum, &active])
    });
    let config = json!({"residual_links": true});
    // The same values, each read once.
    let careful = network(|g, x| {
        let copies: Vec<String> = ["a", "b", "c"]
            .iter()
            .map(|name| g.node(*name, Op::Clip { min: 0.0, max: 1e30 }, &[&x]))
            .collect();
        let normal = g.batch_norm("again", &copies[0], 1e-3);
        let active = g.relu("active", &copies[1]);
        let sum = g.add("sum", &[&copies[2], &normal]);
        g.mul("product", &[&sum, &active])
    });
    let value = |graph| score(&metric(config.clone()), graph, 1).value.unwrap();
    assert!((value(&careless) - value(&careful)).abs() < 1e-6);
}

#[test]
fn dropout_is_left_out() {
    let dropped = network(|g, x| g.node("drop", Op::Dropout { ratio: 0.5 }, &[&x]));
    let metric = metric(json!({}));
    assert_eq!(score(&metric, &dropped, 1).value, score(&metric, &plain(), 1).value);
}

#[test]
fn what_cannot_be_scored_is_undefined_with_a_reason() {
    let why = |graph: &Graph, config| {
        let score = score(&metric(config), graph, 1);
        assert_eq!(score.value, None);
        score.why.unwrap()
    };
    let mut g = GraphBuilder::new([1, 8, 8]);
    let x = g.conv("conv", INPUT, 4, Window::square(3, 1), 1, false);
    assert!(why(&finish(g.clone(), &x), json!({})).starts_with("the network has no batch normalisation"));
    let pooled = g.global_average_pool("squeeze", &x);
    let x = g.batch_norm("bn", &pooled, 1e-3);
    assert!(
        why(&finish(g, &x), json!({"batch": 1})).starts_with("batch normalisation `bn` sees a single value")
    );
    let mut broken = plain();
    broken.nodes[0].inputs[0] = "nowhere".into();
    assert!(why(&broken, json!({})).contains("nowhere"));
}

#[test]
fn wrong_configurations_and_devices_are_errors() {
    let create = |config| ZenScore::create(serde_json::from_value(config).unwrap());
    assert!(create(json!({"batch": 0})).is_err());
    assert!(create(json!({"gamma": 0.0})).is_err());
    let graph = plain();
    let context =
        ScoreContext { geometry: Geometry { input: graph.input, outputs: 2 }, device: "tpu".into() };
    assert!(metric(json!({})).score(&[], &context).is_err());
}
