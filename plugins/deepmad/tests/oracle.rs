//! Scores and counters against the official code: 81 structures, all classes of blocks.

use nashost_deepmad::score::{
    Config, EfficientScore, Evaluator, MadScore, NoOptions, Objective, SeMaps, Variant,
};
use nashost_plugin_api::{
    architecture::Geometry,
    component::Component as _,
    graph::{GraphBuilder, INPUT},
    metric::{ArchitectureMetric, Candidate, Score, ScoreContext},
};
use nashost_tinynas::{
    Structure,
    count::count,
    stage::{Exponents, Maps, Stage, stages},
};
use serde_json::Value;

const ORACLE: &str = include_str!("../../../tests/fixtures/deepmad/oracle.json");

/// The official code sums in another order: differences stay within some hundred roundings.
const TOLERANCE: f64 = 1e-12;

fn entries() -> Vec<Value> {
    let mut oracle: Value = serde_json::from_str(ORACLE).expect("the oracle is JSON");
    let entries: Vec<Value> = serde_json::from_value(oracle["entries"].take()).expect("entries are a list");
    assert_eq!(entries.len(), 81);
    entries
}

fn structure(entry: &Value) -> Structure {
    Structure::try_from(&entry["structure"]).expect("a structure")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn assert_close(found: f64, expected: &Value, what: &Value) {
    let expected = expected.as_f64().expect("a number");
    assert!((found - expected).abs() <= TOLERANCE * expected.abs(), "{what}: {found} instead of {expected}");
}

fn config(entry: &Value, variant: Variant) -> Config {
    Config {
        variant,
        stage_weights: Some(numbers(&entry["multi_block_ratio"])),
        depth_penalty: entry["depth_penalty_ratio"].as_f64().expect("a number"),
        resolution: Some(entry["score_resolution"].as_u64().expect("a number") as u32),
        ..Config::official()
    }
}

/// Scores a spec through the component, as a host does.
fn ask(metric: &impl ArchitectureMetric, spec: &Value) -> Score {
    let mut graph = GraphBuilder::new([3, 224, 224]);
    // The metrics look at the spec alone.
    let features = graph.relu("relu", INPUT);
    let pooled = graph.global_average_pool("pool", &features);
    let flat = graph.flatten("flatten", &pooled);
    let graph = graph.finish(&flat, &features).expect("a valid graph");
    let candidate = Candidate { spec: spec.clone(), graph, counters: Default::default(), seed: 0 };
    let geometry = Geometry { input: [3, 224, 224], outputs: 10 };
    let context = ScoreContext { geometry, device: "cpu".into() };
    metric.score(&[candidate], &context).expect("a score").remove(0)
}

#[test]
fn counters_equal_the_official_ones() {
    for entry in entries() {
        let side = entry["flops_resolution"].as_u64().unwrap() as usize;
        let counts = count(&structure(&entry), [side, side]);
        let official = &entry["official"];
        assert_close(counts.params, &official["model_size"], &entry["id"]);
        assert_close(counts.flops, &official["flops"], &entry["id"]);
        assert_eq!(counts.layers as u64, official["layers"].as_u64().unwrap(), "{}", entry["id"]);
    }
}

#[test]
fn stages_equal_the_official_ones() {
    for entry in entries() {
        let side = entry["score_resolution"].as_u64().unwrap() as usize;
        let structure = structure(&entry);
        let found: Vec<Stage> =
            stages(&structure, [side, side], Maps::Official, Exponents::default()).collect();
        let official = &entry["official"];
        let compare = |name: &str, value: fn(&Stage) -> usize| {
            let found: Vec<usize> = found.iter().map(value).collect();
            assert_eq!(official[name], serde_json::json!(found), "{}: {name}", entry["id"]);
        };
        compare("stage_idx", |stage| stage.block);
        compare("stage_block_num", |stage| stage.units);
        compare("stage_layer_num", |stage| stage.layers);
        compare("stage_channels", |stage| stage.channels);
        compare("stage_feature_map_size", |stage| stage.size[0]);
        if let Some(units) = official["block_log_std"].as_array() {
            let total: f64 = units.iter().map(|unit| unit.as_f64().unwrap()).sum();
            assert_close(found.last().unwrap().entropy, &total.into(), &entry["id"]);
        }
    }
}

#[test]
fn scores_equal_the_official_ones_stage_by_stage() {
    for entry in entries() {
        let structure = structure(&entry);
        for (variant, name) in [(Variant::Deepmad, "deepmad"), (Variant::Madnas, "madnas")] {
            let config = Config { depth_penalty: 0.0, ..config(&entry, variant) };
            let parts = Evaluator::new(config.clone()).parts(&structure, [1, 1]);
            let official = &entry["official"][name];
            if let Some(error) = official["error"].as_str() {
                let why = parts.unwrap_err().to_string();
                assert!(why.contains("−9999") && why.contains(error), "{}: {why}", entry["id"]);
                continue;
            }
            let parts = parts.unwrap();
            for (term, expected) in parts.stages.iter().zip(numbers(&official["per_stage"])) {
                assert_close(*term, &expected.into(), &entry["id"]);
            }
            let score = Evaluator::new(config).score(&structure, [1, 1]).unwrap();
            assert_close(score, &official["raw"], &entry["id"]);
        }
    }
}

#[test]
fn exponents_work_as_in_the_official_code() {
    let mut compared = 0;
    for entry in entries() {
        let Some(expected) = entry["official"].get("deepmad_alpha1_0.7_alpha2_1.3") else { continue };
        let config = Config {
            depth_penalty: 0.0,
            channel_exponent: 0.7,
            kernel_exponent: 1.3,
            ..config(&entry, Variant::Deepmad)
        };
        let score = Evaluator::new(config).score(&structure(&entry), [1, 1]).unwrap();
        assert_close(score, &expected["raw"], &entry["id"]);
        compared += 1;
    }
    assert_eq!(compared, 74);
}

#[test]
fn the_search_score_is_less_the_depth_penalty() {
    let mut compared = 0;
    for entry in entries() {
        let deepmad = entry["score_type"] == "deepmad";
        let variant = if deepmad { Variant::Deepmad } else { Variant::Madnas };
        let metric = MadScore::create(config(&entry, variant)).unwrap();
        let official = &entry["official"];
        if official["search_score"].is_null() {
            continue;
        }
        let score = ask(&metric, &entry["structure"]);
        assert_close(score.value.unwrap(), &official["search_score"], &entry["id"]);
        if deepmad {
            let parts = Evaluator::new(config(&entry, variant)).parts(&structure(&entry), [1, 1]).unwrap();
            assert_close(parts.penalty, &official["depth_penalty"], &entry["id"]);
        }
        compared += 1;
    }
    assert!(compared > 60, "{compared}");
}

#[test]
fn effectiveness_equals_the_official_one_or_is_undefined() {
    let metric = EfficientScore::create(NoOptions {}).unwrap();
    let mut undefined = 0;
    for entry in entries() {
        let score = ask(&metric, &entry["structure"]);
        let expected = &entry["official"]["efficient_score"];
        if expected.is_null() {
            assert_eq!(score.value, None);
            assert!(score.why.unwrap().contains("has no attribute 'get_width'"));
            undefined += 1;
        } else {
            assert_close(score.value.unwrap(), expected, &entry["id"]);
        }
    }
    assert_eq!(undefined, 7);
}

/// Scores the published R50 network, with units `depths`, under an objective.
fn penalty(objective: Objective, depths: &[usize]) -> Result<f64, String> {
    let r50 = nashost_tinynas::preset::find("deepmad-r50").expect("a preset");
    let mut structure = r50.structure();
    structure.blocks.truncate(depths.len() + 1);
    for (block, &depth) in structure.blocks[1..].iter_mut().zip(depths) {
        block.units = Some(depth);
    }
    let stages = structure.blocks.iter().skip(1).filter(|block| block.stride == 2).count() + 1;
    let config = Config { objective, stage_weights: Some(vec![1.0; stages]), ..Config::official() };
    Evaluator::new(config).parts(&structure, [224, 224]).map(|parts| parts.penalty).map_err(|e| e.to_string())
}

#[test]
fn objectives_differ_in_the_depths_they_look_at() {
    let close = |found: Result<f64, String>, expected: f64| {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-9 * expected, "{found} instead of {expected}");
    };
    close(penalty(Objective::Official, &[1, 1, 4, 4, 4]), 10.0);
    close(penalty(Objective::Repaired, &[1, 2, 4, 4, 6]), 10.0 * 2_f64.sqrt().exp());
    close(penalty(Objective::Repaired, &[3, 4, 4]), 10.0);
    close(penalty(Objective::Paper, &[1, 3, 1, 3, 2]), 10.0 * 0.8_f64.exp());
    let error = penalty(Objective::Official, &[1, 2, 3, 4]).unwrap_err();
    assert!(error.contains("4 super-blocks") && error.contains("AssertionError"), "{error}");
    let error = penalty(Objective::Paper, &[1, 200, 1, 200, 1]).unwrap_err();
    assert!(error.contains("exceeds the largest number"), "{error}");
}

#[test]
fn what_cannot_be_scored_says_why() {
    let metric = |config| MadScore::create(config).unwrap();
    let why = |config, spec: &Value| ask(&metric(config), spec).why.unwrap();
    let zennas =
        serde_json::json!([{"block": "SuperConvK3BNRELU", "in": 3, "out": 8, "stride": 1, "layers": 1}]);
    assert!(why(Config::default(), &zennas).starts_with("defined for TinyNAS structures only: "));
    let r18 = nashost_tinynas::preset::find("deepmad-r18").unwrap().structure().to_value();
    let weights = Config { stage_weights: Some(vec![1.0]), ..Config::default() };
    assert!(why(weights, &r18).starts_with("5 stages, but 1 stage weights; the official code gives −9999"));
    let small = Config { resolution: Some(16), ..Config::default() };
    assert_eq!(why(small, &r18), "the map at the end of stage 5 has no pixel for images of 16×16");
    for config in [
        Config { stage_weights: Some(vec![]), ..Config::default() },
        Config { depth_penalty: f64::NAN, ..Config::default() },
        Config { kernel_exponent: -1.0, ..Config::default() },
        Config { resolution: Some(0), ..Config::default() },
    ] {
        assert!(MadScore::create(config).is_err());
    }
}

#[test]
fn repaired_maps_see_through_excitation() {
    let net = nashost_tinynas::preset::find("deepmad-29m-224").unwrap().structure();
    let stage = |se_maps| {
        let config = Config { se_maps, ..Config::official() };
        Evaluator::new(config).parts(&net, [224, 224]).unwrap().stages[1]
    };
    let ratio = stage(SeMaps::Repaired) / stage(SeMaps::Official);
    // 56×56 pixels of 85 channels instead of one.
    assert!((ratio - (85.0 * 56.0 * 56.0_f64).ln() / 85_f64.ln()).abs() < 1e-12, "{ratio}");
}
