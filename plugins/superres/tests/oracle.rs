//! Counters and round trips against the official code.

use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component as _,
};
use nashost_superres::{
    Config, SuperRes,
    official::{Mode, Official, count},
    plainnet::parse,
};
use serde_json::Value;

const ORACLE: &str = include_str!("../../../tests/fixtures/zennas/oracle.json");

fn entries() -> Vec<Value> {
    let mut oracle: Value = serde_json::from_str(ORACLE).expect("the oracle is JSON");
    let entries: Vec<Value> = serde_json::from_value(oracle["entries"].take()).expect("entries are a list");
    assert_eq!(entries.len(), 35);
    entries
}

fn text(entry: &Value) -> &str {
    entry["structure"].as_str().expect("a string")
}

fn size(value: &Value) -> usize {
    value.as_u64().and_then(|value| value.try_into().ok()).expect("a whole number")
}

fn official(entry: &Value, mode: Mode, resolution: usize) -> Official {
    let structure = parse(text(entry)).expect("a structure");
    count(&structure, mode, [3, resolution, resolution], size(&entry["num_classes"]))
}

#[test]
fn structures_read_and_print_as_they_are() {
    let space = SuperRes::create(Config::default()).unwrap();
    for entry in entries() {
        let spec = space.import("plainnet", text(&entry)).unwrap();
        assert_eq!(space.export("plainnet", &spec).unwrap(), text(&entry));
    }
}

#[test]
fn counters_equal_the_official_ones_exactly() {
    for entry in entries() {
        let counts = official(&entry, Mode::default(), size(&entry["resolution"]));
        assert_eq!(counts.params, entry["params"], "{}", entry["id"]);
        assert_eq!(counts.flops, entry["flops"], "{}", entry["id"]);
        assert_eq!(counts.layers, size(&entry["num_layers"]), "{}", entry["id"]);
        for (resolution, flops) in entry["flops_at"].as_object().unwrap() {
            let counts = official(&entry, Mode::default(), resolution.parse().unwrap());
            assert_eq!(counts.flops, *flops, "{} at {resolution}", entry["id"]);
        }
    }
}

#[test]
fn counters_equal_the_official_ones_in_every_mode() {
    let plain = Mode { residual_links: false, ..Mode::default() };
    let modes = [
        ("no_reslink", plain),
        ("no_reslink_no_BN", Mode { batch_norm: false, ..plain }),
        ("use_se", Mode { squeeze_excitation: true, ..Mode::default() }),
    ];
    let mut compared = 0;
    for entry in entries() {
        for (name, mode) in modes {
            let Some(expected) = entry.get(name) else { continue };
            let counts = official(&entry, mode, size(&entry["resolution"]));
            assert_eq!(counts.params, expected["params"], "{} {name}", entry["id"]);
            assert_eq!(counts.flops, expected["flops"], "{} {name}", entry["id"]);
            compared += 1;
        }
    }
    assert!(compared > 35, "{compared}");
}

#[test]
fn the_component_answers_the_search_counters() {
    let space = SuperRes::create(Config::default()).unwrap();
    for entry in entries() {
        let spec = space.import("plainnet", text(&entry)).unwrap();
        let side = size(&entry["resolution"]);
        let geometry = Geometry { input: [3, side, side], outputs: size(&entry["num_classes"]) };
        let counters = space.counters(&spec, &geometry).unwrap();
        assert_eq!(counters["official.params"], entry["params"]);
        assert_eq!(counters["official.flops"], entry["flops"]);
        assert_eq!(counters["official.layers"], entry["num_layers"]);
    }
}

#[test]
fn graphs_have_the_true_sizes_of_the_official_modules() {
    let space = SuperRes::create(Config::default()).unwrap();
    for entry in entries() {
        let spec = space.import("plainnet", text(&entry)).unwrap();
        let side = size(&entry["resolution"]);
        let geometry = Geometry { input: [3, side, side], outputs: size(&entry["num_classes"]) };
        let graph = space.graph(&spec, &geometry).unwrap();
        let costs = graph.costs().unwrap();
        assert_eq!(costs.params, entry["torch_params"], "{}", entry["id"]);
        assert_eq!(costs.macs, entry["true_macs"], "{}", entry["id"]);
        let plain = graph.without_residual_links();
        assert_eq!(plain.costs().unwrap().params, entry["torch_params_no_reslink"], "{}", entry["id"]);
        let norms = plain.nodes.iter().filter(|node| node.op.name() == "BatchNormalization").count();
        assert_eq!(norms, size(&entry["num_bn_no_reslink"]), "{}", entry["id"]);
    }
}

#[test]
fn networks_with_excitation_and_grayscale_input_are_valid() {
    for (space, initial) in [("xxbl", "cifar"), ("idw", "imagenet-idw")] {
        let config = serde_json::json!({"space": space, "initial": initial, "se": true});
        let space = SuperRes::create(serde_json::from_value(config).unwrap()).unwrap();
        for seed in 0..5 {
            let geometry = Geometry { input: [1, 65, 47], outputs: 8 };
            let graph = space.graph(&space.sample(seed).unwrap(), &geometry).unwrap();
            graph.validate().unwrap();
            assert!(graph.costs().unwrap().params > 0);
        }
    }
}
