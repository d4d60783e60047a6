//! A small report for tests, with something in every section.

use std::collections::BTreeMap;

use crate::data::*;

fn value(mean: f64) -> Value {
    Value { mean: Some(mean), sd: Some(0.01), ci95: Some([mean - 0.1, mean + 0.05]), ..Value::default() }
}

fn values(mean: f64) -> BTreeMap<String, Value> {
    BTreeMap::from([("macro_f1".to_owned(), value(mean)), ("macro_auroc".to_owned(), value(mean + 0.2))])
}

fn method(name: &str, mean: f64) -> Method {
    let scores: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 40) / 40.0).collect();
    let truth: Vec<bool> = scores.iter().enumerate().map(|(i, score)| *score > 0.6 || i % 9 == 0).collect();
    let label = |label: &str, truth: &[bool]| LabelScores {
        label: label.to_owned(),
        threshold: 0.5,
        truth: truth.to_vec(),
        scores: scores.clone(),
    };
    let epochs = (1..=4).map(|epoch| Epoch {
        epoch,
        train_loss: 1.0 / f64::from(epoch),
        val_loss: 1.2 / f64::from(epoch),
        seconds: 2.5,
        val: BTreeMap::from([
            ("macro_f1".to_owned(), Some(0.2 * f64::from(epoch))),
            ("macro_auroc".to_owned(), None),
        ]),
    });
    let trial = Trial {
        name: "T0001".to_owned(),
        seed: 1,
        state: "done".to_owned(),
        epochs: epochs.collect(),
        best_epoch: Some(3),
        thresholds: "0.5 for every label".to_owned(),
        train_s: 12.5,
        predictions: vec![label("Fracture", &truth), label("Spinous", &[false; 40])],
        ..Trial::default()
    };
    let failed =
        Trial { name: "T0002".to_owned(), failure: Some("out of memory".to_owned()), ..Trial::default() };
    let auroc = |mean| BTreeMap::from([("auroc".to_owned(), mean)]);
    let undefined = Value { why: Some("no positive".to_owned()), ..Value::default() };
    let node = |name: &str, input: &str| Node {
        name: name.to_owned(),
        op: "conv 3×3".to_owned(),
        inputs: vec![input.to_owned()],
        shape: vec![8, 32, 32],
        params: 216,
        macs: 221_184,
        ..Node::default()
    };
    Method {
        name: name.to_owned(),
        run: "7f3a".to_owned(),
        test_set: "set".to_owned(),
        seeds: 1,
        values: values(mean),
        labels: vec![
            LabelResult { label: "Fracture".to_owned(), support: Some(18), values: auroc(value(mean)) },
            LabelResult { label: "Spinous".to_owned(), support: Some(0), values: auroc(undefined) },
        ],
        trials: vec![trial, failed],
        networks: vec![Network {
            trials: vec!["T0001".to_owned()],
            id: "a1b2".to_owned(),
            input: [3, 32, 32],
            params: 432,
            macs: 442_368,
            peak_activations: 16_384,
            scores: BTreeMap::from([("zen-score".to_owned(), Some(12.5))]),
            nodes: vec![node("stem.conv", "input"), node("layer1.conv", "stem.conv")],
        }],
    }
}

fn group(name: &str, positives: u64) -> Subgroup {
    Subgroup {
        attribute: "scanner".to_owned(),
        group: name.to_owned(),
        method: "zennas".to_owned(),
        run: "7f3a".to_owned(),
        images: 30,
        positives,
        values: BTreeMap::from([(
            "macro_f1".to_owned(),
            Value { mean: Some(0.123_456), ..Value::default() },
        )]),
    }
}

/// Something of everything.
pub(crate) fn report() -> ReportData {
    let search = Search {
        strategy: "zennas".to_owned(),
        space: "superres".to_owned(),
        metric: "zen-score".to_owned(),
        higher_is_better: true,
        values: vec![Some(1.0), None, Some(3.0), Some(2.0)],
        cost: "params".to_owned(),
        costs: vec![Some(1e5), None, Some(3e5), Some(2e5)],
        chosen: Some(2),
        reason: "the best".to_owned(),
        ..Search::default()
    };
    let metric = |name: &str| Metric {
        name: name.to_owned(),
        higher_is_better: true,
        per_label: false,
        description: "Mean over labels".to_owned(),
    };
    let run = Run {
        id: "7f3a".to_owned(),
        name: "neck".to_owned(),
        status: "done".to_owned(),
        warnings: vec!["test set has 40 images".to_owned()],
        dataset: "phantom".to_owned(),
        labels: vec!["Fracture".to_owned(), "Spinous".to_owned()],
        parts: vec![Part {
            name: "test".to_owned(),
            images: 40,
            patients: 30,
            positives: vec![18, 0],
            assessed: vec![40, 39],
        }],
        search: Some(search),
        times: Times { total_s: 57.0, search_s: 5.0, train_s: 50.0, val_s: 1.0, ..Times::default() },
        command: "nashost run --plugin zennas".to_owned(),
        config: "[data]\nplugin = \"phantom\"\n".to_owned(),
        facts: vec![Fact { name: "nashost".to_owned(), value: "0.1.0".to_owned() }],
        plugins: vec![Plugin {
            id: "zennas".to_owned(),
            version: "0.1.0".to_owned(),
            sha256: "c0ffee".to_owned(),
        }],
        ..Run::default()
    };
    ReportData {
        title: "Report".to_owned(),
        generator: "nashost 0.1.0".to_owned(),
        headline: vec!["macro_auroc".to_owned(), "macro_f1".to_owned()],
        metrics: vec![metric("macro_auroc"), metric("macro_f1")],
        runs: vec![run],
        methods: vec![method("zennas", 0.6), method("resnet", 0.5)],
        baselines: vec![Baseline {
            name: "all-positive".to_owned(),
            test_set: "set".to_owned(),
            values: values(0.3),
        }],
        comparisons: vec![Comparison {
            a: "zennas".to_owned(),
            b: "resnet".to_owned(),
            metric: "macro_f1".to_owned(),
            difference: Some(0.1),
            ci95: Some([-0.02, 0.22]),
            p: Some(0.08),
            p_adjusted: Some(0.16),
            test: "paired bootstrap, Holm".to_owned(),
            note: None,
        }],
        subgroups: vec![group("A", 12), group("B", 9)],
        attributions: vec![Attribution {
            title: "normal cell".to_owned(),
            steps: vec![1.0, 2.0],
            operations: vec![AttributedOperation {
                edge: "0 → 2".to_owned(),
                operation: "sep_conv_3x3".to_owned(),
                values: vec![0.1, 0.2],
                standard_errors: vec![0.05, 0.02],
                chosen: true,
            }],
        }],
    }
}
