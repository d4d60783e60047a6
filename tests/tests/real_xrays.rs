//! Real chest X-rays: PneumoniaMNIST (MedMNIST v2, CC BY 4.0), as `pneumoniamnist_28.npz` in the
//! folder that `NASHOST_TEST_DATA` names. Without it, these tests are skipped.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "a skipped test says so")]

use nashost_tests::Sandbox;
use serde_json::Value;

/// Arguments that choose the data.
fn xrays() -> Option<String> {
    let folder = std::env::var_os("NASHOST_TEST_DATA")?;
    let file = std::path::Path::new(&folder).join("pneumoniamnist_28.npz");
    Some(format!("--dataset medmnist -s data.path={}", file.display()))
}

/// Area under the ROC curve of a row of `summary.json`: mean and 95 % interval.
fn auroc(row: &Value) -> (f64, [f64; 2]) {
    let metric = &row["test"]["macro_auroc"];
    let bound = |i: usize| metric["ci95"][i].as_f64().unwrap();
    (metric["mean"].as_f64().unwrap(), [bound(0), bound(1)])
}

/// Runs a method and checks that it is clearly better than every trivial predictor.
fn beats_every_baseline(method: &str, at_least: f64) {
    let Some(xrays) = xrays() else {
        println!("skipped: NASHOST_TEST_DATA is not set");
        return;
    };
    let summary = Sandbox::default().json(&format!("run {method} {xrays} --format json"));
    assert_eq!(summary["n"], serde_json::json!({"train": 4708, "val": 524, "test": 624}));
    let (mean, [low, _]) = auroc(&summary["methods"][0]);
    assert!(mean > at_least, "AUROC {mean}");
    let baselines = summary["baselines"].as_array().unwrap();
    assert!(baselines.len() >= 4);
    for baseline in baselines {
        let (_, [_, high]) = auroc(baseline);
        assert!(low > high, "{low} is not above {high} of {}", baseline["method"]);
    }
}

#[test]
fn one_epoch_of_resnet18_recognises_pneumonia() {
    beats_every_baseline(
        "--arch resnet -s arch.depth=18 -s train.resolution=28 -s train.epochs=1 \
         -s train.batch=64 -s eval.bootstrap=200 --device cpu",
        0.8,
    );
}

#[test]
#[ignore = "long: cargo xtask test --long"]
fn zennas_finds_a_network_that_recognises_pneumonia() {
    beats_every_baseline("--plugin zennas -s train.resolution=28", 0.95);
}
