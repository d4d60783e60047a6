//! From layers to one configuration: precedence, the choice of components, all checks.

use std::{collections::BTreeMap, path::PathBuf};

use nashost_plugin_api::component::Kind;
use serde_json::{Map, Value, json};

use super::{
    Config, SECTIONS, Section, check,
    layer::{Layer, drop_nulls},
    origin::{Origin, Origins, join},
    read, schemas, sections,
    validate::{validate, validate_component},
};
use crate::error::{Error, Exit, Result};

/// What the configuration asks plugins.
pub trait Catalogue {
    /// Returns the recipe in the manifest of `plugin`.
    ///
    /// # Errors
    ///
    /// Fails if there is no such plugin.
    fn recipe(&self, plugin: &str) -> Result<Value>;

    /// Returns the JSON Schema of the settings of a component.
    ///
    /// # Errors
    ///
    /// Fails if there is no such component of that kind.
    fn schema(&self, kind: Kind, component: &str) -> Result<Value>;
}

/// Everything that a configuration is made from, lowest precedence first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Plugin whose recipe is the base, and which chooses the method.
    pub plugin: Option<String>,
    /// The user's own file.
    pub user: Option<PathBuf>,
    /// The file of the project.
    pub project: Option<PathBuf>,
    /// Environment variables, `--set` and flags, in this order.
    pub overrides: Vec<Layer>,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The configuration, every default filled in.
    pub config: Config,
    /// Where its values come from.
    pub origins: Origins,
}

impl Sources {
    /// Reads, merges and checks all layers.
    ///
    /// # Errors
    ///
    /// Fails with all problems of all files, or else with all problems of the merged configuration.
    pub fn resolve(&self, catalogue: &dyn Catalogue) -> Result<Resolved> {
        let mut merged = self.merged(catalogue)?;
        let mut problems = check_components(&mut merged, catalogue);
        let values = Value::Object(merged.values);
        problems.extend(validate("", &schemas::config(), &values, &merged.origins));
        if problems.is_empty() {
            problems.extend(check::texts(&values, &merged.origins));
        }
        if let Some(error) = Error::all(problems) {
            return Err(error);
        }
        let mut config: Config = serde_json::from_value(values)
            .map_err(|cause| Error::new(Exit::Usage, "E0204", format!("the configuration: {cause}")))?;
        if let Some(error) = Error::all(check::problems(&config, &merged.origins)) {
            return Err(error);
        }
        if config.run.seeds.0.is_empty() {
            config.run.seeds.0.push(config.run.seed);
        }
        Ok(Resolved { config, origins: merged.origins })
    }

    /// Stacks the layers.
    fn merged(&self, catalogue: &dyn Catalogue) -> Result<Layer> {
        let mut errors = Vec::new();
        let mut keep = |result: Result<Layer>| result.map_err(|error| errors.push(error)).ok();
        let recipe = self.plugin.as_ref().and_then(|plugin| {
            keep(catalogue.recipe(plugin).map(|recipe| Layer::new(recipe, Origin::Recipe(plugin.clone()))))
        });
        let mut files: Vec<Layer> = [&self.user, &self.project]
            .into_iter()
            .flatten()
            .filter_map(|path| keep(read::file(path)))
            .collect();
        if let Some(error) = Error::all(errors) {
            return Err(error);
        }
        if let Some(recipe) = &recipe {
            files.iter_mut().for_each(|file| yield_method(file, recipe));
        }
        let data = json!({"data": sections::phantom()});
        let mut layers = vec![Layer::new(data, Origin::BuiltIn)];
        layers.extend(recipe);
        layers.extend(files);
        layers.extend(self.overrides.iter().cloned());
        for section in SECTIONS {
            drop_losers(&mut layers, section);
        }
        let mut merged = Layer::default();
        layers.into_iter().for_each(|layer| merged.merge(layer));
        Ok(merged)
    }
}

/// Id of the component that a layer names in a section.
fn named(layer: &Layer, section: Section) -> Option<&Value> {
    layer.values.get(section.key)?.get("plugin")
}

/// `--plugin` chooses the method: what a file says of another method is set aside.
fn yield_method(file: &mut Layer, recipe: &Layer) {
    for section in SECTIONS.into_iter().filter(|section| section.method) {
        match (named(recipe, section), named(file, section)) {
            (Some(recipe), Some(file)) if recipe == file => {}
            (Some(_), Some(_)) => drop_component(file, section),
            (Some(_), None) => {}
            // A method without a space of its own works in the one that the file names.
            (None, _) if section.kind == Kind::Architecture => {}
            (None, _) => file.remove(&[section.key]),
        }
    }
}

/// The topmost layer that names a component decides; settings that a lower layer made for another
/// component mean nothing to it.
fn drop_losers(layers: &mut [Layer], section: Section) {
    let Some(winner) = layers.iter().rev().find_map(|layer| named(layer, section)).cloned() else { return };
    for layer in layers {
        if named(layer, section).is_some_and(|component| *component != winner) {
            drop_component(layer, section);
        }
    }
}

/// Removes a component and its settings, but not what the host owns in its section.
fn drop_component(layer: &mut Layer, section: Section) {
    let Some(Value::Object(table)) = layer.values.get(section.key) else { return };
    let keys: Vec<String> =
        table.keys().filter(|key| !section.host_keys.contains(&key.as_str())).cloned().collect();
    for key in keys {
        layer.remove(&[section.key, &key]);
    }
    if layer.values.get(section.key).and_then(Value::as_object).is_some_and(Map::is_empty) {
        layer.remove(&[section.key]);
    }
}

/// Checks every component's settings against its schema and fills in its defaults.
fn check_components(merged: &mut Layer, catalogue: &dyn Catalogue) -> Vec<Error> {
    let mut problems = Vec::new();
    for section in SECTIONS {
        let Some(Value::Object(table)) = merged.values.get_mut(section.key) else { continue };
        let Some(id) = table.get("plugin").and_then(Value::as_str) else { continue };
        let schema = match catalogue.schema(section.kind, id) {
            Ok(schema) => schema,
            Err(mut error) => {
                let origin = merged.origins.of(&join(&join("", section.key), "plugin"));
                error.message = format!("{origin}: `{}.plugin`: {}", section.key, error.message);
                problems.push(error);
                continue;
            }
        };
        let is_own = |key: &str| key != "plugin" && !section.host_keys.contains(&key);
        let own: Map<String, Value> = table
            .iter()
            .filter(|(key, _)| is_own(key))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        problems.extend(validate_component(section.key, &schema, &Value::Object(own), &merged.origins));
        for (key, default) in defaults(&schema).into_iter().filter(|(key, _)| is_own(key)) {
            table.entry(key).or_insert(default);
        }
    }
    problems
}

/// Defaults of the keys of a schema; keys whose default is "not given" have none.
fn defaults(schema: &Value) -> BTreeMap<String, Value> {
    let properties = schema.get("properties").and_then(Value::as_object);
    let with_default = properties.into_iter().flatten().filter_map(|(key, property)| {
        let mut default = property.get("default").filter(|default| !default.is_null())?.clone();
        drop_nulls(&mut default);
        Some((key.clone(), default))
    });
    with_default.collect()
}
