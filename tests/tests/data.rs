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
