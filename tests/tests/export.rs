//! `nashost export` and `nashost predict`, with the real binary.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]
#![expect(clippy::print_stdout, reason = "says what was skipped, and what was measured")]

use std::{collections::BTreeMap, fs, path::Path};

use nashost_tests::{Row, Run, Sandbox, Set};
use predicates::str::contains;
use serde_json::Value;

/// Names a Python with onnx, onnxruntime, numpy and torch.
const PYTHON: &str = "NASHOST_TEST_PYTHON";
const SIDE: u32 = 32;

fn table(path: &Path) -> Vec<Row> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize::<Row>().map(|row| row.unwrap()).collect()
}

/// Scores by image and label.
fn scores(rows: Vec<Row>, image: &str, score: &str) -> BTreeMap<(String, String), f64> {
    let key = |row: &Row| (row[image].clone(), row["label"].clone());
    rows.iter().map(|row| (key(row), row[score].parse().unwrap())).collect()
}

#[test]
fn a_run_is_exported_and_scores_its_test_images_as_it_did() {
    let sandbox = Sandbox::default();
    let set = Set::write(sandbox.path("set"));
    let run = sandbox.run(&format!("{} --seeds 1,2", Set::RUN));
    files_are_complete_and_described(&sandbox, &run);
    own_scores_come_again(&sandbox, &run);
    unusable_images_are_listed(&sandbox, &set);
    what_cannot_be_done_is_said(&sandbox, &run);
}

fn files_are_complete_and_described(sandbox: &Sandbox, run: &Run) {
    sandbox.output("export latest --as onnx --to model.onnx");
    let bytes = fs::read(sandbox.path("model.onnx")).unwrap();
    assert!(bytes.windows(18).any(|text| text == b"nashost.thresholds"));
    let described = sandbox.json("export latest --as torchscript --to model.pt --format json");
    let beside: Value = serde_json::from_slice(&fs::read(sandbox.path("model.pt.json")).unwrap()).unwrap();
    assert_eq!(described, beside);
    assert_eq!(described["input"], "pixels");
    assert_eq!(described["input_shape"], serde_json::json!([1, 16, 16]));
    assert_eq!(described["labels"], serde_json::json!(["bone", "normal"]));
    sandbox.output("export latest --as safetensors --to tensors --trial 2");
    let model: Value =
        serde_json::from_slice(&fs::read(sandbox.path("tensors/model.json")).unwrap()).unwrap();
    assert_eq!((&model["trial"], &model["input"]), (&"T0002".into(), &"normalised".into()));
    assert_eq!(model["run_id"], run.0.file_name().unwrap().to_str().unwrap());
    let graph = fs::read_to_string(sandbox.path("tensors/graph.json")).unwrap();
    let graph = nashost_plugin_api::graph::Graph::from_json(&graph).unwrap();
    assert_eq!(graph.hash(), model["architecture"].as_str().unwrap());
    let network = nashost_plugin_torch::Network::new(graph).unwrap();
    nashost_plugin_torch::Weights::load(&network, &sandbox.path("tensors/model.safetensors")).unwrap();

    // The best by validation, at the epoch that was evaluated; of equals the first.
    let rows = run.table("trials.csv");
    let value = |row: &Row| row["val.macro_f1"].parse().unwrap_or(f64::NEG_INFINITY);
    let best = rows.iter().fold(&rows[0], |best, row| if value(row) > value(best) { row } else { best });
    assert_eq!(described["trial"], best["trial"]);
}

fn own_scores_come_again(sandbox: &Sandbox, run: &Run) {
    sandbox.output("predict latest set --trial T0001 --to all.csv --device cpu");
    let all = table(&sandbox.path("all.csv"));
    assert_eq!(all.len(), 40 * 2);
    for row in &all {
        let [score, threshold] = ["score", "threshold"].map(|name| row[name].parse::<f64>().unwrap());
        assert_eq!(row["positive"], u8::from(score > threshold).to_string(), "{row:?}");
    }
    let all = scores(all, "image", "score");
    let tested = scores(run.table("predictions/T0001_test.csv"), "image_id", "p");
    assert_eq!(tested.len(), 8 * 2);
    for (key, score) in &tested {
        // Batches of another size add up in another order.
        assert!((all[key] - score).abs() < 1e-5, "{key:?}: {} {score}", all[key]);
    }
    sandbox.output("predict latest set/test.csv --column id --trial 1 --to listed.csv");
    let listed = scores(table(&sandbox.path("listed.csv")), "image", "score");
    assert_eq!(listed.keys().collect::<Vec<_>>(), tested.keys().collect::<Vec<_>>());
}

fn unusable_images_are_listed(sandbox: &Sandbox, set: &Set) {
    let whole = fs::read(set.folder.join("1.png")).unwrap();
    fs::write(set.folder.join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    fs::write(sandbox.path("list.csv"), "image\nset/0.png\nset/cut.png\nset/gone.png\nset/2.png\n").unwrap();
    let command = sandbox.nashost("predict latest list.csv --trial 1 --to listed.csv -y").assert().code(1);
    command
        .stderr(contains("E0925"))
        .stderr(contains("2 of 4 images have no scores"))
        .stderr(contains("set/cut.png: "))
        .stderr(contains("set/gone.png: "));
    let rows = table(&sandbox.path("listed.csv"));
    let usable: Vec<_> =
        rows.iter().filter(|row| !row["score"].is_empty()).map(|row| &row["image"]).collect();
    assert_eq!(usable, ["set/0.png", "set/0.png", "set/2.png", "set/2.png"]);
    assert!(rows.iter().all(|row| row["score"].is_empty() != row["why"].is_empty()));
    let all = scores(table(&sandbox.path("all.csv")), "image", "score");
    let score: f64 = rows[6]["score"].parse().unwrap();
    assert!(
        (score - all[&("2.png".to_owned(), rows[6]["label"].clone())]).abs() < 1e-5,
        "rows keep their images"
    );
}

fn what_cannot_be_done_is_said(sandbox: &Sandbox, run: &Run) {
    let fails = |line: &str, code: i32, error: &'static str| {
        sandbox.nashost(line).assert().code(code).stderr(contains(error));
    };
    fails("export latest --as onnx --to model.onnx", 2, "E0210");
    sandbox.output("export latest --as onnx --to model.onnx -y");
    fails("export latest --as safetensors --to tensors -y", 2, "E0210");
    fails("export latest --as onnx --to x.onnx --trial T0009", 2, "E0920");
    fails("predict latest nowhere.csv --to x.csv", 2, "E0924");
    let checkpoint = format!("ckpt/T0001/{}", newest(run));
    let mut bytes = run.bytes(&checkpoint);
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(run.file(&checkpoint), bytes).unwrap();
    fails("export latest --as onnx --to x.onnx --trial 1", 3, "E0921");
    assert!(!sandbox.path("x.onnx").exists());
}

/// File of the checkpoint that T0001 was evaluated with.
fn newest(run: &Run) -> String {
    let events = String::from_utf8(run.bytes("events.jsonl")).unwrap();
    let mut finished =
        events.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone());
    let report = finished.rfind(|e| e["report"]["event"] == "finished" && e["trial"] == 1).unwrap();
    let path = Path::new(report["report"]["checkpoint"]["path"].as_str().unwrap()).to_owned();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Runs of every shipped kind of network. TinyNAS structures come from DeepMAD's presets.
const NETWORKS: [(&str, &str); 9] = [
    ("superres", "--arch superres"),
    ("superres-se", "--arch superres -s arch.se=true"),
    ("tinynas", "--arch superres -s arch.space=k1kxk1 -s arch.initial=deepmad-cifar-start"),
    ("tinynas-dw", "--arch superres -s arch.space=k1dwk1 -s arch.initial=mbv2-start"),
    ("tinynas-se", "--arch superres -s arch.space=k1dwsek1 -s arch.initial=29m-224-start"),
    ("darts", "--arch darts -s arch.channels=8 -s arch.layers=5"),
    ("nb201", "--arch nb201 -s arch.channels=8 -s arch.cells=1"),
    ("resnet50", "--arch resnet50"),
    ("small-cnn", "--arch small-cnn"),
];

#[test]
fn onnxruntime_and_torch_give_the_same_scores() {
    let Some(python) = std::env::var_os(PYTHON) else {
        println!("skipped: {PYTHON} names no Python with onnx, onnxruntime, numpy and torch");
        return;
    };
    for (name, arguments) in NETWORKS {
        let sandbox = Sandbox::default();
        // Findings that the images do not show keep the scores from 0 and 1, and enough steps give batch
        // normalisation its statistics: else logits are in the hundreds, where the order of a sum alone
        // changes scores by more than the tolerance.
        Set::write_many(sandbox.path("set"), [24, 8, 8], |number| number % 3 == 0);
        sandbox.run(&format!(
            "run --dataset csv-images -s data.root=set {arguments} -s train.resolution={SIDE} \
             -s train.epochs=12 -s train.batch=8 -s eval.bootstrap=0 --device cpu"
        ));
        fs::create_dir(sandbox.path("images")).unwrap();
        let mut raw = Vec::new();
        for number in 0..10_u32 {
            let pixel = |x: u32, y: u32| {
                let pattern = (x * (number + 3) + y * 7) % (23 + 6 * number);
                image::Luma([(60 + 100 * (number % 2) + pattern) as u8])
            };
            let image = image::GrayImage::from_fn(SIDE, SIDE, pixel);
            image.save(sandbox.path(&format!("images/{number}.png"))).unwrap();
            raw.extend(image.into_raw());
        }
        fs::write(sandbox.path("images.raw"), raw).unwrap();
        for line in [
            "export --as onnx --to model.onnx",
            "export --as torchscript --to model.pt",
            "export --as onnx --input normalised --to plain.onnx",
            "export --as torchscript --input normalised --to plain.pt",
            "export --as safetensors --to tensors",
            "predict latest images --to scores.csv --device cpu",
        ] {
            sandbox.output(line);
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_export.py");
        let shape = ["10", "1", "32", "32"];
        let output = std::process::Command::new(&python)
            .arg(script)
            .arg(sandbox.path(""))
            .args(shape)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let differences: BTreeMap<String, f64> = serde_json::from_slice(&output.stdout).unwrap();
        println!("{name}: {differences:?}");
        for (format, difference) in differences {
            let tolerance = if format.starts_with("onnx") { 1e-4 } else { 1e-5 };
            assert!(difference < tolerance, "{name} as {format} differs by {difference}");
        }
    }
}
