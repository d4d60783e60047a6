//! A configuration from its layers to the end.

use std::path::PathBuf;

use nashost_plugin_api::component::Kind;
use serde_json::{Value, json};

use super::*;
use crate::error::{Error, Exit, Result};

/// Two methods and two datasets.
struct Fake;

impl Catalogue for Fake {
    fn recipe(&self, plugin: &str) -> Result<Value> {
        match plugin {
            "zennas" => Ok(json!({
                "search": {"plugin": "zennas", "population": 64, "budget": [{"kind": "params", "max": 1e6}]},
                "arch": {"plugin": "superres"}, "train": {"epochs": 9}, "data": {"kind": "neck"},
            })),
            "resnet50" => Ok(json!({"arch": {"plugin": "resnet50"}})),
            "random" => Ok(json!({"search": {"plugin": "random"}})),
            _ => Err(Error::new(Exit::Plugin, "E0401", format!("no plugin `{plugin}`"))),
        }
    }

    fn schema(&self, kind: Kind, component: &str) -> Result<Value> {
        let table = |properties: Value| {
            Ok(json!({"type": "object", "additionalProperties": false, "properties": properties}))
        };
        match (kind, component) {
            (Kind::Strategy, "zennas" | "random") => table(json!({
                "population": {"type": "integer", "default": 256},
                "note": {"default": null},
                "inner": {"type": "object", "default": {"size": 3, "limit": null}},
            })),
            (Kind::Architecture, "superres" | "resnet50") => table(json!({"depth": {"type": "integer"}})),
            (Kind::Dataset, "phantom") => {
                table(json!({"kind": {"enum": ["neck", "elbow"], "default": "neck"}}))
            }
            (Kind::Dataset, "medmnist") => table(json!({"path": {"type": "string"}})),
            _ => Err(Error::new(Exit::Plugin, "E0402", format!("no component `{component}`"))),
        }
    }
}

fn flags(values: Value) -> Layer {
    Layer::new(values, Origin::Flag("--flag".into()))
}

/// Sources with a project file of this text.
struct Setup {
    sources: Sources,
    _folder: tempfile::TempDir,
}

fn setup(plugin: Option<&str>, user: &str, project: &str) -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let sources = Sources {
        plugin: plugin.map(str::to_owned),
        user: Some(write("config.toml", user)),
        project: Some(write("neck.toml", project)),
        overrides: Vec::new(),
    };
    Setup { sources, _folder: folder }
}

fn codes(error: &Error) -> Vec<&'static str> {
    error.clone().flatten().iter().map(|error| error.code).collect()
}

#[test]
fn defaults_in_tables_of_components_may_be_not_given() {
    let sources = Sources { plugin: Some("zennas".to_owned()), ..Sources::default() };
    let resolved = sources.resolve(&Fake).unwrap();
    assert_eq!(resolved.config.search.as_ref().unwrap().config["inner"], json!({"size": 3}));
    assert!(resolved.config.to_toml().unwrap().contains("size = 3"));
}

#[test]
fn nothing_at_all_is_the_phantom_with_defaults() {
    let resolved = Sources::default().resolve(&Fake).unwrap();
    assert_eq!(resolved.config.data.plugin, "phantom");
    assert_eq!(resolved.config.data.config["kind"], "neck", "defaults of the component are filled in");
    assert_eq!(resolved.config.train, train::TrainConfig::default());
    assert_eq!(resolved.config.run.seeds, Seeds(vec![1]));
    assert_eq!(resolved.config.architecture().unwrap_err().code, "E0206");
}

#[test]
fn there_is_one_precedence() {
    // Every layer sets one key more than the layer above it.
    let mut setup = setup(
        Some("zennas"),
        "[train]\nepochs = 2\nbatch = 2\nlr = 0.2\nresolution = 32\nmomentum = 0.2\n",
        "[train]\nbatch = 3\nlr = 0.3\nresolution = 33\nmomentum = 0.3\n",
    );
    setup.sources.overrides = vec![
        Layer::single(&["train", "lr"], json!(0.4), Origin::Environment("NASHOST_X".into())),
        assignment("train.resolution=35").unwrap(),
        assignment("train.momentum=0.5").unwrap(),
        Layer::single(&["train", "momentum"], json!(0.6), Origin::Flag("--x".into())),
    ];
    let Resolved { config: Config { train, .. }, origins } = setup.sources.resolve(&Fake).unwrap();
    assert_eq!((train.epochs, train.batch, train.lr), (2, 3, 0.4));
    assert_eq!((train.resolution, train.momentum), (35, 0.6));
    let origin = |key: &str| origins.of(&format!("/train/{key}")).to_string();
    assert!(origin("epochs").ends_with("config.toml:2"));
    assert!(origin("batch").ends_with("neck.toml:2"));
    assert_eq!(origin("lr"), "NASHOST_X");
    assert_eq!(origin("resolution"), "--set train.resolution=35");
    assert_eq!(origin("momentum"), "--x");
    assert_eq!(origin("schedule"), "built-in");
    assert_eq!(origins.of("/search/population").to_string(), "recipe of `zennas`");
}

#[test]
fn another_component_sheds_the_settings_of_the_first() {
    let mut setup = setup(Some("zennas"), "", "[data]\nplugin = \"phantom\"\nkind = \"elbow\"\n");
    setup.sources.overrides =
        vec![assignment("data.path=x.npz").unwrap(), flags(json!({"data": {"plugin": "medmnist"}}))];
    let data = setup.sources.resolve(&Fake).unwrap_err();
    assert_eq!(codes(&data), ["E0203"], "the recipe's `kind` named no dataset, so it stays and is unknown");

    setup.sources.plugin = None;
    let data = setup.sources.resolve(&Fake).unwrap().config.data;
    assert_eq!((data.plugin.as_str(), Value::Object(data.config)), ("medmnist", json!({"path": "x.npz"})));
}

#[test]
fn a_plugin_chooses_the_method_and_leaves_the_rest_of_the_file() {
    let project = "[train]\nepochs = 3\n[arch]\nplugin = \"superres\"\ndepth = 4\n\
                   [search]\nplugin = \"random\"\npopulation = 5\ntop = 2\nbudget = [{kind = \"macs\", max = 1e9}]\n";
    let file = setup(None, "", project).sources.resolve(&Fake).unwrap().config;
    assert_eq!(file.search.as_ref().unwrap().plugin, "random");

    let zennas = setup(Some("zennas"), "", project).sources.resolve(&Fake).unwrap().config;
    let search = zennas.search.as_ref().unwrap();
    assert_eq!((search.plugin.as_str(), search.config["population"].clone()), ("zennas", json!(64)));
    assert_eq!((search.top, search.budget[0].kind.as_str()), (2, "macs"), "the host's keys of the file stay");
    assert_eq!(zennas.architecture().unwrap().config["depth"], 4, "same component, so its settings stay");
    assert_eq!(zennas.train.epochs, 3);

    let resnet = setup(Some("resnet50"), "", project).sources.resolve(&Fake).unwrap().config;
    assert_eq!(resnet.architecture().unwrap().plugin, "resnet50");
    assert_eq!(resnet.search, None);
    let budget = "[[search.budget]]\nkind = \"macs\"\nmax = 1e9\n";
    let resnet = setup(Some("resnet50"), budget, "").sources.resolve(&Fake).unwrap().config;
    assert_eq!(resnet.search, None, "budgets of a search that is not made");

    let random = setup(Some("random"), "", "[arch]\nplugin = \"superres\"\n").sources.resolve(&Fake).unwrap();
    assert_eq!(random.config.architecture().unwrap().plugin, "superres", "the recipe names no space");
}

#[test]
fn all_problems_come_at_once_with_file_and_line() {
    let project = "trian = 1\n[train]\nlearning_rate = 1\noptimizer = \"adm\"\nepochs = 0\n\
                   [eval]\nselect_on = \"test\"\n[data]\nkind = \"nek\"\n[arch]\nplugin = \"vgg\"\n[score]\nx = 1\n";
    let error = setup(None, "", project).sources.resolve(&Fake).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    let rendered: Vec<String> = error
        .flatten()
        .into_iter()
        .map(|error| format!("{} {} {}", error.code, error.message, error.help.unwrap_or_default()))
        .collect();
    for (code, line, message, help) in [
        ("E0203", 1, "unknown key `trian`", "did you mean `train`?"),
        ("E0203", 3, "unknown key `train.learning_rate`", "did you mean `train.lr`?"),
        ("E0204", 4, "`train.optimizer = \"adm\"` is not one of \"adam\", \"sgd\"", "did you mean \"adam\"?"),
        ("E0204", 5, "`train.epochs = 0` is below 1", ""),
        ("E0207", 7, "`eval.select_on = \"test\"` is not \"val\"", "touched once"),
        ("E0204", 9, "`data.kind = \"nek\"` is not one of \"neck\", \"elbow\"", "did you mean \"neck\"?"),
        ("E0402", 11, "`arch.plugin`: no component `vgg`", ""),
        ("E0205", 12, "missing key `score.plugin`", ""),
    ] {
        let place = format!("neck.toml:{line}: {message}");
        let found = rendered
            .iter()
            .any(|text| text.starts_with(code) && text.contains(&place) && text.contains(help));
        assert!(found, "{code} {place} {help} in {rendered:#?}");
    }
    assert_eq!(rendered.len(), 8, "{rendered:#?}");
}

#[test]
fn problems_of_several_files_come_at_once() {
    let error = setup(Some("zenas"), "a = \n", "b = \n").sources.resolve(&Fake).unwrap_err();
    assert_eq!(codes(&error), ["E0401", "E0202", "E0202"]);
}

#[test]
fn values_that_fit_their_schema_but_not_each_other_are_refused() {
    for (project, code) in [
        ("nashost = \">=99\"", "E0208"),
        ("nashost = \"soon\"", "E0204"),
        ("[split]\nfractions = [0.8, 0.1, 0.2]", "E0204"),
        ("[split]\nfractions = [0.9, 0.1, 0.0]", "E0204"),
        ("[run]\nseeds = [1, 2, 1]", "E0204"),
        ("[run]\nseeds = \"5..1\"", "E0204"),
        ("[run]\nseeds = \"1..99999999\"", "E0204"),
        ("[run]\nseed = -1", "E0204"),
        ("[run]\ndevice = \"gpu\"", "E0204"),
        ("[split]\nfractions = [0.5, 0.5]", "E0204"),
        ("name = \"../x\"", "E0204"),
        ("[train]\nepochs = 1.5", "E0204"),
        ("[search]\nplugin = \"zennas\"\n[[search.budget]]\nkind = \"params\"\nmax = 0", "E0204"),
    ] {
        let error = setup(None, "", project).sources.resolve(&Fake).unwrap_err();
        assert_eq!(codes(&error), [code], "{project}: {error}");
        assert!(error.message.contains("neck.toml:"), "{project}: {error}");
    }
}

#[test]
fn seeds_are_a_list_a_range_or_a_number() {
    for (text, expected) in
        [("[3, 4]", vec![3, 4]), ("\"1..3\"", vec![1, 2, 3]), ("7", vec![7]), ("\"7\"", vec![7])]
    {
        let setup = setup(None, "", &format!("[run]\nseeds = {text}"));
        assert_eq!(setup.sources.resolve(&Fake).unwrap().config.run.seeds, Seeds(expected), "{text}");
    }
}

#[test]
fn a_written_configuration_leads_to_itself() {
    let mut first =
        setup(Some("zennas"), "", "name = \"x\"\n[data]\nkind = \"elbow\"\n[run]\nseeds = \"1..3\"\n");
    first.sources.overrides = vec![flags(json!({"train": {"augmentation": {"shift": 0.1}, "lr": 2e-3}}))];
    let resolved = first.sources.resolve(&Fake).unwrap();
    let run_toml = resolved.config.to_toml().unwrap();
    assert_eq!(setup(None, "", &run_toml).sources.resolve(&Fake).unwrap().config, resolved.config);
    let text = template(&resolved);
    assert_eq!(setup(None, "", &text).sources.resolve(&Fake).unwrap().config, resolved.config, "{text}");
    assert!(text.contains("\nlr = 0.002\n") && text.contains("\n# batch = 32\n"), "{text}");
    assert!(text.contains("# schedule = \"constant\"  # \"constant\", \"cosine\"\n"), "{text}");
}

#[test]
fn the_template_names_every_key() {
    let text = template(&Sources::default().resolve(&Fake).unwrap());
    for key in keys() {
        let name = key.pointer.rsplit('/').next().unwrap();
        let header = format!("[{}]", dotted(&key.pointer));
        assert!(text.contains(&format!("# {name} =")) || text.contains(&header), "{} in {text}", key.pointer);
    }
    let active = text.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    assert_eq!(active.count(), 0, "without any layer all is default, so all is comment: {text}");
    let parsed: toml::Table = toml::from_str(&text.replace("# [", "[").replace("\n# ", "\n#")).unwrap();
    assert!(parsed.contains_key("train"), "the template is TOML");
}

#[test]
fn the_user_guide_names_every_key() {
    let guide = include_str!("../../../docs/configuration.md");
    for key in keys() {
        let name = format!("`{}`", dotted(&key.pointer));
        assert!(guide.contains(&name), "docs/configuration.md does not explain {name}");
    }
}
