//! The child's side: tries the rules on one component and writes down how they come out.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
};

use nashost_plugin_api::{
    abi::foreign::{
        CallError, CallErrorKind, ForeignArchitecture, ForeignArchitectureMetric, ForeignDataset,
        ForeignPredictionMetric, ForeignStrategy, Plugin, open,
    },
    architecture::{Geometry, Spec},
    component::{ComponentInfo, Kind},
    dataset::Target,
    manifest::Manifest,
    metric::{Candidate, Direction, Predictions, ScoreContext},
    strategy::{SearchContext, StrategyInfo},
    testing::{
        Bench, Event, Finding, ForeignSpace, ToySpace, Values, Verdict, architecture_metric_rules,
        architecture_rules, dataset_rules, prediction_metric_rules, rules_of, strategy_rules,
        strategy_rules_by,
    },
};
use nashost_plugin_torch::ForeignOneShot;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Line,
    process::{self, TestHost},
    settings,
};
use crate::{
    error::{Error, Exit, Result},
    plugin::{Registry, manifest},
};

/// Images of a strategy that works with one space only.
const GEOMETRY: Geometry = Geometry { input: [3, 64, 64], outputs: 8 };

/// What a child is to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The plugin's file.
    pub file: PathBuf,
    /// Kind of the component.
    pub kind: Kind,
    /// Id of the component.
    pub component: String,
    /// Settings that the user gave it.
    pub settings: Option<Value>,
    /// Settings that the user gave, by component id.
    pub others: Map<String, Value>,
}

/// A way to make an instance.
type Make<'a, T> = &'a dyn Fn() -> std::result::Result<T, CallError>;

/// Tries every rule on the component of the task at `task`, and writes lines to `report`.
///
/// # Errors
///
/// Fails if the task cannot be read, the report cannot be written, or the plugin is refused.
pub fn serve(task: &Path, report: &Path, registry: &Registry, libtorch_abi: Option<u64>) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| {
        Error::new(Exit::Environment, "E0430", format!("a test process cannot work: {e}"))
    };
    let task: Task = std::fs::read(task)
        .map_err(|e| failed(&e))
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|e| failed(&e)))?;
    let report = std::fs::File::options().append(true).open(report).map_err(|e| failed(&e))?;
    let report = RefCell::new((report, None));
    let write = |line: &Line| {
        let (file, problem) = &mut *report.borrow_mut();
        let text = serde_json::to_string(line).unwrap_or_default() + "\n";
        if let Err(error) = file.write_all(text.as_bytes()) {
            *problem = Some(error);
        }
    };
    let manifest = manifest::read(&task.file).map_err(|e| failed(&e))?;
    let plugin = open(&task.file, libtorch_abi)?;
    plugin.init(&manifest.plugin.id, TestHost)?;
    let components = plugin.components(&manifest.plugin.id)?;
    let info = components.iter().find(|info| info.kind == task.kind && info.id == task.component);
    let info = info.ok_or_else(|| failed(&format!("there is no component `{}`", task.component)))?;
    let create = |settings: &Value| plugin.create(&task.component, &settings.to_string());
    let mut bench = Bench::new(|event| match event {
        Event::Begins(rule) => write(&Line::Begins(rule.to_owned())),
        Event::Ends(finding) => write(&Line::Ends(finding.clone())),
    });
    bench.rule("settings", || {
        settings::check(&info.config_schema, task.settings.as_ref(), |settings| create(settings).map(drop))
    });
    let subject = Subject {
        task: &task,
        manifest: &manifest,
        plugin: &plugin,
        components: &components,
        registry,
        write: &write,
    };
    let given = task.settings.clone().unwrap_or_else(|| json!({}));
    match task.kind {
        Kind::Strategy => subject.strategy(&mut bench, given, &|s| ForeignStrategy::new(create(s)?)),
        Kind::Architecture => {
            subject.architecture(&mut bench, &|| ForeignArchitecture::new(create(&given)?));
        }
        Kind::Dataset => subject.dataset(&mut bench, &|| ForeignDataset::new(create(&given)?)),
        Kind::PredictionMetric => {
            subject.prediction_metric(&mut bench, &|| ForeignPredictionMetric::new(create(&given)?));
        }
        Kind::ArchitectureMetric => {
            subject.architecture_metric(&mut bench, &|| ForeignArchitectureMetric::new(create(&given)?));
        }
    }
    drop(bench);
    match report.into_inner().1 {
        Some(error) => Err(failed(&error)),
        None => Ok(()),
    }
}

/// A component and what surrounds it.
struct Subject<'a> {
    task: &'a Task,
    manifest: &'a Manifest,
    plugin: &'a Plugin,
    components: &'a [ComponentInfo],
    registry: &'a Registry,
    write: &'a dyn Fn(&Line),
}

impl Subject<'_> {
    /// Writes that all rules of the kind, and those of the process, could not be tried.
    fn skip(&self, why: &str) {
        let rest = ["leaks", "libtorch", "cancel"];
        for rule in rules_of(self.task.kind).map(|(rule, _)| rule).chain(rest) {
            let finding =
                Finding { rule: rule.to_owned(), verdict: Verdict::Skipped, detail: why.to_owned() };
            (self.write)(&Line::Ends(finding));
        }
    }

    /// Says what is missing, if a component that was given no settings refuses to work without.
    fn needs_settings<T>(&self, tried: std::result::Result<T, CallError>) -> bool {
        match tried {
            Err(error)
                if self.task.settings.is_none()
                    && matches!(error.kind, CallErrorKind::InvalidConfig | CallErrorKind::Failed) =>
            {
                let id = &self.task.component;
                self.skip(&format!("it needs settings, give them with `--set {id}.KEY=VALUE`: {error}"));
                true
            }
            _ => false,
        }
    }

    fn finish(
        bench: &mut Bench<'_>,
        round: impl Fn() -> std::result::Result<(), CallError>,
        work: impl FnOnce() -> std::result::Result<(), CallError>,
    ) {
        bench.rule("leaks", || process::leaks(round));
        bench.rule("libtorch", process::libtorch);
        bench.rule("cancel", || process::cancel(work));
    }

    fn strategy(
        &self,
        bench: &mut Bench<'_>,
        given: Value,
        create: &dyn Fn(&Value) -> std::result::Result<ForeignStrategy, CallError>,
    ) {
        let described = create(&given).and_then(|strategy| {
            let learns = ForeignOneShot::is(&strategy);
            strategy.describe().map(|info| (info, learns))
        });
        if let Ok((_, true)) = described {
            self.skip(
                "a one-shot strategy learns from images and proposes nothing; there are no rules for it yet",
            );
            return;
        }
        let described = described.map(|(info, _)| info);
        let StrategyInfo { valid_spaces: spaces, default_metric, .. } =
            described.as_ref().ok().cloned().unwrap_or_default();
        if self.needs_settings(described) {
            return;
        }
        if spaces.is_empty() {
            let make = || create(&given);
            let toy = |direction| -> Box<dyn SearchContext> { Box::new(ToySpace::new(direction)) };
            strategy_rules(bench, &make, &toy);
            Self::finish_strategy(bench, &make, &*toy(Direction::Higher));
            return;
        }
        // Such a strategy is tried as its recipe runs it.
        let section = |name: &str| self.manifest.plugin.recipe.as_ref()?.get(name)?.as_object().cloned();
        let without = |mut section: Map<String, Value>| {
            section.retain(|key, _| key != "plugin" && key != "budget");
            Value::Object(section)
        };
        let is_own =
            |section: &Map<String, Value>| section.get("plugin") == Some(&json!(self.task.component));
        let own = section("search").filter(|_| self.task.settings.is_none()).filter(is_own).map(without);
        let settings = own.unwrap_or(given);
        let arch =
            section("arch").filter(|arch| spaces.iter().any(|id| arch.get("plugin") == Some(&json!(id))));
        let id = &spaces[0];
        let arch = self.task.others.get(id).cloned().or_else(|| arch.map(without));
        match self.registry.architecture(id, &arch.unwrap_or_else(|| json!({}))) {
            Err(error) => self.skip(&format!("it works with `{id}`, which cannot be had: {}", error.message)),
            Ok(architecture) => {
                let architecture = &architecture;
                let make = || create(&settings);
                let space = |direction| -> Box<dyn SearchContext + '_> {
                    Box::new(ForeignSpace { architecture, geometry: GEOMETRY, direction })
                };
                let metric = match default_metric.map(|id| self.own_metric(&id)).transpose() {
                    Err(error) => return self.skip(&format!("its own metric cannot be had: {error}")),
                    Ok(metric) => metric.flatten(),
                };
                if let Some((metric, direction)) = &metric {
                    // A metric that measures answers differently each time, which is no fault of the strategy.
                    let known = RefCell::new(BTreeMap::new());
                    let value = |spec: &Spec| {
                        let score = || score(metric, architecture, spec).ok().flatten();
                        *known.borrow_mut().entry(spec.to_string()).or_insert_with(score)
                    };
                    let values = Values { value: &value, directions: &[*direction], may_lack: false };
                    strategy_rules_by(values, bench, &make, &space);
                } else {
                    strategy_rules(bench, &make, &space);
                }
                let direction = metric.map_or(Direction::Higher, |(_, direction)| direction);
                Self::finish_strategy(bench, &make, &*space(direction));
            }
        }
    }

    /// The metric `id` and its direction, if the plugin has it: a strategy may compute the values of its
    /// own metric and refuse others.
    fn own_metric(
        &self,
        id: &str,
    ) -> std::result::Result<Option<(ForeignArchitectureMetric, Direction)>, CallError> {
        let is_it = |info: &ComponentInfo| info.kind == Kind::ArchitectureMetric && info.id == id;
        if !self.components.iter().any(is_it) {
            return Ok(None);
        }
        let settings = self.task.others.get(id).cloned().unwrap_or_else(|| json!({}));
        let metric = ForeignArchitectureMetric::new(self.plugin.create(id, &settings.to_string())?)?;
        let direction = metric.describe()?.direction;
        Ok(Some((metric, direction)))
    }

    fn finish_strategy(bench: &mut Bench<'_>, make: Make<'_, ForeignStrategy>, context: &dyn SearchContext) {
        let ask = || make()?.ask(context, 1).map(drop);
        Self::finish(bench, ask, ask);
    }

    fn architecture(&self, bench: &mut Bench<'_>, make: Make<'_, ForeignArchitecture>) {
        if self.needs_settings(make().and_then(|space| space.initial())) {
            return;
        }
        architecture_rules(bench, make);
        let round = || {
            let space = make()?;
            space.graph(&space.initial()?, &GEOMETRY).map(drop)
        };
        Self::finish(bench, round, round);
    }

    fn dataset(&self, bench: &mut Bench<'_>, make: Make<'_, ForeignDataset>) {
        if self.needs_settings(make().and_then(|dataset| dataset.records())) {
            return;
        }
        dataset_rules(bench, make);
        let round = || {
            let dataset = make()?;
            dataset.records()?;
            dataset.pixels(0).map(drop)
        };
        Self::finish(bench, round, round);
    }

    fn prediction_metric(&self, bench: &mut Bench<'_>, make: Make<'_, ForeignPredictionMetric>) {
        if self.needs_settings(make().and_then(|metric| metric.outputs())) {
            return;
        }
        prediction_metric_rules(bench, make);
        let round = || {
            let predictions = Predictions {
                labels: 1,
                scores: &[0.2, 0.9],
                targets: &[Target::Negative, Target::Positive],
                thresholds: &[0.5],
            };
            make()?.evaluate(&predictions).map(drop)
        };
        Self::finish(bench, round, round);
    }

    fn architecture_metric(&self, bench: &mut Bench<'_>, make: Make<'_, ForeignArchitectureMetric>) {
        if self.needs_settings(make().and_then(|metric| metric.describe())) {
            return;
        }
        architecture_metric_rules(bench, make);
        let candidate = candidate();
        let context = ScoreContext { geometry: ToySpace::GEOMETRY, device: "cpu".to_owned() };
        let round = || make()?.score(std::slice::from_ref(&candidate), &context).map(drop);
        Self::finish(bench, round, round);
    }
}

/// The value of a structure.
fn score(
    metric: &ForeignArchitectureMetric,
    architecture: &ForeignArchitecture,
    spec: &Spec,
) -> std::result::Result<Option<f64>, CallError> {
    let graph = architecture.graph(spec, &GEOMETRY)?.without_auxiliary();
    let counters = architecture.counters(spec, &GEOMETRY)?;
    let candidate = Candidate { spec: spec.clone(), graph, counters, seed: 1 };
    let context = ScoreContext { geometry: GEOMETRY, device: "cpu".to_owned() };
    Ok(metric.score(&[candidate], &context)?.first().and_then(|score| score.value))
}

fn candidate() -> Candidate {
    let spec = json!([8, 12, 8]);
    let graph = ToySpace::network(&spec).expect("a structure of the toy space");
    Candidate { spec, graph, counters: Default::default(), seed: 1 }
}
