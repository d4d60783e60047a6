//! From the definition of a study to its cells.

use std::{collections::BTreeMap, path::Path};

use nashost_plugin_api::component::Kind;
use serde_json::{Map, Value, json};

use super::{
    cell::{Cell, CellKey},
    config::{Controls, StudyConfig},
    folder,
};
use crate::{
    config::{Catalogue, Config, Layer, Origin, Sources, cpu_threads},
    data::{self, Split, SplitFile},
    error::{Error, Exit, Result},
    pipeline::PluginSource,
    plugin::Registry,
};

/// Random structures of which the control `params` takes the largest.
const LARGEST_OF: u64 = 200;

/// The cells of a study, and the splits that their folds need.
pub(crate) struct Plan {
    /// In the order in which they are run: seed by seed, so that a study that is stopped early has all
    /// methods.
    pub(crate) cells: Vec<Cell>,
    /// Splits by their path in the study's folder.
    pub(crate) splits: BTreeMap<String, SplitFile>,
}

/// What stands in a row of results: a method of the study or a control.
struct Row {
    name: String,
    control: bool,
    plugin: Option<String>,
    layers: Vec<Map<String, Value>>,
}

impl Plan {
    /// Resolves every cell of `study`, which was read from `source`, for `jobs` runs side by side.
    ///
    /// # Errors
    ///
    /// Fails with all problems of all cells, each once, before anything is started.
    pub(crate) fn new(study: &StudyConfig, source: &Path, jobs: usize, registry: &Registry) -> Result<Self> {
        let resolver = Resolver { study, source, jobs, registry };
        let rows = resolver.rows()?;
        let mut splits = BTreeMap::new();
        for dataset in study.datasets.iter().filter(|_| study.folds.is_some()) {
            let config = resolver.config(&rows[0], &dataset.set, &Map::new(), None, study.seeds.0[0])?;
            let catalogue = data::Catalogue::read(&PluginSource::new(registry, &config)?)?;
            let folds = Split::folds(&catalogue.records, study.folds.unwrap_or_default(), config.split.seed)?;
            for (split, fold) in folds.iter().zip(1..) {
                let file = SplitFile::new(split, &catalogue.records);
                splits.insert(folder::split_file(&dataset.name, fold), file);
            }
        }
        let points = study.points();
        let folds: Vec<Option<u32>> = study.folds.map_or(vec![None], |folds| (1..=folds).map(Some).collect());
        let (mut cells, mut problems) = (Vec::new(), Vec::<Error>::new());
        for (&seed, &fold) in study.seeds.0.iter().flat_map(|seed| folds.iter().map(move |fold| (seed, fold)))
        {
            for dataset in &study.datasets {
                for row in &rows {
                    for (point, settings) in points.iter().enumerate() {
                        let key = CellKey {
                            dataset: dataset.name.clone(),
                            method: row.name.clone(),
                            control: row.control,
                            point,
                            settings: settings.clone(),
                            fold,
                            seed,
                        };
                        let split = fold.map(|fold| folder::split_file(&dataset.name, fold));
                        match resolver.config(row, &dataset.set, settings, split.as_deref(), seed) {
                            Ok(mut config) => {
                                config.name = Some(key.id());
                                config.method = Some(key.method_text());
                                cells.push(Cell { key, config });
                            }
                            Err(error) => problems.extend(error.flatten()),
                        }
                    }
                }
            }
        }
        let mut once: Vec<Error> = Vec::new();
        for problem in problems {
            if once.iter().all(|known| known.message != problem.message) {
                once.push(problem);
            }
        }
        Error::all(once).map_or(Ok(Self { cells, splits }), Err)
    }
}

struct Resolver<'a> {
    study: &'a StudyConfig,
    source: &'a Path,
    jobs: usize,
    registry: &'a Registry,
}

impl Resolver<'_> {
    /// The methods and the controls.
    fn rows(&self) -> Result<Vec<Row>> {
        let methods = self.study.methods.iter().map(|method| Row {
            name: method.name.clone(),
            control: false,
            plugin: method.plugin.clone(),
            layers: vec![method.set.clone()],
        });
        let mut rows: Vec<Row> = methods.collect();
        let Controls { random, params, small_cnn, of } = &self.study.controls;
        let mut controls = Vec::new();
        if *random || *params {
            for (of, config) in self.searched(&rows, of)? {
                let drawn = |evaluations: u64, score: Value| {
                    let mut search = json!({"plugin": "random", "evaluations": evaluations});
                    let from = config.search.as_ref();
                    search["budget"] = json!(from.map(|search| &search.budget));
                    if let Some(resolution) = from.and_then(|search| search.resolution) {
                        search["resolution"] = json!(resolution);
                    }
                    into_map(json!({"search": search, "score": score, "arch": config.arch}))
                };
                if *random {
                    controls.push((format!("random-{of}"), drawn(1, json!({"plugin": "random"}))));
                }
                if *params {
                    let most = json!({"plugin": "params", "better": "higher"});
                    controls.push((format!("params-{of}"), drawn(LARGEST_OF, most)));
                }
            }
        }
        if *small_cnn {
            controls.push(("small-cnn".to_owned(), into_map(json!({"arch": {"plugin": "small-cnn"}}))));
        }
        for (name, layer) in controls {
            if rows.iter().any(|row| row.name == name) {
                let message = format!("`{name}` is the name of a method and of a control");
                return Err(Error::new(Exit::Usage, "E0911", message)
                    .help("give the method another name, or switch the control off in `controls`"));
            }
            rows.push(Row { name, control: true, plugin: None, layers: vec![layer] });
        }
        Ok(rows)
    }

    /// The methods that the controls `random` and `params` are of, with their configurations.
    fn searched(&self, rows: &[Row], of: &[String]) -> Result<Vec<(String, Config)>> {
        let mut found = Vec::new();
        for row in rows.iter().filter(|row| of.is_empty() || of.contains(&row.name)) {
            let dataset = &self.study.datasets[0].set;
            let config = self.config(row, dataset, &Map::new(), None, self.study.seeds.0[0])?;
            if config.search.is_some() {
                found.push((row.name.clone(), config));
            } else if !of.is_empty() {
                let message = format!("`controls.of`: `{}` does not search", row.name);
                return Err(Error::new(Exit::Usage, "E0911", message)
                    .help("name methods that search a space, or switch `random` and `params` off"));
            }
            if of.is_empty() && !found.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// The configuration of one run.
    fn config(
        &self,
        row: &Row,
        dataset: &Map<String, Value>,
        point: &Map<String, Value>,
        split: Option<&str>,
        seed: u64,
    ) -> Result<Config> {
        let origin = || Origin::File { path: self.source.to_owned(), line: None };
        let layer = |values: &Map<String, Value>| Layer::new(Value::Object(values.clone()), origin());
        let mut overrides = vec![layer(&self.study.all), layer(dataset)];
        overrides.extend(row.layers.iter().map(&layer));
        for (key, value) in point {
            let keys: Vec<&str> = key.split('.').collect();
            overrides.push(Layer::single(&keys, value.clone(), origin()));
        }
        overrides.push(Layer::new(json!({"run": {"seed": seed, "seeds": [seed]}}), origin()));
        if let Some(split) = split {
            // In the study's folder, wherever that is moved.
            overrides.push(Layer::new(json!({"split": {"file": split}}), origin()));
        }
        let sources = Sources { plugin: row.plugin.clone(), user: None, project: None, overrides };
        let mut config = sources.resolve(&AllTrainedAlike(self.registry))?.config;
        // Runs side by side share the machine; written down, as it decides the last bits of a training.
        let threads = (cpu_threads() / self.jobs.max(1)).max(1);
        for value in [&mut config.run.threads, &mut config.run.jobs] {
            if *value == 0 {
                *value = threads;
            }
        }
        Ok(config)
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Recipes without what they say of training and evaluation: in a study that is the same for all.
struct AllTrainedAlike<'a>(&'a Registry);

impl Catalogue for AllTrainedAlike<'_> {
    fn recipe(&self, plugin: &str) -> Result<Value> {
        let mut recipe = self.0.recipe(plugin)?;
        if let Some(recipe) = recipe.as_object_mut() {
            recipe.retain(|section, _| {
                !matches!(section.as_str(), "train" | "eval" | "run" | "data" | "split")
            });
        }
        Ok(recipe)
    }

    fn schema(&self, kind: Kind, component: &str) -> Result<Value> {
        self.0.schema(kind, component)
    }
}
