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
        saliency: Some(saliency()),
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
        phases: vec![
            Phase { name: "weights".to_owned(), steps: 8, seconds: 60.0 },
            Phase { name: "gradients".to_owned(), steps: 4, seconds: 20.0 },
        ],
        counts: vec![Count { name: "images to train weights".to_owned(), count: 3072 }],
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
        warnings: vec!["two seeds: take more".to_owned()],
        selected_on_test: false,
        total_s: None,
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
        attributions: vec![attribution()],
    }
}

fn attribution() -> Attribution {
    let operation = |edge: &str, operation: &str, last: f64| AttributedOperation {
        edge: edge.to_owned(),
        operation: operation.to_owned(),
        values: vec![last / 2.0, last],
        standard_errors: vec![0.05, 0.02],
        chosen: last > 0.0,
    };
    let edge = |from: &str, operation: &str| CellEdge {
        from: from.to_owned(),
        operation: operation.to_owned(),
        edge: format!("{from} → 2"),
    };
    Attribution {
        run: "7f3a".to_owned(),
        title: "normal cell".to_owned(),
        unit: "epoch".to_owned(),
        steps: vec![1.0, 2.0],
        operations: vec![
            operation("0 → 2", "sep_conv_3x3", 0.2),
            operation("0 → 2", "skip_connect", -0.1),
            operation("1 → 2", "skip_connect", 0.1),
        ],
        cell: Some(Cell {
            inputs: vec!["0".to_owned(), "1".to_owned()],
            nodes: vec![CellNode {
                name: "2".to_owned(),
                edges: vec![edge("0", "sep_conv_3x3"), edge("1", "skip_connect")],
            }],
            outputs: vec!["2".to_owned()],
        }),
    }
}

fn saliency() -> Saliency {
    let stage = |layers, hits| RandomisedResult {
        layers,
        of: 4,
        findings: 10,
        hits,
        mass: Some(0.4),
        similarity: Some(1.0 - layers as f64 / 10.0),
    };
    // 2 × 2 pixels.
    let picture = |bytes: &str| bytes.to_owned();
    Saliency {
        problem: None,
        node: "relu".to_owned(),
        map: [2, 2],
        side: 2,
        labels: vec![PointingResult {
            label: "Fracture".to_owned(),
            findings: 10,
            hits: 7,
            centre_hits: 2,
            blank: 1,
            mass: Some(0.4),
            area: Some(0.05),
        }],
        randomised: vec![stage(0, 7), stage(1, 4), stage(4, 1)],
        examples: vec![SaliencyExample {
            label: "Fracture".to_owned(),
            score: Some(0.8),
            hit: true,
            peak: [1, 0],
            image: picture("AECA/w=="),
            map: picture("AECA/w=="),
            finding: picture("AQAAAA=="),
        }],
    }
}
