//! `nashost data`: check, split, fetch.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
};

use nashost_tests::{Sandbox, Set};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};

#[test]
fn the_synthetic_images_are_in_order() {
    let sandbox = Sandbox::default();
    let report = sandbox.json("data check --dataset phantom -s data.size=32 --format json");
    assert_eq!(report["images"], 933);
    let errors = report["problems"].as_array().unwrap().iter().filter(|p| p["severity"] == "error");
    assert_eq!(errors.count(), 0, "{report}");
    assert!(sandbox.output("data check -s data.size=32").starts_with("933 images, 8 labels"));
    assert!(sandbox.contents(".").is_empty(), "a check writes nothing");
}

#[test]
fn every_problem_of_a_set_is_told_at_once() {
    let sandbox = Sandbox::default();
    let set = Set::write(sandbox.path("set"));
    for image in ["1.png", "5.png"] {
        fs::write(set.folder.join(image), "no image").unwrap();
    }
    set.csv("train", |text| text.replace(",0,1", ",1,0"));
    let check = "data check --dataset csv-images -s data.root=set";
    sandbox
        .nashost(check)
        .assert()
        .code(1)
        .stdout(contains("error: image \"1.png\"").and(contains("error: image \"5.png\"")))
        .stdout(contains("error: label \"bone\" has no negative image of part train"));
    set.csv("train", |text| text.replace("3.png,1", "3.png,7") + "absent.png,0,1\n");
    sandbox
        .nashost(check)
        .assert()
        .code(1)
        .stderr(contains("train.csv:5: column \"bone\": value \"7\""))
        .stderr(contains("train.csv:26: image \"absent.png\" does not exist"));
}

#[test]
fn a_check_looks_at_the_split_of_the_run() {
    let sandbox = Sandbox::default();
    let set = Set::write(sandbox.path("set"));
    let data = "--dataset csv-images -s data.root=set";
    sandbox.nashost(&format!("data check {data}")).assert().success();
    // A stored split that is none.
    fs::write(sandbox.path("split.json"), "{}").unwrap();
    let stored = format!("data check {data} -s split.file=split.json");
    sandbox.nashost(&stored).assert().code(1).stdout(contains("error: split file split.json"));
    // One patient with all images fills one part only, and a run refuses that.
    let drawn = format!("{data} -s data.csv=train.csv -s data.group=patient");
    set.csv("train", |text| text.replace('\n', ",p\n").replace("normal,p", "normal,patient"));
    let why = "no image for the part";
    sandbox.nashost(&format!("data check {drawn}")).assert().code(1).stdout(contains(why));
    sandbox.nashost(&format!("data split drawn.json {drawn}")).assert().code(2).stderr(contains(why));
}

#[test]
fn a_written_split_decides_a_run() {
    let sandbox = Sandbox::default();
    Set::write(sandbox.path("set"));
    let data = "--dataset csv-images -s data.root=set -s split.use_given=false -s split.seed=5";
    sandbox.nashost(&format!("data split mine.json {data}")).assert().success().stderr(contains("sha256"));
    let run = sandbox.run(&format!("{} -s split.file=mine.json", Set::RUN));
    assert_eq!(run.bytes("split.json"), fs::read(sandbox.path("mine.json")).unwrap());
    assert_eq!(run.json("summary.json")["n"], serde_json::json!({"train": 32, "val": 4, "test": 4}));
}

/// Answers one request with `answer` and returns the address.
fn server(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/pneumoniamnist.npz", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        stream.write_all(answer).unwrap();
    });
    url
}

#[test]
fn a_download_that_is_not_the_file_leaves_nothing() {
    let sandbox = Sandbox::default();
    for (answer, code) in [
        (&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..], "E0311"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", "E0310"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "E0310"),
    ] {
        let url = server(answer);
        sandbox
            .nashost(&format!("data fetch pneumoniamnist --url {url}"))
            .assert()
            .code(3)
            .stderr(contains(code).and(contains(&url)));
        assert!(sandbox.contents("data").is_empty(), "{code}");
    }
    sandbox
        .nashost("data fetch pneumoniamnis")
        .assert()
        .code(2)
        .stderr(contains("E0312").and(contains("did you mean \"pneumoniamnist\"?")));
}

/// A set of 12 phantom images of 6 patients as files, in which the last image is the first one again, brighter,
/// as that of another patient.
fn set_with_twin(folder: &std::path::Path) {
    fs::create_dir_all(folder).unwrap();
    let mut table = "file,patient,part,finding,normal\n".to_owned();
    for number in 0..12_u32 {
        let (shown, gain) = if number == 11 { (0, 20) } else { (number, 0) };
        let pixel = |x: u32, y: u32| {
            let wave = |size: f64, at: u32| (f64::from(at) / size + f64::from(shown * shown)).sin();
            image::Luma([(110.0 + 40.0 * wave(7.0 + f64::from(shown), x) + 40.0 * wave(9.0, y)) as u8 + gain])
        };
        let name = format!("SECRET-{number}.png");
        image::GrayImage::from_fn(80, 90, pixel).save(folder.join(&name)).unwrap();
        let part = ["train", "val", "test"][number as usize / 2 % 3];
        table += &format!("{name},PATIENT-{},{part},{},{}\n", number / 2, number % 2, 1 - number % 2);
    }
    fs::write(folder.join("index.csv"), table).unwrap();
}

const TWIN: &str = "--dataset csv-images -s data.root=set -s data.csv=index.csv -s data.id=file \
                    -s data.group=patient -s data.split=part";

#[test]
fn statistics_and_the_page_name_no_image_unless_asked() {
    let sandbox = Sandbox::default();
    set_with_twin(&sandbox.path("set"));
    let stats = sandbox.json(&format!("data stats {TWIN} --format json"));
    assert_eq!((&stats["images"], &stats["patients"]), (&12.into(), &6.into()));
    assert_eq!(stats["parts"][0]["images"], 4);
    let twins = stats["twins"].as_array().unwrap();
    assert_eq!(twins.len(), 1, "{stats}");
    assert_eq!((&twins[0]["first"], &twins[0]["second"]), (&"image 1".into(), &"image 12".into()));
    assert_eq!((&twins[0]["equal"], &twins[0]["contradict"]), (&false.into(), &true.into()));
    let text = sandbox.output(&format!("data stats {TWIN}"));
    assert!(text.contains("warning: 1 image nearly equal to one of another patient\n"), "{text}");
    sandbox.nashost(&format!("data preview {TWIN}")).assert().success().stdout("preview.html\n");
    let page = fs::read_to_string(sandbox.path("preview.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 14, "12 images, and a pair");
    for output in [&stats.to_string(), &text, &page] {
        assert!(!output.contains("SECRET") && !output.contains("PATIENT"), "{output}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(sandbox.path("preview.html")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
    sandbox.output(&format!("data preview named.html --show-ids {TWIN}"));
    let page = fs::read_to_string(sandbox.path("named.html")).unwrap();
    assert!(page.contains("SECRET-0.png") && !page.contains("PATIENT"));
    sandbox.nashost(&format!("data check {TWIN}")).assert().success().stdout(
        contains("of different groups are nearly equal (correlation ").and(contains("with other labels")),
    );
}

#[test]
fn an_image_that_cannot_be_decoded_is_counted_and_the_answer_is_no() {
    let sandbox = Sandbox::default();
    set_with_twin(&sandbox.path("set"));
    fs::write(sandbox.path("set/SECRET-4.png"), "no image").unwrap();
    sandbox
        .nashost(&format!("data stats {TWIN}"))
        .assert()
        .code(1)
        .stdout(contains("warning: 1 image cannot be decoded").and(contains("SECRET").not()))
        .stderr(contains("SECRET").not());
    sandbox.nashost(&format!("data preview {TWIN}")).assert().code(1);
    assert!(sandbox.path("preview.html").exists());
}
