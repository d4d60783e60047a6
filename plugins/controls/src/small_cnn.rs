//! The architecture `small-cnn`.

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Geometry, Spec},
    component::{Component, PluginResult},
    graph::{Graph, INPUT, Initialization, Node, Op, Pool, Window},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance in every batch normalisation, as in PyTorch.
const BN_EPSILON: f64 = 1e-5;
/// Share of the old running value; PyTorch writes it as `momentum=0.1`.
const BN_MOMENTUM: f64 = 0.9;
/// Largest number of halvings: 2¹² pixels a side are more than a radiograph has.
const MOST_STAGES: usize = 12;

/// What users may set, and the spec of a structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SmallCnnConfig {
    /// Channels of the first stage; each later stage has twice as many.
    #[schemars(range(min = 1, max = 1024))]
    pub width: usize,
    /// Stages: a 3×3 convolution, batch normalisation, ReLU, and 2×2 maximum pooling.
    #[schemars(range(min = 1, max = 12))]
    pub stages: usize,
}

impl Default for SmallCnnConfig {
    fn default() -> Self {
        Self { width: 16, stages: 4 }
    }
}

/// Why there is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SmallCnnError {
    /// There is nothing to draw or change.
    #[error("`small-cnn` is a fixed network, not a search space; choose another `arch.plugin` to search")]
    NotSearchable,
    /// A spec of another space, or out of range.
    #[error("not a small-cnn spec: {0}")]
    Spec(String),
    /// Every stage halves the image.
    #[error("{stages} stages halve an image of {height} × {width} pixels away; set `arch.stages` lower")]
    TooDeep {
        /// Number of stages.
        stages: usize,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
}

/// A plain chain of convolutions.
#[derive(Debug, Clone, Copy)]
pub struct SmallCnn(SmallCnnConfig);

impl Component for SmallCnn {
    const ID: &'static str = "small-cnn";
    const DESCRIPTION: &'static str = "a plain chain of convolutions, the control of searched networks";
    type Config = SmallCnnConfig;

    fn create(config: SmallCnnConfig) -> PluginResult<Self> {
        check(config)?;
        Ok(Self(config))
    }
}

impl Architecture for SmallCnn {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schemars::schema_for!(SmallCnnConfig).to_value(),
            searchable: false,
            source: "convolution, batch normalisation, ReLU and pooling by halves, as textbooks draw it"
                .to_owned(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(serde_json::to_value(self.0)?)
    }

    fn sample(&self, _seed: u64) -> PluginResult<Spec> {
        Err(SmallCnnError::NotSearchable.into())
    }

    fn mutate(&self, _spec: &Spec, _strength: u32, _seed: u64) -> PluginResult<Spec> {
        Err(SmallCnnError::NotSearchable.into())
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        let spec = SmallCnnConfig::deserialize(spec).map_err(|e| SmallCnnError::Spec(e.to_string()))?;
        check(spec)?;
        let [_, height, width] = geometry.input;
        if height.min(width) >> spec.stages == 0 {
            return Err(SmallCnnError::TooDeep { stages: spec.stages, height, width }.into());
        }
        Ok(network(spec, geometry))
    }
}

fn check(spec: SmallCnnConfig) -> Result<(), SmallCnnError> {
    let fits = (1..=MOST_STAGES).contains(&spec.stages) && (1..=1024).contains(&spec.width);
    if fits { Ok(()) } else { Err(SmallCnnError::Spec(format!("{spec:?} is out of range"))) }
}

fn network(spec: SmallCnnConfig, geometry: &Geometry) -> Graph {
    let mut nodes: Vec<Node> = Vec::new();
    let mut push = |name: String, op: Op, input: &str| {
        nodes.push(Node { name: name.clone(), op, inputs: vec![input.to_owned()] });
        name
    };
    let mut at = INPUT.to_owned();
    for stage in 0..spec.stages {
        let named = |layer: &str| format!("stage{}.{layer}", stage + 1);
        let out_channels = spec.width << stage;
        let conv = Op::Conv { out_channels, window: Window::square(3, 1), group: 1, bias: false };
        at = push(named("conv"), conv, &at);
        at = push(named("bn"), Op::BatchNormalization { epsilon: BN_EPSILON, momentum: BN_MOMENTUM }, &at);
        at = push(named("relu"), Op::Relu, &at);
        let pool = Pool { window: Window::square(2, 2), ceil_mode: false, count_include_pad: false };
        at = push(named("pool"), Op::MaxPool(pool), &at);
    }
    let features = at.clone();
    at = push("avgpool".to_owned(), Op::GlobalAveragePool, &at);
    at = push("flatten".to_owned(), Op::Flatten, &at);
    let output = push("fc".to_owned(), Op::Gemm { out_features: geometry.outputs, bias: true }, &at);
    Graph {
        schema: 1,
        input: geometry.input,
        initialization: Initialization::KaimingNormalFanOut,
        nodes,
        output,
        features,
        auxiliary: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GEOMETRY: Geometry = Geometry { input: [3, 64, 64], outputs: 8 };

    #[test]
    fn the_network_has_the_weights_that_one_counts_by_hand() {
        let network = SmallCnn::create(SmallCnnConfig::default()).unwrap();
        let graph = network.graph(&network.initial().unwrap(), &GEOMETRY).unwrap();
        let channels = [3, 16, 32, 64, 128];
        let convolutions: u64 = channels.windows(2).map(|pair| pair[0] * pair[1] * 9).sum();
        let normalisations: u64 = channels[1..].iter().map(|channels| 2 * channels).sum();
        assert_eq!(graph.costs().unwrap().params, convolutions + normalisations + 128 * 8 + 8);
    }

    #[test]
    fn images_that_are_too_small_are_refused_with_what_to_change() {
        let network = SmallCnn::create(SmallCnnConfig::default()).unwrap();
        let spec = network.initial().unwrap();
        let small = Geometry { input: [3, 15, 64], ..GEOMETRY };
        let error = network.graph(&spec, &small).unwrap_err().to_string();
        assert_eq!(error, "4 stages halve an image of 15 × 64 pixels away; set `arch.stages` lower");
        assert!(network.graph(&spec, &Geometry { input: [3, 16, 16], ..GEOMETRY }).is_ok());
        for spec in [json!({"width": 0}), json!({"stages": 64}), json!({"depth": 1}), json!(3)] {
            let error = network.graph(&spec, &GEOMETRY).unwrap_err().to_string();
            assert!(error.starts_with("not a small-cnn spec"), "{error}");
        }
    }
}
