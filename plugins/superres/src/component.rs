//! The architecture component.

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    graph::Graph,
    seed,
};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use crate::{
    exact,
    mutation::{Mutator, Space, TypeWeights},
    network,
    official::{self, Mode},
    plainnet, preset,
    structure::Structure,
};

/// Configuration of [`SuperRes`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which residual blocks mutation may use.
    pub space: Space,
    /// The structure to start from: the name of a preset (`cifar`, `imagenet`, `imagenet-idw`,
    /// `zennet-cifar-0.5m`, `zennet-cifar-1m`, `zennet-imagenet-0.2ms`, `-0.5ms`, `-0.8ms`,
    /// `-1.2ms`) or a PlainNet string.
    pub initial: String,
    /// Adds squeeze-and-excitation to the residual units. The official counters leave it out.
    pub se: bool,
    /// How likely the classes of residual blocks are.
    pub type_weights: TypeWeights,
    /// Number of single-block mutations between the initial structure and a sample.
    #[schemars(range(max = 100_000))]
    pub sample_steps: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            space: Space::Xxbl,
            initial: "cifar".into(),
            se: false,
            type_weights: TypeWeights::Official,
            sample_steps: 20,
        }
    }
}

/// Chains of super-blocks, the space of ZenNAS.
#[derive(Debug, Clone)]
pub struct SuperRes {
    mutator: Mutator,
    initial: Structure,
    excitation: bool,
    sample_steps: u32,
}

/// Reads `initial` of the configuration.
fn initial(text: &str) -> PluginResult<Structure> {
    if let Some(preset) = preset::find(text) {
        return Ok(plainnet::parse(preset.structure)?);
    }
    if text.contains('(') {
        return plainnet::parse(text).map_err(|error| format!("`initial`: {error}").into());
    }
    let hint = preset::suggest(text).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
    let names: Vec<&str> = preset::PRESETS.iter().map(|preset| preset.name).collect();
    Err(format!(
        "`initial`: `{text}` is neither a PlainNet string nor a preset{hint} (presets: {})",
        names.join(", ")
    )
    .into())
}

impl SuperRes {
    fn count(&self, structure: &Structure, geometry: &Geometry) -> Counters {
        let official = official::count(structure, Mode::default(), geometry.input, geometry.outputs);
        let exact = exact::count(structure, self.excitation, geometry);
        let counters = [
            ("official.params", official.params),
            ("official.flops", official.flops),
            ("official.layers", official.layers as f64),
            ("params", exact.params as f64),
            ("macs", exact.macs as f64),
            ("layers", exact.layers as f64),
        ];
        counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Component for SuperRes {
    const ID: &'static str = "superres";
    const DESCRIPTION: &'static str =
        "Chains of ZenNAS super-blocks: ResNet-like and MobileNet-like networks.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self {
            mutator: Mutator::new(config.space, config.type_weights),
            initial: initial(&config.initial)?,
            excitation: config.se,
            sample_steps: config.sample_steps,
        })
    }
}

impl Architecture for SuperRes {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schema_for!(Structure).to_value(),
            searchable: true,
            source: "Lin et al., Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition, \
                     ICCV 2021; code idstcv/ZenNAS"
                .into(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(self.initial.to_spec())
    }

    /// Walks from the initial structure: the official code has no other way to draw a structure.
    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let mut rng = seed::rng(seed);
        let mut structure = self.initial.clone();
        for _ in 0..self.sample_steps {
            structure = self.mutator.mutate(&structure, 1, &mut rng);
        }
        Ok(structure.to_spec())
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let structure = Structure::try_from(spec)?;
        Ok(self.mutator.mutate(&structure, strength, &mut seed::rng(seed)).to_spec())
    }

    /// Reads and writes structures without a JSON tree between: a tenth of the time.
    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        let structure = Structure::from_json(spec)?;
        Ok(self.mutator.mutate(&structure, strength, &mut seed::rng(seed)).to_json())
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        let structure = Structure::try_from(spec)?;
        structure.check_channels()?;
        Ok(network::build(&structure, self.excitation, geometry))
    }

    /// Counts as the official search does for its budgets: `official.params`, `official.flops`
    /// (multiply-adds) and `official.layers`, without squeeze-and-excitation. See
    /// [`official`] for how they differ from the truth, which `params`, `macs` and `layers` tell.
    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(self.count(&Structure::try_from(spec)?, geometry))
    }

    fn counters_text(&self, spec: &str, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(self.count(&Structure::from_json(spec)?, geometry))
    }

    fn import(&self, format: &str, text: &str) -> PluginResult<Spec> {
        check_format(format)?;
        Ok(plainnet::parse(text)?.to_spec())
    }

    fn export(&self, format: &str, spec: &Spec) -> PluginResult<String> {
        check_format(format)?;
        Ok(Structure::try_from(spec)?.to_string())
    }
}

fn check_format(format: &str) -> PluginResult<()> {
    if format == "plainnet" {
        return Ok(());
    }
    Err(format!("unknown structure format `{format}`, this space has `plainnet`").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(config: serde_json::Value) -> PluginResult<SuperRes> {
        SuperRes::create(serde_json::from_value(config)?)
    }

    const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 10 };

    #[test]
    fn initial_structures_come_from_presets_or_text() {
        let text = "SuperConvK3BNRELU(3,8,1,1)";
        let named = space(serde_json::json!({"initial": text})).unwrap();
        assert_eq!(named.export("plainnet", &named.initial().unwrap()).unwrap(), text);
        let error = |config| space(config).unwrap_err().to_string();
        assert!(error(serde_json::json!({"initial": "imagnet"})).starts_with(
            "`initial`: `imagnet` is neither a PlainNet string nor a preset, did you mean `imagenet`?"
        ));
        assert_eq!(
            error(serde_json::json!({"initial": "SuperConvK3BNRELU(3,8,1)"})),
            "`initial`: at character 1: SuperConvK3BNRELU takes 4 numbers (in, out, stride, layers), found 3"
        );
        assert!(error(serde_json::json!({"spcae": "idw"})).contains("unknown field `spcae`"));
    }

    #[test]
    fn sample_and_mutate_depend_on_the_seed_alone() {
        let space = space(serde_json::json!({"space": "idw", "initial": "imagenet-idw"})).unwrap();
        let spec = space.sample(1).unwrap();
        assert_eq!(spec, space.sample(1).unwrap());
        assert_ne!(spec, space.sample(2).unwrap());
        assert_eq!(space.mutate(&spec, 2, 3).unwrap(), space.mutate(&spec, 2, 3).unwrap());
        assert_ne!(space.mutate(&spec, 2, 3).unwrap(), space.mutate(&spec, 2, 4).unwrap());
    }

    #[test]
    fn a_structure_that_does_not_fit_is_mutated_but_not_built() {
        let space = space(serde_json::json!({})).unwrap();
        let text = "SuperConvK3BNRELU(3,32,2,1)SuperConvK1BNRELU(256,512,1,1)";
        let spec = space.import("plainnet", text).unwrap();
        assert_eq!(space.export("plainnet", &spec).unwrap(), text);
        let error = space.graph(&spec, &GEOMETRY).unwrap_err().to_string();
        assert_eq!(error, "block 1 takes 256 channels, but the block before it gives 32");
        let child = space.mutate(&spec, 0, 0).unwrap();
        assert!(space.graph(&child, &GEOMETRY).is_ok());
    }

    #[test]
    fn other_formats_are_refused() {
        let space = space(serde_json::json!({})).unwrap();
        let error = space.import("tinynas", "").unwrap_err().to_string();
        assert_eq!(error, "unknown structure format `tinynas`, this space has `plainnet`");
    }
}
