//! The strategy `shapleynas`: a supernet is trained, its operations are valued, a network is derived.

mod config;
mod report;
mod samples;

use std::collections::BTreeMap;

use nashost_cells::{Darts, Genotype, derive};
use nashost_plugin_api::{
    component::{Component, PluginResult},
    seed::derive_seed,
    strategy::{Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use nashost_plugin_torch::{OneShot, OneShotPlan, OneShotTask, Samples, StepReport, Targets, parse_device};
use nashost_shapley_supernet::{Search, SearchConfig, Step, What, config::Roles};
use serde_json::{Value, json};

pub use self::config::Config;
use self::samples::{Division, Shared};
use crate::architecture::DartsSpace;

/// Why the strategy cannot do what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StrategyError {
    /// A host that asks for proposals.
    #[error(
        "`shapleynas` learns from images and proposes nothing; this host is too old for it: it must know the \
         extension `nashost.one_shot.v1`"
    )]
    OneShot,
    /// A call out of order.
    #[error("the search has not begun")]
    NotBegun,
    /// More folds than images.
    #[error("{images} images are too few for {folds} folds; set `folds` to {images} at most")]
    Folds {
        /// Training images.
        images: usize,
        /// Folds asked for.
        folds: usize,
    },
    /// A call too early.
    #[error("the search is not over")]
    NotOver,
}

/// A search that has begun.
struct Begun {
    search: Search,
    initial: Darts,
    targets: Targets,
    division: Division,
}

/// The strategy.
pub struct ShapleyNas {
    config: SearchConfig,
    begun: Option<Begun>,
}

impl ShapleyNas {
    fn begun(&self) -> Result<&Begun, StrategyError> {
        self.begun.as_ref().ok_or(StrategyError::NotBegun)
    }
}

impl Begun {
    fn genotype(&self) -> PluginResult<Genotype> {
        let [normal, reduce] = self.search.result().alphas;
        Ok(derive::genotype(&normal, &reduce)?)
    }
}

impl Component for ShapleyNas {
    const ID: &'static str = "shapleynas";
    const DESCRIPTION: &'static str =
        "Trains a supernet of DARTS cells, credits each operation with its Shapley value, derives a network.";
    type Config = Config;

    fn create(Config(config): Config) -> PluginResult<Self> {
        Ok(Self { config, begun: None })
    }
}

impl Strategy for ShapleyNas {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo {
            uses_data: true,
            uses_labels: true,
            valid_spaces: vec![DartsSpace::ID.to_owned()],
            default_metric: None,
            lag: 1,
            proposals: None,
        }
    }

    fn ask(&mut self, _: &dyn SearchContext, _: u32) -> PluginResult<Vec<Request>> {
        Err(StrategyError::OneShot.into())
    }

    fn tell(&mut self, _: &[Outcome]) -> PluginResult<()> {
        Err(StrategyError::OneShot.into())
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(self.begun()?.search.checkpoint()?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        let begun = self.begun.as_mut().ok_or(StrategyError::NotBegun)?;
        Ok(begun.search.restore(state)?)
    }

    /// The derived network. Its value is the supernet's own, with all operations, on the images that
    /// valued them last.
    fn result(&self) -> PluginResult<SearchResult> {
        let begun = self.begun()?;
        let found = begun.search.result();
        let last = found.history.last().ok_or(StrategyError::NotOver)?;
        let [edges, nodes] = last.separated;
        let spec = Darts { genotype: begun.genotype()?, ..begun.initial.clone() };
        let ranked = Ranked {
            spec: serde_json::to_value(spec)?,
            value: last.full,
            id: 0,
            reason: format!(
                "derived from the supernet after {} epochs; {edges} of 28 edges and {nodes} of 8 nodes were \
                 decided beyond doubt; the value is the supernet's own",
                found.losses.len()
            ),
        };
        let steps = found.losses.len() + found.history.iter().map(|record| record.samples).sum::<usize>();
        Ok(SearchResult { ranked: vec![ranked], steps: steps as u64, rejected: BTreeMap::new() })
    }
}

impl OneShot for ShapleyNas {
    fn begin(&mut self, task: &OneShotTask, samples: &mut dyn Samples) -> PluginResult<OneShotPlan> {
        let initial = DartsSpace::parse(&task.initial)?;
        // What is derived must fit the images, too.
        initial.build(&task.geometry)?;
        let targets = samples.targets()?;
        let images = targets.targets.size()[0] as usize;
        let seed = derive_seed(task.seed, Self::ID);
        let device = parse_device(&task.device)?;
        let (input, labels) = (task.geometry.input, task.labels.len());
        let mut search = Search::new(self.config.clone(), input, labels, seed, device)?;
        let division = Division::new(images, self.config.roles == Roles::Validation);
        let shared = Shared { host: samples, targets: &targets, division };
        let plan = search.plan(&shared)?;
        if plan.folds.iter().any(Vec::is_empty) {
            return Err(StrategyError::Folds { images, folds: plan.folds.len() }.into());
        }
        let plan = OneShotPlan {
            roles: match self.config.roles {
                Roles::Validation => division.to_string(),
                Roles::Folds | Roles::Halves => plan.to_string(),
            },
            details: serde_json::to_value(plan)?,
            steps: Some(search.steps() as u64),
        };
        self.begun = Some(Begun { search, initial, targets, division });
        Ok(plan)
    }

    fn step(&mut self, samples: &mut dyn Samples) -> PluginResult<StepReport> {
        let begun = self.begun.as_mut().ok_or(StrategyError::NotBegun)?;
        let mut shared = Shared { host: samples, targets: &begun.targets, division: begun.division };
        Ok(told(&begun.search.step(&mut shared)?))
    }

    fn details(&self) -> PluginResult<Value> {
        let begun = self.begun()?;
        if !begun.search.is_finished() {
            return Err(StrategyError::NotOver.into());
        }
        let (genotype, found) = (begun.genotype()?, begun.search.result());
        Ok(json!({
            "genotype": genotype,
            "genotype_text": genotype.to_string(),
            "operations": nashost_cells::SEARCHED,
            "settings": begun.search.config(),
            "supernet": begun.search.geometry(),
            "report": report::report(&found, &genotype),
            "search": found,
        }))
    }
}

/// What the host shows and records of a step.
fn told(step: &Step) -> StepReport {
    let phase = match step.what {
        What::Training => "weights",
        What::Walk => "walk",
        What::Gradients => "gradients",
        What::Correction => "correction",
    };
    let separated = step.separated.map(|numbers| numbers.map(|number| number as f64));
    let numbers = [
        ("loss", step.loss),
        ("learning_rate", step.learning_rate),
        ("supernet", step.full),
        ("edges_decided", separated.map(|[edges, _]| edges)),
        ("nodes_decided", separated.map(|[_, nodes]| nodes)),
        ("images_trained", Some(step.cost.training as f64)),
        ("images_forward", Some(step.cost.forward as f64)),
        ("images_backward", Some(step.cost.backward as f64)),
    ];
    StepReport {
        phase: phase.to_owned(),
        epoch: step.epoch as u64 + 1,
        numbers: numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
        steps: Some(step.steps as u64),
        finished: step.finished,
    }
}

#[cfg(test)]
mod tests;
