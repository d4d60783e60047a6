//! The recipe of the manifest and the presets: valid, and started within their budgets.

use nashost_deepmad_solver::{Chain, anneal};
use nashost_plugin_api::{
    architecture::{Architecture as _, Geometry},
    component::Component,
};
use nashost_superres::SuperRes;
use nashost_tinynas::Structure;
use serde_json::Value;

use crate::{
    score::{self, Evaluator},
    search::{DeepMad, solve::ProgramConfig},
};

const PRESETS: [(&str, &str); 11] = [
    ("29m-224", include_str!("../presets/29m-224.toml")),
    ("29m-288", include_str!("../presets/29m-288.toml")),
    ("50-layers", include_str!("../presets/50-layers.toml")),
    ("50m", include_str!("../presets/50m.toml")),
    ("89m", include_str!("../presets/89m.toml")),
    ("b0", include_str!("../presets/b0.toml")),
    ("madnas-mbv2", include_str!("../presets/madnas-mbv2.toml")),
    ("madnas-r50", include_str!("../presets/madnas-r50.toml")),
    ("r18", include_str!("../presets/r18.toml")),
    ("r34", include_str!("../presets/r34.toml")),
    ("r50", include_str!("../presets/r50.toml")),
];

fn presets() -> Vec<(&'static str, Value)> {
    let manifest: Value = serde_json::from_str(include_str!("../manifest.json")).unwrap();
    let presets = PRESETS.map(|(name, text)| (name, toml::from_str(text).unwrap()));
    [("recipe", manifest["recipe"].clone())].into_iter().chain(presets).collect()
}

/// Returns the configuration of the component that a section names.
fn config<C: Component>(recipe: &Value, section: &str) -> C::Config {
    let mut config = recipe[section].as_object().unwrap().clone();
    assert_eq!(config.remove("plugin").unwrap(), C::ID);
    config.remove("budget");
    if section == "search" {
        config.remove("resolution");
    }
    serde_json::from_value(config.into()).unwrap()
}

#[test]
fn recipes_are_valid_and_start_within_their_budgets() {
    for (name, recipe) in presets() {
        DeepMad::create(config::<DeepMad>(&recipe, "search")).unwrap();
        let space = SuperRes::create(config::<SuperRes>(&recipe, "arch")).unwrap();
        let side = recipe["search"].get("resolution").or(recipe["train"].get("resolution")).unwrap();
        let side = side.as_u64().unwrap() as usize;
        assert_eq!(recipe["arch"]["tinynas"]["image_size"], side, "{name}");
        let first = space.initial().unwrap();
        let counters = space.counters(&first, &Geometry { input: [3, side, side], outputs: 8 }).unwrap();
        for budget in recipe["search"]["budget"].as_array().unwrap() {
            let value = counters[budget["kind"].as_str().unwrap()];
            assert!(value < budget["max"].as_f64().unwrap(), "{name}: {budget}");
            if budget["kind"] == "official.layers" {
                assert_eq!(recipe["arch"]["tinynas"]["layers"], budget["max"], "{name}");
            }
        }
        let evaluator = Evaluator::new(config::<score::MadScore>(&recipe, "score"));
        assert!(evaluator.score_spec(&first, [side, side]).is_ok(), "{name}");
        assert_ne!(space.mutate(&first, 20, 1).unwrap(), first, "{name}");
    }
}

/// The default solver takes its budgets from `program`.
#[test]
fn the_recipe_anneals_under_the_budgets_that_the_host_checks() {
    let (_, recipe) = presets().swap_remove(0);
    let search = &recipe["search"];
    assert_eq!(search["solver"], "anneal");
    // Whatever `train.resolution` the user chooses, the solver counts for it.
    assert_eq!(search["program"].get("image_size"), None);
    let side = recipe["train"]["resolution"].as_u64().unwrap() as u32;
    let max = |kind: &str| {
        let budgets = search["budget"].as_array().unwrap();
        budgets.iter().find(|budget| budget["kind"] == kind).unwrap()["max"].clone()
    };
    for (key, kind) in [("params", "params"), ("flops", "flops"), ("rho", "efficient_score")] {
        assert_eq!(search["program"][key], max(&format!("official.{kind}")), "{key}");
    }
    let program: ProgramConfig = serde_json::from_value(search["program"].clone()).unwrap();
    let space = SuperRes::create(config::<SuperRes>(&recipe, "arch")).unwrap();
    let initial = Structure::try_from(&space.initial().unwrap()).unwrap();
    let chain = Chain::new(&program.program(&initial, side).unwrap()).unwrap();
    let options = anneal::Options { restarts: 1, steps: 100_000, ..Default::default() };
    let found = anneal::restart(&chain, &options, 1, 0, &|| false).expect("a structure");
    assert!(found.evaluation.score > 0.0);
}

#[test]
fn every_preset_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/presets");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), PRESETS.len());
}
