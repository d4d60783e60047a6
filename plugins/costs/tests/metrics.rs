//! The metrics through the traits that the host uses.

use nashost_costs::{
    ActivationMemory, Better, Counted, CountedConfig, Latency, LatencyConfig, Macs, Params, Random,
    RandomConfig,
};
use nashost_plugin_api::{
    architecture::Geometry,
    component::Component as _,
    graph::{GraphBuilder, INPUT, Window},
    metric::{ArchitectureMetric, Candidate, Direction, Score, ScoreContext},
};

const GEOMETRY: Geometry = Geometry { input: [3, 8, 8], outputs: 2 };

/// A network with one layer of `width` channels.
fn candidate(width: usize) -> Candidate {
    let mut g = GraphBuilder::new(GEOMETRY.input);
    let x = g.conv("conv", INPUT, width, Window::square(3, 1), 1, false);
    let pooled = g.global_average_pool("pool", &x);
    let flat = g.flatten("flatten", &pooled);
    let logits = g.gemm("fc", &flat, GEOMETRY.outputs, true);
    let graph = g.finish(&logits, &x).expect("valid");
    Candidate { spec: width.into(), graph, counters: Default::default(), seed: 1 }
}

fn invalid() -> Candidate {
    let mut candidate = candidate(4);
    candidate.graph.nodes[0].inputs[0] = "nothing".to_owned();
    candidate
}

fn context(device: &str) -> ScoreContext {
    ScoreContext { geometry: GEOMETRY, device: device.to_owned() }
}

fn values(metric: &impl ArchitectureMetric, candidates: &[Candidate]) -> Vec<Option<f64>> {
    let scores: Vec<Score> = metric.score(candidates, &context("cpu")).expect("the CPU is there");
    scores.into_iter().map(|score| score.value).collect()
}

#[test]
fn counts_follow_the_graph() {
    let candidates = [candidate(4), candidate(8)];
    let params = Counted::<Params>::create(CountedConfig::default()).unwrap();
    assert_eq!(values(&params, &candidates), [Some(108.0 + 10.0), Some(216.0 + 18.0)]);
    let macs = Counted::<Macs>::create(CountedConfig::default()).unwrap();
    assert_eq!(values(&macs, &candidates), [Some(108.0 * 64.0 + 8.0), Some(216.0 * 64.0 + 16.0)]);
    let memory = Counted::<ActivationMemory>::create(CountedConfig::default()).unwrap();
    // Image and convolution.
    assert_eq!(values(&memory, &candidates), [Some(4.0 * (192.0 + 256.0)), Some(4.0 * (192.0 + 512.0))]);
    assert_eq!(params.describe().direction, Direction::Lower);
    assert!(params.describe().parallel);
}

#[test]
fn counts_may_be_scores() {
    let params = Counted::<Params>::create(CountedConfig { better: Better::Higher }).unwrap();
    assert_eq!(params.describe().direction, Direction::Higher);
    assert_eq!(values(&params, &[candidate(4)]), [Some(118.0)]);
}

#[test]
fn random_scores_are_uniform_and_belong_to_structures() {
    let random = |seed| Random::create(RandomConfig { seed }).unwrap();
    let many: Vec<Candidate> =
        (0..4000_usize).map(|spec| Candidate { spec: spec.into(), ..candidate(1) }).collect();
    let scores: Vec<f64> = values(&random(1), &many).into_iter().map(Option::unwrap).collect();
    let mut tenths = [0_u32; 10];
    scores.iter().for_each(|score| tenths[(score * 10.0) as usize] += 1);
    // 400 each, with a standard deviation of 19.
    assert!(tenths.iter().all(|&count| (280..520).contains(&count)), "{tenths:?}");
    // Neither the position, nor the candidate's own seed, nor its network matter.
    let again = Candidate { seed: 99, spec: 7_usize.into(), ..candidate(3) };
    assert_eq!(values(&random(1), std::slice::from_ref(&again)), [Some(scores[7])]);
    assert_ne!(values(&random(2), &[again]), [Some(scores[7])]);
}

#[test]
fn an_invalid_graph_is_undefined_with_a_reason() {
    let latency = Latency::create(LatencyConfig::default()).unwrap();
    let params = Counted::<Params>::create(CountedConfig::default()).unwrap();
    let mut scores = params.score(&[invalid()], &context("cpu")).unwrap();
    scores.extend(latency.score(&[invalid()], &context("cpu")).unwrap());
    for score in scores {
        assert_eq!((score.value, score.spread), (None, None));
        assert!(score.why.unwrap().contains("input `nothing` does not exist"));
    }
}

#[test]
fn latency_answers_each_candidate_and_leaves_grad_mode_alone() {
    let latency = Latency::create(LatencyConfig { batch_size: 2, runs: 10, warm_up: 1 }).unwrap();
    let scores = latency.score(&[candidate(4), candidate(8)], &context("cpu")).unwrap();
    assert_eq!(scores.len(), 2);
    for score in scores {
        assert!(score.value.unwrap() > 0.0 && score.spread.unwrap() >= 0.0);
        assert_eq!((score.repeats, score.why), (10, None));
    }
    assert!(!latency.describe().parallel);
    let weight = tch::Tensor::ones([1], tch::kind::FLOAT_CPU).set_requires_grad(true);
    assert!((weight * 2.0).requires_grad());
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let latency = Latency::create(LatencyConfig::default()).unwrap();
    for device in ["cuda:4000", "tpu"] {
        let error = latency.score(&[candidate(4)], &context(device)).unwrap_err();
        assert!(error.to_string().contains(device), "{error}");
    }
}
