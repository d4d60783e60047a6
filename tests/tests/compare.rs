//! `compare`, `stats`, `proxy-check` and `reproduce`, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;

use nashost_tests::Sandbox;
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;

/// A small fixed network on synthetic images, with two seeds.
const SMALL: &str = "run -s arch.plugin=superres -s data.size=48 -s train.resolution=16 \
                     -s train.epochs=1 -s eval.bootstrap=20 --device cpu --seeds 1..2";

fn sandbox(files: &[(&str, &str)]) -> Sandbox {
    let sandbox = Sandbox::default();
    for (name, text) in files {
        let path = sandbox.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    sandbox
}

/// Six seeds of two methods, of which the first is better by about 0.1 each time.
const RESULTS: &str = "method,seed,value\n\
                       good,1,0.50\ngood,2,0.61\ngood,3,0.72\ngood,4,0.83\ngood,5,0.90\ngood,6,0.99\n\
                       base,1,0.40\nbase,2,0.50\nbase,3,0.60\nbase,4,0.70\nbase,5,0.76\nbase,6,0.84\n";

#[test]
fn a_file_is_compared_in_every_format() {
    let sandbox = sandbox(&[("results.csv", RESULTS)]);
    let found = sandbox.json("stats results.csv --format json");
    assert_eq!(found["pairs"][0]["test"], "wilcoxon");
    assert_eq!(found["pairs"][0]["p"], 2.0 / 64.0);
    assert_eq!(found["methods"][0]["method"], "good");
    let text = sandbox.output("stats results.csv");
    assert!(text.contains("good is better than base by 0.1250 (p = 0.0312 after Holm)"), "{text}");
    let csv = sandbox.output("stats results.csv --format csv");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), reader.records().next().unwrap().unwrap().len());
    assert!(sandbox.output("stats results.csv --format latex").contains(r"\begin{tabular}"));
    assert!(sandbox.output("stats results.csv --format md").starts_with("| method"));
}

#[test]
fn what_is_required_decides_the_exit_status() {
    let sandbox = sandbox(&[("results.csv", RESULTS)]);
    sandbox.nashost("stats results.csv --baseline base --require-better").assert().success();
    sandbox.nashost("stats results.csv --baseline good --require-better").assert().code(1);
    sandbox.nashost("stats results.csv --baseline base --require-better --family 2").assert().code(1);
    let wrong = sandbox.nashost("stats results.csv --baseline bsae").assert().code(2);
    wrong.stderr(contains("E0902").and(contains("good, base")));
    sandbox.nashost("stats results.csv --metric f1").assert().code(2).stderr(contains("E0901"));
    sandbox.nashost("stats results.csv --level 2").assert().code(2).stderr(contains("E0904"));
}

/// A grid search in the study's layout: four rows for each setting.
fn grid(accuracies: &[f64]) -> String {
    let rows = accuracies.iter().flat_map(|accuracy| {
        ["32.0", "15.0", "0.001", "64.0"].map(|setting| format!("{setting},{accuracy},{accuracy}\n"))
    });
    format!("hyperparameters,test_metrics_mean_acc,test_metrics_macro_F1\n{}", rows.collect::<String>())
}

#[test]
fn the_study_s_grids_are_read_and_warned_about() {
    let zen = grid(&[18.343, 15.976, 12.426, 11.834, 10.059, 8.876]);
    let resnet = grid(&[24.260, 20.118, 18.343, 17.751, 17.160]);
    let sandbox = sandbox(&[("zen/Grid.csv", zen.as_str()), ("resnet/Grid.csv", resnet.as_str())]);
    let line = "stats zen/Grid.csv resnet/Grid.csv --top 5 --format json";
    let found = sandbox.json(line);
    // Five and five with one tie, as in the study's Table 12: of C(10, 5) arrangements 5 have so small a rank
    // sum. SciPy's approximation has 0.0465.
    let p = found["pairs"][0]["p"].as_f64().unwrap();
    assert!((p - 10.0 / 252.0).abs() < 1e-12, "{p}");
    sandbox.nashost(line).assert().stderr(contains("neither replicates nor independent"));
}

#[test]
fn the_study_s_tests_are_recomputed() {
    let found = Sandbox::default().json("reproduce study --format json");
    let lost = |test: &&Value| test["verdict"] == "not-reproducible";
    assert_eq!(found["tests"].as_array().unwrap().iter().filter(lost).count(), 5);
    let text = Sandbox::default().output("reproduce study");
    assert!(text.contains("5 of 36 p-values do not reproduce. 12 of 126 cells"), "{text}");
}

#[test]
fn runs_are_compared_by_seeds_and_by_the_images_of_the_test_part() {
    let sandbox = Sandbox::default();
    for rate in ["0.001", "0.01"] {
        sandbox.run(&format!("{SMALL} -s data.region=neck -s train.lr={rate} --name lr{rate}"));
    }
    let runs = sandbox.json("runs --format json");
    let ids: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["id"].as_str().unwrap()).collect();
    let line = format!("compare {} {} --by run --metric macro_f1 --resamples 1000", ids[0], ids[1]);
    let found = sandbox.json(&format!("{line} --format json"));
    let pair = &found["pairs"][0];
    assert_eq!((&pair["paired"], &pair["runs"][0]), (&Value::from(true), &Value::from(2)));
    assert_eq!(pair["least_p"], 0.5);
    assert!(found["trivial"].as_array().unwrap().iter().any(|row| row["name"] == "all-positive"));
    let part = &found["test_part"];
    assert_eq!(part["images"], 94);
    let of = &part["pairs"][0];
    let difference = of["difference"].as_f64().unwrap();
    // The same means of the same recorded values, added up in another order.
    assert!((difference - pair["difference"].as_f64().unwrap()).abs() < 1e-12);
    let [low, high] = [0, 1].map(|end| of["percentile"][end].as_f64().unwrap());
    assert!(low < high && low <= difference && difference <= high);
    assert_eq!(of["seeds"].as_array().unwrap().len(), 2);
    assert_eq!(of["seeds"][0]["mcnemar"]["cases"], 94);
    assert_eq!(of["seeds"][0]["delong"].as_array().unwrap().len(), 8);
    assert_eq!(found, sandbox.json(&format!("{line} --format json")), "resamples repeat");

    let text = sandbox.output(&line);
    for part in ["2 pairs of runs cannot give a p below 0.5000", "94 images of", "McNemar p"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    sandbox.nashost(&format!("compare {}", ids[0])).assert().code(2).stderr(contains("E0902"));
    let metric = line.replace("macro_f1", "macro_f2");
    sandbox.nashost(&metric).assert().code(2).stderr(contains("E0903").and(contains("macro_f1")));
    fs::write(sandbox.path("groups.csv"), "image_id,patient\n").unwrap();
    sandbox.nashost(&format!("{line} --groups groups.csv")).assert().code(2).stderr(contains("E0905"));

    let mut proxies = sandbox.nashost(&format!("proxy-check {} {} --format json", ids[0], ids[1]));
    // Both runs train one and the same structure, so that nothing can be said, and it is said.
    proxies.assert().success().stderr(contains("only 1 of at least 10 structures"));
}

/// Ten structures, drawn at random and trained.
const DRAWN: &str = "run --plugin controls -s search.evaluations=10 -s search.top=10 -s data.size=48 \
                     -s train.resolution=16 -s train.epochs=1 -s eval.bootstrap=20 \
                     --device cpu --seeds 1";

#[test]
fn proxies_that_the_runs_did_not_record_are_computed() {
    let sandbox = Sandbox::default();
    sandbox.output(DRAWN);
    let names = |line: &str| -> Vec<String> {
        let found = sandbox.json(&format!("proxy-check {line} --resamples 0 --format json"));
        assert_eq!(found["structures"], 10, "{line}");
        let proxies = found["proxies"].as_array().unwrap();
        assert!(proxies.iter().all(|proxy| proxy["structures"] == 10 || !proxy["why"].is_null()), "{found}");
        proxies.iter().map(|proxy| proxy["proxy"].as_str().unwrap().to_owned()).collect()
    };
    let recorded = names("");
    let named = names("--score macs,zen-score-analytic");
    // Sizes are there already.
    assert_eq!(named.len(), recorded.len() + 1, "{named:?}");
    assert!(named.contains(&"zen-score-analytic".to_owned()), "{named:?}");
    let all = names("--score all");
    for name in ["mad-score", "synflow", "zen-score"] {
        assert!(all.contains(&name.to_owned()), "{all:?}");
    }
    let of_sizes = all.iter().filter(|name| ["macs", "params"].contains(&name.as_str())).count();
    assert_eq!(of_sizes, 2, "{all:?}");
    sandbox.nashost("proxy-check --resamples 50").assert().code(2).stderr(contains("E0904"));
    sandbox.nashost("proxy-check --score zen-scroe").assert().code(4).stderr(contains("zen-scroe"));
    // Results on other images say nothing of these.
    let necks = sandbox.latest();
    sandbox.output(&format!("{DRAWN} -s data.region=elbow -s search.evaluations=1 -s search.top=1"));
    let both = format!("proxy-check latest {}", necks.0.canonicalize().unwrap().display());
    sandbox.nashost(&both).assert().code(2).stderr(contains("E0903").and(contains("2 sets of images")));
}
