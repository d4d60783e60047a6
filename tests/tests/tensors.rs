//! Tensors between plugins, which rests on one libtorch in the process.

use std::fs;

use nashost::{
    device,
    plugin::{Registry, SearchPath, Trust},
};
use nashost_plugin_api::architecture::Geometry;
use nashost_plugin_torch::{ForeignHandover, Mode, Network, check_handover, gaussian};
use nashost_tests::{Sandbox, Set, library};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::json;

#[test]
fn tensors_go_through_plugins_and_come_back() {
    let places = ["nashost_zennas", "nashost_costs", "nashost_metrics"].map(library);
    let registry =
        Registry::new(&SearchPath { places: places.into() }, Trust::default(), device::libtorch_abi());
    let metrics = ["zen-score", "latency"].map(|id| registry.architecture_metric(id, &json!({})).unwrap());
    let handovers: Vec<_> = metrics.iter().filter_map(|m| ForeignHandover::of(m.instance())).collect();
    assert_eq!(handovers.len(), 2, "both plugins take tensors");
    check_handover("cpu", &handovers).unwrap();
    // Several rounds: what a plugin freed must not be used again.
    check_handover("cpu", &handovers.repeat(8)).unwrap();
    assert!(check_handover("gpu", &handovers).is_err());
    assert_eq!(device::libtorch_copies().len(), 1);

    let torchless = registry.prediction_metric("f1", &json!({})).unwrap();
    assert!(ForeignHandover::of(torchless.instance()).is_none());
}

/// Builds a preset of `superres` through the plugin's file and sends two images through it.
fn forward(registry: &Registry, preset: &str) -> Vec<i64> {
    let geometry = Geometry { input: [3, 32, 32], outputs: 5 };
    let space = registry.architecture("superres", &json!({"initial": preset})).expect("the space");
    let graph = space.graph(&space.initial().expect("the preset"), &geometry).expect("its graph");
    let network = Network::new(graph).expect("a valid graph");
    let weights = network.initialize(1);
    let _no_grad = tch::no_grad_guard();
    let logits = network.forward(&weights, &gaussian(2, &[2, 3, 32, 32]), Mode::Train);
    let logits = logits.expect("a forward pass");
    assert!(logits.isfinite().all().int64_value(&[]) == 1, "{preset}");
    logits.size()
}

fn superres() -> Registry {
    let places = SearchPath { places: vec![library("nashost_superres")] };
    Registry::new(&places, Trust::default(), device::libtorch_abi())
}

#[test]
fn a_network_of_every_tinynas_class_runs() {
    let registry = superres();
    for preset in ["deepmad-r18", "damoyolo-k1kx-start", "damoyolo-kxkx-start", "mbv2-start", "29m-288-start"]
    {
        assert_eq!(forward(&registry, preset), [2, 5], "{preset}");
    }
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn every_tinynas_preset_runs() {
    let registry = superres();
    for preset in nashost_tinynas::preset::PRESETS {
        assert_eq!(forward(&registry, preset.name), [2, 5], "{}", preset.name);
    }
}

#[test]
fn a_second_libtorch_is_refused() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    // Any library will do: a second libtorch is recognised by its name.
    let second = sandbox.path("libtorch_cpu.so.2");
    fs::copy(library("evil_plugin"), &second).unwrap();
    sandbox
        .nashost(Set::RUN)
        .env("LD_PRELOAD", &second)
        .assert()
        .code(4)
        .stderr(contains("E0417").and(contains("libtorch_cpu.so.2")));
    assert!(!sandbox.path("runs").exists());
}
