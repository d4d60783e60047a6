//! The file that defines a study.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    config::{self, Layer, Origin, Origins, Seeds, validate},
    error::{Error, Exit, Result},
    run::summary::HEADLINE,
};

/// Seeds below which a study warns: fewer tell little about the spread of training.
pub(super) const FEW_SEEDS: usize = 5;

/// How strict a study is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// Everything is chosen on validation parts; test parts only report.
    #[default]
    Rigorous,
    /// As the 2023 study did: the grid cell may be chosen by its test value. Every table says so.
    Study,
}

/// The part that a grid cell is chosen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ChooseOn {
    /// The validation part.
    #[default]
    Val,
    /// The test part; only `mode = "study"` may say this.
    Test,
}

impl ChooseOn {
    /// The word in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// How one grid cell is chosen of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Select {
    /// The metric, whose mean over seeds decides, fold by fold.
    pub(crate) metric: String,
    /// The part it is computed on.
    pub(crate) on: ChooseOn,
}

impl Select {
    /// Part and metric: `val macro_auroc`.
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.on.name(), self.metric)
    }
}

impl Default for Select {
    fn default() -> Self {
        Self { metric: HEADLINE[0].to_owned(), on: ChooseOn::Val }
    }
}

/// A dataset of the study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatasetEntry {
    /// Its name in tables.
    pub(crate) name: String,
    /// A file without which the dataset is left out of the study, with a warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) needs: Option<PathBuf>,
    /// Settings of a run configuration, `data` among them.
    pub(crate) set: Map<String, Value>,
}

/// A method of the study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MethodEntry {
    /// Its name in tables.
    pub(crate) name: String,
    /// Plugin whose recipe is the base. What the recipe says of training is left out, so that all
    /// methods are trained alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plugin: Option<String>,
    /// A file, such as weights to start from, without which the method is left out of the study, with a
    /// warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) needs: Option<PathBuf>,
    /// Settings of a run configuration.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(crate) set: Map<String, Value>,
}

/// Controls that stand beside the methods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Controls {
    /// A structure drawn at random from the space, within the budgets, of the method `of`.
    pub(crate) random: bool,
    /// The structure with the most parameters of 200 drawn likewise.
    pub(crate) params: bool,
    /// A small hand-made network.
    pub(crate) small_cnn: bool,
    /// Methods whose spaces and budgets `random` and `params` take; the first that searches if left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) of: Vec<String>,
}

impl Default for Controls {
    fn default() -> Self {
        Self { random: true, params: true, small_cnn: true, of: Vec::new() }
    }
}

/// A study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StudyConfig {
    /// Name of the study, and of its folder.
    #[schemars(regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub(crate) name: String,
    /// How strict it is.
    #[serde(default)]
    pub(crate) mode: Mode,
    /// Seeds: each makes a search and a training of its own. A list or a range with both ends.
    pub(crate) seeds: Seeds,
    /// Number of patient-grouped, label-stratified folds, each the test part once and the validation
    /// part once; the dataset's split if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3))]
    pub(crate) folds: Option<u32>,
    /// How one grid cell is chosen of several.
    #[serde(default)]
    pub(crate) select: Select,
    /// Settings that all runs share, as in a run configuration: the training above all.
    #[serde(default)]
    pub(crate) all: Map<String, Value>,
    /// Datasets.
    #[schemars(length(min = 1))]
    pub(crate) datasets: Vec<DatasetEntry>,
    /// Methods.
    #[schemars(length(min = 1))]
    pub(crate) methods: Vec<MethodEntry>,
    /// Controls.
    #[serde(default)]
    pub(crate) controls: Controls,
    /// Values of keys, such as `"train.lr" = [1e-3, 2e-3]`; all combinations are tried.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, Vec<Value>>")]
    pub(crate) grid: Map<String, Value>,
    /// Single combinations of keys, in place of or beside those of `grid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) points: Vec<Map<String, Value>>,
    /// What was left out because a file is not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    pub(crate) left_out: Vec<String>,
}

impl StudyConfig {
    /// Reads a study from a TOML or JSON file.
    ///
    /// # Errors
    ///
    /// Fails with all problems of the file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let layer = config::file(path)?;
        let values = Value::Object(layer.values);
        Self::from_value(values, &layer.origins)
    }

    pub(super) fn from_value(values: Value, origins: &Origins) -> Result<Self> {
        let schema = schemars::schema_for!(Self).to_value();
        if let Some(error) = Error::all(validate("", &schema, &values, origins)) {
            return Err(error);
        }
        let mut study: Self = serde_json::from_value(values)
            .map_err(|cause| Error::new(Exit::Usage, "E0911", format!("the study: {cause}")))?;
        study.leave_out();
        Error::all(study.problems()).map_or(Ok(study), Err)
    }

    /// The settings of its runs, table by table and value by value.
    pub(crate) fn settings(&self) -> impl Iterator<Item = Map<String, Value>> {
        let single = |(key, value): (&String, &Value)| {
            Layer::single(&key.split('.').collect::<Vec<_>>(), value.clone(), Origin::BuiltIn).values
        };
        let of_grid = self.grid.iter().flat_map(move |(key, values)| {
            values.as_array().into_iter().flatten().map(move |value| single((key, value)))
        });
        let datasets = self.datasets.iter().map(|dataset| &dataset.set);
        let tables =
            [&self.all].into_iter().chain(datasets).chain(self.methods.iter().map(|method| &method.set));
        tables.cloned().chain(of_grid).chain(self.points.iter().flatten().map(single))
    }

    /// What was left out because a file is not there.
    pub(crate) fn left_out(&self) -> &[String] {
        &self.left_out
    }

    /// Leaves out what needs a file that is not there.
    fn leave_out(&mut self) {
        let left_out = &mut self.left_out;
        let mut is_there = |what: &str, name: &str, needs: &Option<PathBuf>| {
            let missing = needs.as_ref().filter(|path| !path.is_file());
            left_out
                .extend(missing.map(|path| format!("{what} {name}: there is no file {}", path.display())));
            missing.is_none()
        };
        self.datasets.retain(|dataset| is_there("dataset", &dataset.name, &dataset.needs));
        self.methods.retain(|method| is_there("method", &method.name, &method.needs));
    }

    fn problems(&self) -> Vec<Error> {
        let mut problems = Vec::new();
        let mut refuse = |message: String, help: &str| {
            problems.push(Error::new(Exit::Usage, "E0911", message).help(help));
        };
        if self.select.on == ChooseOn::Test && self.mode != Mode::Study {
            refuse(
                "`select.on = \"test\"` chooses by the test part, so the result would be too good".to_owned(),
                "leave it out; only `mode = \"study\"`, which repeats the 2023 study and says so in every \
                 table, may do that",
            );
        }
        if self.seeds.0.is_empty() {
            refuse("`seeds` is empty".to_owned(), "write `seeds = \"1..5\"`");
        }
        if let Some(seed) = repeated(&self.seeds.0) {
            refuse(format!("`seeds` has {seed} twice"), "each seed makes one run");
        }
        if let Some(point) = repeated(&self.points()) {
            let point = Value::Object(point.clone());
            refuse(format!("the grid has the point {point} twice"), "leave one of the two out");
        }
        if self.datasets.is_empty() || self.methods.is_empty() {
            let message = format!("nothing is left of the study: {}", self.left_out.join("; "));
            refuse(message, "paths in `needs` are relative to the working directory");
        }
        let datasets = self.datasets.iter().map(|dataset| ("dataset", &dataset.name));
        let methods = self.methods.iter().map(|method| ("method", &method.name));
        let mut known: Vec<(&str, &String)> = Vec::new();
        for (kind, name) in datasets.chain(methods) {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 20 || !name.chars().all(plain) {
                refuse(
                    format!("`{name}` cannot be the name of a {kind}"),
                    "use 1 to 20 ASCII letters, digits, `-` and `_`",
                );
            }
            if known.contains(&(kind, name)) {
                refuse(format!("two {kind}s are called `{name}`"), "give each its own name");
            }
            known.push((kind, name));
        }
        for of in self.controls.of.iter().filter(|of| self.methods.iter().all(|m| m.name != **of)) {
            refuse(format!("`controls.of`: there is no method `{of}`"), "name one of the methods");
        }
        for (key, values) in &self.grid {
            if values.as_array().is_none_or(Vec::is_empty) {
                refuse(
                    format!("`grid.\"{key}\"` is no list of values"),
                    "write it as `\"train.lr\" = [1e-3, 2e-3]`",
                );
            }
        }
        problems
    }

    /// Every combination of the grid, then the single ones; a single empty one without either.
    pub(super) fn points(&self) -> Vec<Map<String, Value>> {
        let mut points = vec![Map::new()];
        for (key, values) in &self.grid {
            let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
            points = points
                .iter()
                .flat_map(|point| {
                    values.iter().map(move |value| {
                        let mut point = point.clone();
                        point.insert(key.clone(), value.clone());
                        point
                    })
                })
                .collect();
        }
        if self.grid.is_empty() && !self.points.is_empty() {
            points.clear();
        }
        points.extend(self.points.iter().cloned());
        points
    }
}

/// The first of `values` that stands there a second time.
fn repeated<T: PartialEq>(values: &[T]) -> Option<&T> {
    values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)).map(|(_, value)| value)
}
