//! The components `resnet` and `resnet50`.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Geometry, Spec},
    component::{Component, PluginResult},
    graph::Graph,
};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::network::{self, Depth, ResnetSpec};

/// Why a ResNet cannot do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResnetError {
    /// There is nothing to draw or change.
    #[error("`resnet` is a fixed network, not a search space; choose another `arch.plugin` to search")]
    NotSearchable,
    /// A spec of another space.
    #[error("not a ResNet spec: {0}")]
    Spec(String),
    /// No network without pixels or labels.
    #[error("input {input:?} with {outputs} outputs: every size must be at least 1")]
    Geometry {
        /// Channels, height, width.
        input: [usize; 3],
        /// Number of labels.
        outputs: usize,
    },
    /// Published checkpoints start with a 7×7 convolution.
    #[error("no published checkpoint has the small stem; leave `small_stem` off to start from one")]
    NoCheckpoint,
}

/// What users write for `resnet`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResnetConfig {
    /// 18, 34 or 50 layers.
    pub depth: Depth,
    /// Starts with a 3×3 convolution of stride 1 and no pooling, for images of 32 pixels or less.
    pub small_stem: bool,
}

/// What users write for `resnet50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resnet50Config {
    /// Starts with a 3×3 convolution of stride 1 and no pooling, for images of 32 pixels or less.
    pub small_stem: bool,
}

/// A ResNet of the configured depth.
#[derive(Debug, Clone, Copy)]
pub struct Resnet {
    spec: ResnetSpec,
}

impl Component for Resnet {
    const ID: &'static str = "resnet";
    const DESCRIPTION: &'static str = "torchvision's ResNet-18, -34 or -50";
    type Config = ResnetConfig;

    fn create(config: ResnetConfig) -> PluginResult<Self> {
        let ResnetConfig { depth, small_stem } = config;
        Ok(Self { spec: ResnetSpec { depth, small_stem } })
    }
}

impl Architecture for Resnet {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schemars::schema_for!(ResnetSpec).to_value(),
            searchable: false,
            source: "He et al., Deep residual learning for image recognition, CVPR 2016; layers and names \
                     of torchvision.models.resnet"
                .to_owned(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(serde_json::to_value(self.spec)?)
    }

    fn sample(&self, _seed: u64) -> PluginResult<Spec> {
        Err(ResnetError::NotSearchable.into())
    }

    fn mutate(&self, _spec: &Spec, _strength: u32, _seed: u64) -> PluginResult<Spec> {
        Err(ResnetError::NotSearchable.into())
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        let spec = parse(spec)?;
        let &Geometry { input, outputs } = geometry;
        if input.contains(&0) || outputs == 0 {
            return Err(ResnetError::Geometry { input, outputs }.into());
        }
        Ok(network::graph(spec, geometry))
    }

    /// torchvision's ResNet files, and timm's `resnet18`, `resnet34` and `resnet50` (not its `d`
    /// and `t` variants, whose stems differ), already carry the graph's names. Only the classifier
    /// is dropped: it knows ImageNet's 1000 classes.
    fn pretrained_names(&self, spec: &Spec) -> PluginResult<BTreeMap<String, Option<String>>> {
        if parse(spec)?.small_stem {
            return Err(ResnetError::NoCheckpoint.into());
        }
        Ok(["fc.weight", "fc.bias"].map(|name| (name.to_owned(), None)).into())
    }
}

fn parse(spec: &Spec) -> Result<ResnetSpec, ResnetError> {
    ResnetSpec::deserialize(spec).map_err(|error| ResnetError::Spec(error.to_string()))
}

/// [`Resnet`] with 50 layers: the network that `--plugin resnet50` means.
#[derive(Debug, Clone, Copy)]
pub struct Resnet50(Resnet);

impl Component for Resnet50 {
    const ID: &'static str = "resnet50";
    const DESCRIPTION: &'static str = "torchvision's ResNet-50";
    type Config = Resnet50Config;

    fn create(config: Resnet50Config) -> PluginResult<Self> {
        let Resnet50Config { small_stem } = config;
        Resnet::create(ResnetConfig { depth: Depth::D50, small_stem }).map(Self)
    }
}

impl Architecture for Resnet50 {
    fn describe(&self) -> ArchitectureInfo {
        self.0.describe()
    }

    fn initial(&self) -> PluginResult<Spec> {
        self.0.initial()
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        self.0.sample(seed)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        self.0.mutate(spec, strength, seed)
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        self.0.graph(spec, geometry)
    }

    fn pretrained_names(&self, spec: &Spec) -> PluginResult<BTreeMap<String, Option<String>>> {
        self.0.pretrained_names(spec)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GEOMETRY: Geometry = Geometry { input: [3, 64, 64], outputs: 8 };

    fn resnet(config: serde_json::Value) -> Resnet {
        Resnet::create(serde_json::from_value(config).unwrap()).unwrap()
    }

    #[test]
    fn configuration_names_the_spec() {
        assert_eq!(resnet(json!({})).initial().unwrap(), json!({"depth": 50}));
        assert_eq!(
            resnet(json!({"depth": 18, "small_stem": true})).initial().unwrap(),
            json!({"depth": 18, "small_stem": true})
        );
        let fifty = Resnet50::create(Resnet50Config::default()).unwrap();
        assert_eq!(fifty.initial().unwrap(), json!({"depth": 50}));
        assert!(serde_json::from_value::<ResnetConfig>(json!({"depth": 101})).is_err());
        assert!(serde_json::from_value::<Resnet50Config>(json!({"depth": 18})).is_err());
    }

    #[test]
    fn the_spec_decides_not_the_configuration() {
        let fifty = resnet(json!({}));
        let eighteen = resnet(json!({"depth": 18}));
        let spec = json!({"depth": 34});
        assert_eq!(fifty.graph(&spec, &GEOMETRY).unwrap(), eighteen.graph(&spec, &GEOMETRY).unwrap());
    }

    #[test]
    fn refuses_what_makes_no_network() {
        let resnet = resnet(json!({}));
        for spec in [json!({"depth": 152}), json!({"depth": 50, "width": 2}), json!([1]), json!({})] {
            let error = resnet.graph(&spec, &GEOMETRY).unwrap_err().to_string();
            assert!(error.starts_with("not a ResNet spec"), "{error}");
        }
        let spec = json!({"depth": 50});
        for geometry in [
            Geometry { input: [3, 0, 64], outputs: 8 },
            Geometry { input: [0, 64, 64], outputs: 8 },
            Geometry { outputs: 0, ..GEOMETRY },
        ] {
            assert!(resnet.graph(&spec, &geometry).is_err());
        }
        assert!(!resnet.describe().searchable);
        assert!(resnet.sample(1).is_err());
        assert!(resnet.mutate(&spec, 1, 1).is_err());
    }

    #[test]
    fn published_checkpoints_lose_only_the_classifier() {
        let resnet = resnet(json!({}));
        let names = resnet.pretrained_names(&json!({"depth": 18})).unwrap();
        assert_eq!(names.len(), 2);
        assert!(names.iter().all(|(name, to)| name.starts_with("fc.") && to.is_none()));
        assert!(resnet.pretrained_names(&json!({"depth": 18, "small_stem": true})).is_err());
    }

    #[test]
    fn schema_lists_the_depths() {
        let schema = schemars::schema_for!(ResnetConfig).to_value();
        let depth = &schema["properties"]["depth"];
        let target = depth.get("$ref").map_or(depth, |_| &schema["$defs"]["Depth"]);
        assert_eq!(target["enum"], json!([18, 34, 50]), "{schema}");
    }
}
