//! Numbers of the published codes; see `tests/fixtures/shapley/README.md`.

use nashost_cells::{CellStructure, Darts, Genotype, Nb201, Stem, Tally, derive, preset};
use nashost_plugin_api::architecture::Geometry;
use serde_json::Value;

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../../tests/fixtures/shapley/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the fixture is there");
    serde_json::from_str(&text).expect("the fixture is JSON")
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap_or_else(|| panic!("{key} of {case}")) as usize
}

fn square(case: &Value) -> Geometry {
    let side = number(case, "resolution");
    Geometry { input: [3, side, side], outputs: number(case, "num_classes") }
}

/// Exact: parameters and multiply-adds of every retraining network, published and random.
#[test]
fn retraining_networks_count_as_the_official_code() {
    let cases = fixture("retrain.json");
    for case in cases["cases"].as_array().unwrap() {
        let network = Darts {
            genotype: serde_json::from_value(case["genotype"].clone()).unwrap(),
            channels: number(case, "C"),
            layers: number(case, "layers"),
            stem: if case["net"] == "NetworkImageNet" { Stem::Imagenet } else { Stem::Cifar },
            reductions: None,
            drop_path: 0.0,
            auxiliary: 0.0,
        };
        let layout = network.build(&square(case)).unwrap();
        let Tally { params, macs, .. } = layout.tally();
        let expected = (number(case, "params_without_aux"), number(case, "macs_eval_batch1"));
        assert_eq!((params as usize, macs as usize), expected, "{}", case["name"]);
        let costs = layout.graph().costs().unwrap();
        assert_eq!((costs.params, costs.macs), (params, macs), "{}", case["name"]);
    }
}

#[test]
fn presets_are_the_published_genotypes() {
    let cases = fixture("retrain.json");
    let mut found = 0;
    for case in cases["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap().to_lowercase().replace('_', "-");
        if let Some(genotype) = preset::find(&name) {
            assert_eq!(serde_json::from_value::<Genotype>(case["genotype"].clone()).unwrap(), genotype);
            found += 1;
        }
    }
    assert_eq!(found, 18, "six genotypes in three networks each");
}

/// Exact, ties among them.
#[test]
fn genotypes_are_derived_as_the_official_code_does() {
    let cases = fixture("pipeline.json");
    let cases = cases["genotype"].as_array().unwrap();
    for (i, case) in cases.iter().enumerate() {
        let alphas = |key: &str| {
            let values: Vec<f64> = serde_json::from_value(case[key].clone()).unwrap();
            derive::alphas(&values).unwrap()
        };
        let genotype = derive::genotype(&alphas("alpha_normal"), &alphas("alpha_reduce")).unwrap();
        for (edges, key) in [(&genotype.normal, "normal"), (&genotype.reduce, "reduce")] {
            assert_eq!(serde_json::to_value(edges).unwrap(), case[key], "case {i}, {key}");
        }
        assert_eq!(serde_json::to_value(&genotype.normal_concat).unwrap(), case["concat"]);
    }
    assert!(cases.len() >= 15);
}

/// Exact. The published code counts modules that reach no output, too; so does the tally.
#[test]
fn nas_bench_201_networks_count_as_the_published_code() {
    let cases = fixture("nb201.json");
    let cases = cases["archs"].as_array().unwrap();
    let mut whole = 0;
    for case in cases {
        let cell: CellStructure = case["arch"].as_str().unwrap().parse().unwrap();
        let network = Nb201 { cell, channels: number(case, "C"), cells: number(case, "N") };
        let layout = network.build(&square(case)).unwrap();
        let Tally { params, macs, .. } = layout.tally();
        let expected = (number(case, "params"), number(case, "macs_eval_batch1"));
        assert_eq!((params as usize, macs as usize), expected, "{}", case["arch"]);
        let costs = layout.graph().costs().unwrap();
        whole += usize::from((costs.params, costs.macs) == (params, macs));
    }
    assert!(whole >= 8 && whole < cases.len(), "{whole} cells without dead ends");
}
