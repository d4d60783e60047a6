//! Tensors between plugins, which rests on one libtorch in the process.

use std::fs;

use nashost::{
    device,
    plugin::{Registry, SearchPath},
};
use nashost_plugin_torch::{ForeignHandover, check_handover};
use nashost_tests::{Sandbox, Set, library};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::json;

#[test]
fn tensors_go_through_plugins_and_come_back() {
    let places = ["nashost_zennas", "nashost_costs", "nashost_metrics"].map(library);
    let registry = Registry::new(&SearchPath { places: places.into() }, None, device::libtorch_abi());
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
