//! ZenNAS: the evolutionary search (strategy `zennas`), the Zen-Score (architecture metric
//! `zen-score`) and its expectation in closed form (`zen-score-analytic`).
//!
//! Source: Lin et al., *Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition*, ICCV
//! 2021, and the official code idstcv/ZenNAS. Where paper and code differ, the code decides and
//! the documentation says so. The search works with any searchable architecture and any metric;
//! the score works with any network that has batch normalisation.

#![deny(unsafe_code)]

pub mod analytic;
mod rank;
pub mod score;
pub mod search;

// The unit tests link `superres`, which exports the same symbols.
#[cfg(not(test))]
mod plugin {
    use crate::{analytic::ZenScoreAnalytic, score::ZenScore, search::ZenNas};

    nashost_plugin_api::register!(strategy: ZenNas);
    nashost_plugin_api::register!(architecture_metric: ZenScore);
    nashost_plugin_api::register!(architecture_metric: ZenScoreAnalytic);
    nashost_plugin_api::export_plugin!(
        manifest: include_str!("../manifest.json"),
        torch: nashost_plugin_torch
    );
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::{architecture::Geometry, component::Component};
    use serde_json::Value;

    /// Creates the component that a section of the recipe names, from what the section says.
    fn create<C: Component>(recipe: &Value, section: &str) -> C {
        let mut config = recipe[section].as_object().expect("a section").clone();
        assert_eq!(config.remove("plugin").expect("the component"), C::ID);
        config.remove("budget");
        C::create(serde_json::from_value(config.into()).expect("the configuration")).expect("the component")
    }

    #[test]
    fn the_recipe_is_valid_and_starts_within_its_budgets() {
        use nashost_plugin_api::architecture::Architecture as _;

        let manifest: Value = serde_json::from_str(include_str!("../manifest.json")).unwrap();
        let recipe = &manifest["recipe"];
        create::<crate::search::ZenNas>(recipe, "search");
        create::<crate::score::ZenScore>(recipe, "score");
        let space: nashost_superres::SuperRes = create(recipe, "arch");
        let geometry = Geometry { input: [1, 64, 64], outputs: 8 };
        let first = space.initial().unwrap();
        let costs = space.graph(&first, &geometry).unwrap().costs().unwrap();
        let counters = space.counters(&first, &geometry).unwrap();
        for budget in recipe["search"]["budget"].as_array().unwrap() {
            let value = match budget["kind"].as_str().unwrap() {
                "layers" => costs.layers as f64,
                "macs" => costs.macs as f64,
                counter => counters[counter],
            };
            assert!(value < budget["max"].as_f64().unwrap(), "{budget}");
        }
    }
}
