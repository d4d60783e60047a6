//! Which plugin files are loaded: pins, signatures, and a file that is exchanged at the last moment.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::{fs, io::Cursor, os::unix::fs::PermissionsExt as _, path::Path};

use minisign::KeyPair;
use nashost::{
    config::PluginsConfig,
    device,
    plugin::{
        Registry, SearchPath, Trust,
        lock::{Lock, Pin},
    },
};
use nashost_plugin_api::component::Kind;
use nashost_tests::{Sandbox, library};
use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;

/// A sandbox with a folder `plugins` that holds copies of these libraries.
fn with_plugins<const N: usize>(names: [&str; N]) -> Sandbox {
    let sandbox = Sandbox::default();
    fs::create_dir(sandbox.path("plugins")).unwrap();
    for name in names {
        fs::copy(library(name), sandbox.path("plugins").join(format!("lib{name}.so"))).unwrap();
    }
    sandbox
}

/// Changes a library without a change of what it does: nothing reads behind the last section.
fn append(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes.push(0);
    fs::write(file, bytes).unwrap();
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn sign(pair: &KeyPair, file: &Path) {
    let content = fs::read(file).unwrap();
    let signature = minisign::sign(None, &pair.sk, Cursor::new(content), None, None).unwrap();
    fs::write(format!("{}.minisig", file.display()), signature.into_string()).unwrap();
}

fn row<'a>(rows: &'a Value, key: &str, value: &str) -> &'a Value {
    rows.as_array().unwrap().iter().find(|row| row[key] == value).unwrap()
}

/// Status, signer and reason of a plugin in `plugin list`.
fn listed(sandbox: &Sandbox, id: &str, flags: &str) -> (String, Value, String) {
    let list = sandbox.json(&format!("plugin list --format json --plugin-path plugins {flags}"));
    let found =
        list.as_array().unwrap().iter().find(|found| found["manifest"]["plugin"]["id"] == id).unwrap();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), found["signed_by"].clone(), text("why"))
}

#[test]
fn verify_tells_what_is_not_as_it_was_pinned() {
    let sandbox = with_plugins(["evil_plugin", "crasher_plugin"]);
    let verify = "plugin verify --plugin-path plugins --format json";
    let pinned = |code| {
        let output = sandbox.nashost(verify).assert().code(code).get_output().stdout.clone();
        serde_json::from_slice::<Value>(&output).unwrap()
    };
    assert_eq!(row(&pinned(1), "plugin", "evil")["standing"], "not-pinned");

    sandbox.output("plugin trust --plugin-path plugins evil");
    let lock = fs::read_to_string(sandbox.path("nashost-plugins.lock")).unwrap();
    assert!(lock.contains("version = \"0.1.0\"") && lock.contains("size = "), "{lock}");
    let some = pinned(1);
    assert_eq!(row(&some, "plugin", "evil")["standing"], "ok");
    assert_eq!(row(&some, "plugin", "crasher")["standing"], "not-pinned");
    sandbox.output("plugin trust --plugin-path plugins");
    let all = pinned(0);
    assert!(all.as_array().unwrap().iter().all(|row| row["standing"] == "ok"), "{all}");

    append(&sandbox.path("plugins/libevil_plugin.so"));
    fs::remove_file(sandbox.path("plugins/libcrasher_plugin.so")).unwrap();
    let changed = pinned(1);
    let evil = row(&changed, "plugin", "evil");
    assert_eq!(evil["standing"], "refused");
    assert!(evil["why"].as_str().unwrap().contains("is not the pinned"), "{evil}");
    assert_eq!(row(&changed, "plugin", "crasher")["standing"], "missing");
    sandbox
        .nashost("data check --dataset evil-dataset --plugin-path plugins --locked")
        .assert()
        .code(4)
        .stderr(contains("is not the pinned"));
}

#[test]
fn signatures_are_shown_and_wrong_ones_refused() {
    let sandbox = with_plugins(["evil_plugin"]);
    let file = sandbox.path("plugins/libevil_plugin.so");
    let (lab, stranger) = (pair(), pair());
    let key = format!("--plugin-key lab={}", lab.pk.to_base64());
    let required = format!("{key} --require-signed");

    assert_eq!(listed(&sandbox, "evil", &key), ("ok".to_owned(), Value::Null, String::new()));
    let (status, _, why) = listed(&sandbox, "evil", &required);
    assert_eq!(status, "untrusted");
    assert!(why.contains("it has no signature libevil_plugin.so.minisig"), "{why}");

    sign(&lab, &file);
    assert_eq!(listed(&sandbox, "evil", &required), ("ok".to_owned(), "lab".into(), String::new()));
    sandbox.output(&format!("plugin inspect evil --plugin-path plugins {required}"));

    sign(&stranger, &file);
    let (status, _, why) = listed(&sandbox, "evil", &required);
    assert_eq!(status, "untrusted");
    assert!(why.contains("by a key that `plugins.keys` does not list"), "{why}");
    assert_eq!(listed(&sandbox, "evil", &key).0, "ok", "nothing is known of a stranger's signature");

    sign(&lab, &file);
    append(&file);
    for flags in [&key, &required] {
        let (status, _, why) = listed(&sandbox, "evil", flags);
        assert_eq!(status, "untrusted");
        assert!(why.contains("one of the two was changed"), "{why}");
    }
    sandbox
        .nashost(&format!("data check --dataset evil-dataset --plugin-path plugins {key}"))
        .assert()
        .code(4)
        .stderr(contains("E0401").and(contains("one of the two was changed")));
}

#[test]
fn a_link_in_a_folder_that_anybody_may_write_is_refused() {
    let sandbox = with_plugins(["evil_plugin"]);
    fs::create_dir(sandbox.path("open")).unwrap();
    std::os::unix::fs::symlink("../plugins/libevil_plugin.so", sandbox.path("open/mine.so")).unwrap();
    let link = sandbox.path("open").canonicalize().unwrap().join("mine.so");
    let found = || sandbox.json("plugin list --format json --plugin-path open");
    let status = |list: &Value| row(list, "path", link.to_str().unwrap()).clone();
    assert_eq!(status(&found())["status"], "ok");
    fs::set_permissions(sandbox.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    let list = found();
    assert_eq!(status(&list)["status"], "untrusted", "{list}");
    assert!(status(&list)["why"].as_str().unwrap().contains("anybody may write"), "{list}");
    sandbox
        .nashost("data check --dataset evil-dataset --plugin-path open")
        .assert()
        .code(4)
        .stderr(contains("E0401").and(contains("anybody may write")));
    // By its own name it is as good as before, and listed once, whatever else leads to it.
    std::os::unix::fs::symlink("plugins", sandbox.path("again")).unwrap();
    let list = sandbox.json("plugin list --format json --plugin-path plugins --plugin-path again");
    let evil = list.as_array().unwrap().iter().filter(|found| found["manifest"]["plugin"]["id"] == "evil");
    assert_eq!(evil.map(|found| found["status"].as_str()).collect::<Vec<_>>(), [Some("ok")], "{list}");
}

#[test]
fn what_is_not_trusted_is_not_loaded_to_be_looked_at_either() {
    // It would end the process that loads it.
    let sandbox = with_plugins(["crasher_plugin"]);
    let file = sandbox.path("plugins/libcrasher_plugin.so");
    let key = pair().pk.to_base64();
    let refused = |flags: &str, why: &str| {
        for (command, code) in [("inspect", 4), ("test", 4), ("check", 1)] {
            for plugin in ["crasher", "./plugins/libcrasher_plugin.so"] {
                let line = format!("plugin {command} {plugin} --plugin-path plugins {flags}");
                let said = contains("E0425").and(contains(why)).and(contains("E0419").not());
                sandbox.nashost(&line).assert().code(code).stderr(said).stdout("");
            }
        }
    };
    refused(&format!("--require-signed --plugin-key lab={key}"), "has no signature");
    refused("--locked", "nashost-plugins.lock");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o777)).unwrap();
    refused("", "anybody may write");
}

#[test]
fn a_laboratory_requires_signatures_in_its_configuration() {
    // All that a small run needs.
    let names = ["malicious_plugin", "nashost_superres", "nashost_metrics"];
    let sandbox = with_plugins(names);
    let lab = pair();
    let keys = format!("plugins.require_signed = true\n[plugins.keys]\nlab = \"{}\"\n", lab.pk.to_base64());
    fs::write(sandbox.path("lab.toml"), keys).unwrap();
    let line = "run -c lab.toml --plugin-path plugins --dataset malicious -s arch.plugin=superres \
                -s train.resolution=8 -s train.epochs=1 -s eval.bootstrap=20 --device cpu \
                -s plugins.require_signed=false";
    sandbox.nashost(line).assert().code(4).stderr(contains("has no signature"));
    for name in names {
        sign(&lab, &sandbox.path("plugins").join(format!("lib{name}.so")));
    }
    // The workers must be told the keys, and no flag takes back what the file demands.
    let run = sandbox.run(line);
    let config = String::from_utf8(run.bytes("run.toml")).unwrap();
    assert!(config.contains("require_signed = true"), "{config}");

    sandbox
        .nashost("plugin list --require-signed")
        .assert()
        .code(2)
        .stderr(contains("E0426").and(contains("lists no key")));
    sandbox
        .nashost("plugin list --plugin-key lab=RWQ")
        .assert()
        .code(2)
        .stderr(contains("E0426").and(contains("the key `lab`")));
}

#[test]
fn a_file_that_is_exchanged_after_it_was_judged_is_not_loaded() {
    let sandbox = with_plugins(["evil_plugin"]);
    let file = sandbox.path("plugins/libevil_plugin.so");
    let places = SearchPath { places: vec![sandbox.path("plugins")] };
    let registry = Registry::new(&places, Trust::default(), device::libtorch_abi());
    // It would end this process when it is mapped.
    fs::copy(library("crasher_plugin"), sandbox.path("other")).unwrap();
    fs::rename(sandbox.path("other"), &file).unwrap();
    let error = registry.info(Kind::Dataset, "evil-dataset").unwrap_err();
    assert_eq!(error.code, "E0409", "{error}");

    // A file of the same manifest is told apart by its pin.
    fs::copy(library("evil_plugin"), &file).unwrap();
    let content = nashost_trust::PluginFile::open(&file).unwrap();
    let lock = Lock { plugins: vec![Pin::of("evil", "0.1.0", &content)] };
    let trust = Trust::new(Some(lock), &PluginsConfig::default()).unwrap();
    let registry = Registry::new(&places, trust, device::libtorch_abi());
    append(&file);
    let error = registry.info(Kind::Dataset, "evil-dataset").unwrap_err();
    assert_eq!(error.code, "E0425", "{error}");
    assert!(error.message.contains("is not the pinned"), "{error}");
}
