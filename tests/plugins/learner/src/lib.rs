//! The smallest one-shot strategy: logistic regression on the images' mean, for tests of the boundary
//! and of the host's steps. It misbehaves on request.

use std::{collections::BTreeMap, time::Duration};

use nashost_plugin_api::{
    architecture::Spec,
    component::{Component, PluginResult},
    seed::{derive_seed, rng},
    strategy::{Outcome, Ranked, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use nashost_plugin_torch::{OneShot, OneShotPlan, OneShotTask, Samples, StepReport, Targets};
use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tch::{Kind, Tensor};

/// Images of a step.
const BATCH: usize = 4;
/// How far a step goes.
const RATE: f64 = 0.5;

/// Settings of [`Learner`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Number of steps.
    steps: u64,
    /// Milliseconds that each step waits.
    pause: u64,
    /// Step, from 1, in which it panics while gradients are off.
    panic_at: u64,
    /// Step whose report holds a number that is none.
    nan_at: u64,
    /// Step that asks for an image that is not there.
    beyond_at: u64,
    /// Least number of images that it accepts.
    least: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self { steps: 6, pause: 0, panic_at: 0, nan_at: 0, beyond_at: 0, least: 1 }
    }
}

/// What a later process must know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct State {
    made: u64,
    loss: f64,
    weights: Vec<f32>,
}

/// A strategy that learns from images.
pub struct Learner {
    config: Config,
    begun: Option<Begun>,
    state: State,
}

struct Begun {
    initial: Spec,
    seed: u64,
    targets: Targets,
}

impl Component for Learner {
    const ID: &'static str = "learner";
    const DESCRIPTION: &'static str = "Learns from images, and misbehaves on request.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        let state = State { made: 0, loss: 0.0, weights: vec![] };
        Ok(Self { config, begun: None, state })
    }
}

impl Strategy for Learner {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo { uses_data: true, uses_labels: true, lag: 1, ..StrategyInfo::default() }
    }

    fn ask(&mut self, _: &dyn SearchContext, _: u32) -> PluginResult<Vec<Request>> {
        Err("this strategy is one-shot".into())
    }

    fn tell(&mut self, _: &[Outcome]) -> PluginResult<()> {
        Err("this strategy is one-shot".into())
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        Ok(serde_json::to_vec(&self.state)?)
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        self.state = serde_json::from_slice(state)?;
        Ok(())
    }

    fn result(&self) -> PluginResult<SearchResult> {
        let begun = self.begun.as_ref().ok_or("nothing has begun")?;
        let ranked = Ranked {
            spec: begun.initial.clone(),
            value: -self.state.loss,
            id: 0,
            reason: "the only one".to_owned(),
        };
        Ok(SearchResult { ranked: vec![ranked], steps: self.state.made, rejected: BTreeMap::new() })
    }
}

impl OneShot for Learner {
    fn begin(&mut self, task: &OneShotTask, samples: &mut dyn Samples) -> PluginResult<OneShotPlan> {
        let targets = samples.targets()?;
        let images = targets.targets.size()[0];
        if images < self.config.least {
            return Err(format!("{images} images are too few").into());
        }
        self.state.weights = vec![0.0; 2 * task.labels.len()];
        self.begun = Some(Begun { initial: task.initial.clone(), seed: task.seed, targets });
        Ok(OneShotPlan {
            roles: format!("all {images} training images train"),
            details: json!({"images": images}),
            steps: Some(self.config.steps),
        })
    }

    fn step(&mut self, samples: &mut dyn Samples) -> PluginResult<StepReport> {
        let Self { config, begun, state } = self;
        let Begun { seed, targets, .. } = begun.as_ref().ok_or("nothing has begun")?;
        let step = state.made + 1;
        std::thread::sleep(Duration::from_millis(config.pause));
        let images = targets.targets.size()[0];
        let mut rng = rng(derive_seed(*seed, &format!("step/{step}")));
        let mut batch: Vec<i64> = (0..BATCH).map(|_| rng.random_range(0..images)).collect();
        if config.beyond_at == step {
            batch[0] = images;
        }
        let images = samples.images(&batch, Some(step))?;
        if config.panic_at == step {
            let _off = tch::no_grad_guard();
            std::mem::forget(tch::no_grad_guard());
            panic!("told to panic in step {step}");
        }
        let rows = Tensor::from_slice(&batch);
        let labels = state.weights.len() as i64 / 2;
        let weights = Tensor::from_slice(&state.weights).view([2, labels]).set_requires_grad(true);
        let bright = images.mean_dim([1_i64, 2, 3].as_slice(), false, Kind::Float).unsqueeze(1);
        let logits = bright * weights.get(0).unsqueeze(0) + weights.get(1).unsqueeze(0);
        let mask = targets.assessed.index_select(0, &rows);
        let wanted = targets.targets.index_select(0, &rows);
        let loss = logits.binary_cross_entropy_with_logits(
            &wanted,
            Some(&mask),
            None::<&Tensor>,
            tch::Reduction::Mean,
        );
        loss.backward();
        let moved = (weights.detach() - weights.grad() * RATE).view([-1]);
        state.weights = Vec::try_from(moved)?;
        state.loss = loss.double_value(&[]);
        state.made = step;
        let value = if config.nan_at == step { f64::NAN } else { state.loss };
        Ok(StepReport {
            phase: "weights".to_owned(),
            epoch: step,
            numbers: BTreeMap::from([("loss".to_owned(), value)]),
            steps: Some(config.steps),
            finished: step == config.steps,
        })
    }

    fn details(&self) -> PluginResult<Value> {
        if self.state.made < self.config.steps {
            return Err("the search is not over".into());
        }
        Ok(json!({"weights": self.state.weights}))
    }
}

nashost_plugin_api::register!(strategy: Learner);
nashost_plugin_torch::register_one_shot!(Learner);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"), torch: nashost_plugin_torch);
