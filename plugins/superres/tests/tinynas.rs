//! TinyNAS networks against the official deploy code and its counters.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_superres::{Config, SuperRes};
use nashost_tinynas::preset::PRESETS;
use serde_json::Value;

const ORACLE: &str = include_str!("../../../tests/fixtures/deepmad/oracle.json");

fn entries() -> Vec<Value> {
    let mut oracle: Value = serde_json::from_str(ORACLE).expect("the oracle is JSON");
    serde_json::from_value(oracle["entries"].take()).expect("entries are a list")
}

fn geometry(entry: &Value, outputs: usize) -> Geometry {
    let size = |value: &Value| value.as_u64().expect("a whole number") as usize;
    let side = size(&entry["flops_resolution"]);
    Geometry { input: [size(&entry["structure"][0]["in"]), side, side], outputs }
}

#[test]
fn graphs_have_the_true_sizes_of_the_official_modules() {
    let space = SuperRes::create(Config::default()).unwrap();
    for entry in entries() {
        let costs = space.graph(&entry["structure"], &geometry(&entry, 1000)).unwrap().costs().unwrap();
        assert_eq!(costs.params, entry["torch"]["deploy_params_with_fc1000"], "{}", entry["id"]);
        assert_eq!(costs.macs, entry["torch"]["deploy_conv_fc_macs"], "{}", entry["id"]);
    }
}

#[test]
fn the_component_answers_the_search_counters() {
    let space = SuperRes::create(Config::default()).unwrap();
    for entry in entries() {
        let counters = space.counters(&entry["structure"], &geometry(&entry, 8)).unwrap();
        let official = &entry["official"];
        assert_eq!(counters["official.params"], official["model_size"], "{}", entry["id"]);
        assert_eq!(counters["official.flops"], official["flops"], "{}", entry["id"]);
        assert_eq!(counters["official.layers"], official["layers"].as_f64().unwrap(), "{}", entry["id"]);
        match official["efficient_score"].as_f64() {
            // The official code adds logarithms in another order.
            Some(expected) => {
                let found = counters["official.efficient_score"];
                assert!((found - expected).abs() < 1e-12 * expected, "{}: {found}", entry["id"]);
            }
            None => assert!(!counters.contains_key("official.efficient_score"), "{}", entry["id"]),
        }
    }
}

#[test]
fn presets_are_the_published_structures() {
    let space = SuperRes::create(Config::default()).unwrap();
    let known: Vec<Value> = PRESETS.iter().map(|preset| preset.structure().to_value()).collect();
    for entry in entries() {
        if !matches!(entry["kind"].as_str(), Some("published" | "start_net"))
            || entry["config"].as_str().is_some_and(|config| config.starts_with("custom"))
        {
            continue;
        }
        let text = entry["structure"].to_string();
        assert!(known.contains(&space.import("tinynas", &text).unwrap()), "{}", entry["id"]);
    }
}

#[test]
fn every_preset_is_a_valid_network_on_small_and_odd_images() {
    for preset in PRESETS {
        let config = serde_json::json!({"initial": preset.name});
        let space = SuperRes::create(serde_json::from_value(config).unwrap()).unwrap();
        let spec = space.initial().unwrap();
        for input in [[3, 1, 1], [1, 33, 47], [3, 64, 64]] {
            let graph = space.graph(&spec, &Geometry { input, outputs: 8 }).unwrap();
            graph.validate().unwrap();
        }
    }
}
