//! The architecture component.

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    graph::Graph,
    seed::{self, Rng},
};
use nashost_tinynas::{count, stage};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use crate::{
    chain::{Chain, Format},
    exact,
    mutation::{self, TypeWeights},
    network,
    official::{self, Mode},
    plainnet, preset, tinynas,
};

/// A search space: which blocks there are, and how mutation changes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Space {
    /// ZenNAS, ResNet-like: basic and bottleneck blocks with kernels 3, 5, 7. Widths up to 2048.
    #[default]
    Xxbl,
    /// ZenNAS, MobileNet-like: inverted depthwise blocks with expansion 1, 2, 4, 6 and kernels 3,
    /// 5, 7. A 1×1 `SuperConv…` (the last block) keeps its width.
    Idw,
    /// DeepMAD, ResNet-like: bottlenecks `SuperResK1KXK1` with kernels 3, 5.
    K1kxk1,
    /// DAMO-YOLO, small: `SuperResK1KX` with kernel 3.
    K1kx,
    /// DAMO-YOLO, medium: `SuperResKXKX` with kernel 3.
    Kxkx,
    /// DeepMAD, MobileNet-like: `SuperResK1DWK1` with kernels 3, 5.
    K1dwk1,
    /// DeepMAD, with excitation: `SuperResK1DWSEK1` with kernels 3, 5, 7.
    K1dwsek1,
}

/// Configuration of [`SuperRes`].
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which blocks mutation may use, and how it changes them.
    pub space: Space,
    /// The structure to start from: the name of a preset (ZenNAS: `cifar`, `imagenet`,
    /// `imagenet-idw`, `zennet-cifar-0.5m`, `zennet-cifar-1m`, `zennet-imagenet-0.2ms`, `-0.5ms`,
    /// `-0.8ms`, `-1.2ms`; TinyNAS: `deepmad-r18`, `deepmad-cifar-start` and others), a PlainNet
    /// string, or the text of a TinyNAS list or file.
    pub initial: String,
    /// Adds squeeze-and-excitation to the residual units of ZenNAS structures. The official
    /// counters leave it out.
    pub se: bool,
    /// How likely the classes of residual blocks are; `xxbl` and `idw` only.
    pub type_weights: TypeWeights,
    /// Settings of DeepMAD's mutations; the other spaces only.
    pub tinynas: tinynas::Settings,
    /// Number of single mutations between the initial structure and a sample.
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
            tinynas: tinynas::Settings::default(),
            sample_steps: 20,
        }
    }
}

/// The mutation of a space.
#[derive(Debug, Clone)]
enum Mutator {
    Zennas(mutation::Mutator),
    Tinynas(tinynas::Mutator),
}

impl Mutator {
    fn new(config: &Config) -> Self {
        let zennas = |space| Self::Zennas(mutation::Mutator::new(space, config.type_weights));
        let tinynas = |space| Self::Tinynas(tinynas::Mutator::new(space, config.tinynas.clone()));
        match config.space {
            Space::Xxbl => zennas(mutation::Space::Xxbl),
            Space::Idw => zennas(mutation::Space::Idw),
            Space::K1kxk1 => tinynas(tinynas::Space::K1kxk1),
            Space::K1kx => tinynas(tinynas::Space::K1kx),
            Space::Kxkx => tinynas(tinynas::Space::Kxkx),
            Space::K1dwk1 => tinynas(tinynas::Space::K1dwk1),
            Space::K1dwsek1 => tinynas(tinynas::Space::K1dwsek1),
        }
    }

    fn mutate(&self, chain: &Chain, strength: u32, rng: &mut Rng) -> PluginResult<Chain> {
        match (self, chain) {
            (Self::Zennas(mutator), Chain::Zennas(structure)) => {
                Ok(Chain::Zennas(mutator.mutate(structure, strength, rng)))
            }
            (Self::Tinynas(mutator), Chain::Tinynas(structure)) => {
                Ok(Chain::Tinynas(mutator.mutate(structure, strength, rng)?))
            }
            (Self::Zennas(_), Chain::Tinynas(_)) => Err("a TinyNAS structure cannot be mutated in the spaces \
                 `xxbl` and `idw`; set `space` to `k1kxk1` or another of DeepMAD's"
                .into()),
            (Self::Tinynas(_), Chain::Zennas(_)) => Err("a ZenNAS structure cannot be mutated in the spaces of \
                 DeepMAD; set `initial` to a TinyNAS structure such as `deepmad-cifar-start`, or `space` to `xxbl` \
                 or `idw`"
                .into()),
        }
    }
}

/// Chains of super-blocks, the spaces of ZenNAS and DeepMAD.
#[derive(Debug, Clone)]
pub struct SuperRes {
    mutator: Mutator,
    initial: Chain,
    excitation: bool,
    sample_steps: u32,
}

/// Reads `initial` of the configuration.
fn initial(text: &str) -> PluginResult<Chain> {
    if let Some(preset) = preset::find(text) {
        return Ok(Chain::Zennas(plainnet::parse(preset.structure)?));
    }
    if let Some(preset) = nashost_tinynas::preset::find(text) {
        return Ok(Chain::Tinynas(preset.structure()));
    }
    let format = if text.trim_start().starts_with(['[', '{']) {
        Format::Tinynas
    } else if text.contains('(') {
        Format::PlainNet
    } else {
        let hint = preset::suggest(text).map(|name| format!(", did you mean `{name}`?")).unwrap_or_default();
        return Err(format!(
            "`initial`: `{text}` is neither a PlainNet string, a TinyNAS list nor a preset{hint} (presets: {})",
            preset::names().collect::<Vec<_>>().join(", ")
        )
        .into());
    };
    format.read(text).map_err(|error| format!("`initial`: {error}").into())
}

impl SuperRes {
    fn count(&self, chain: &Chain, geometry: &Geometry) -> Counters {
        let official = |params, flops, layers: usize| {
            vec![("official.params", params), ("official.flops", flops), ("official.layers", layers as f64)]
        };
        let counters = match chain {
            Chain::Zennas(structure) => {
                let counts = official::count(structure, Mode::default(), geometry.input, geometry.outputs);
                let exact = exact::count(structure, self.excitation, geometry);
                let mut counters = official(counts.params, counts.flops, counts.layers);
                counters.extend([
                    ("params", exact.params as f64),
                    ("macs", exact.macs as f64),
                    ("layers", exact.layers as f64),
                ]);
                counters
            }
            Chain::Tinynas(structure) => {
                let [_, height, width] = geometry.input;
                let counts = count::count(structure, [height, width]);
                let mut counters = official(counts.params, counts.flops, counts.layers);
                counters.extend(
                    stage::efficient_score(structure).ok().map(|score| ("official.efficient_score", score)),
                );
                counters
            }
        };
        counters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Component for SuperRes {
    const ID: &'static str = "superres";
    const DESCRIPTION: &'static str =
        "Chains of super-blocks of ZenNAS and DeepMAD: ResNet-like and MobileNet-like networks.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self {
            mutator: Mutator::new(&config),
            initial: initial(&config.initial)?,
            excitation: config.se,
            sample_steps: config.sample_steps,
        })
    }
}

impl Architecture for SuperRes {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schema_for!(Chain).to_value(),
            searchable: true,
            source: "Lin et al., Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition, \
                     ICCV 2021, code idstcv/ZenNAS; Shen et al., DeepMAD: Mathematical Architecture \
                     Design for Deep Convolutional Neural Network, CVPR 2023, code \
                     alibaba/lightweight-neural-architecture-search"
                .into(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(self.initial.to_spec())
    }

    /// Walks from the initial structure: the official codes have no other way to draw a structure.
    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let mut rng = seed::rng(seed);
        let mut chain = self.initial.clone();
        for _ in 0..self.sample_steps {
            chain = self.mutator.mutate(&chain, 1, &mut rng)?;
        }
        Ok(chain.to_spec())
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        Ok(self.mutator.mutate(&Chain::try_from(spec)?, strength, &mut seed::rng(seed))?.to_spec())
    }

    /// Reads and writes structures without a JSON tree between: a tenth of the time.
    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        let chain = Chain::from_json(spec)?;
        Ok(self.mutator.mutate(&chain, strength, &mut seed::rng(seed))?.to_json())
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        match Chain::try_from(spec)? {
            Chain::Zennas(structure) => {
                structure.check_channels()?;
                Ok(network::build(&structure, self.excitation, geometry))
            }
            Chain::Tinynas(structure) => Ok(tinynas::build(&structure, geometry)?),
        }
    }

    /// Counts as the official search does for its budgets: `official.params`, `official.flops`
    /// (multiply-adds) and `official.layers`. See [`official`] and [`nashost_tinynas::count`] for how
    /// they differ from the truth, which `params`, `macs` and `layers` tell of ZenNAS structures.
    /// TinyNAS structures have `official.efficient_score`, if their blocks have one.
    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(self.count(&Chain::try_from(spec)?, geometry))
    }

    fn counters_text(&self, spec: &str, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(self.count(&Chain::from_json(spec)?, geometry))
    }

    fn import(&self, format: &str, text: &str) -> PluginResult<Spec> {
        Ok(Format::find(format)?.read(text)?.to_spec())
    }

    fn export(&self, format: &str, spec: &Spec) -> PluginResult<String> {
        Format::find(format)?.write(&Chain::try_from(spec)?)
    }
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
            "`initial`: `imagnet` is neither a PlainNet string, a TinyNAS list nor a preset, did you mean `imagenet`?"
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
    fn formats_belong_to_a_vocabulary() {
        let space = space(serde_json::json!({"initial": "deepmad-r18"})).unwrap();
        let spec = space.initial().unwrap();
        for format in ["tinynas", "tinynas-json"] {
            let text = space.export(format, &spec).unwrap();
            assert_eq!(space.import(format, &text).unwrap(), spec);
        }
        let error = |format| space.export(format, &spec).unwrap_err().to_string();
        assert_eq!(
            error("plainnet"),
            "a TinyNAS structure can be written as `tinynas` or `tinynas-json` only"
        );
        assert_eq!(
            error("onnx"),
            "unknown structure format `onnx`, this space has `plainnet`, `tinynas`, `tinynas-json`"
        );
        let zennas = space.import("plainnet", "SuperConvK3BNRELU(3,8,1,1)").unwrap();
        let error = space.export("tinynas", &zennas).unwrap_err().to_string();
        assert_eq!(error, "a ZenNAS structure can be written as `plainnet` only");
    }

    #[test]
    fn a_tinynas_list_is_a_spec_and_an_initial_structure() {
        let list = "[{'class': 'ConvKXBNRELU', 'in': 3, 'out': 8, 's': 2, 'k': 3}]";
        let named = space(serde_json::json!({"initial": list, "space": "k1kxk1"})).unwrap();
        let spec = serde_json::json!([{"class": "ConvKXBNRELU", "in": 3, "out": 8, "s": 2, "k": 3}]);
        assert_eq!(named.initial().unwrap(), spec);
        assert_eq!(named.counters(&spec, &GEOMETRY).unwrap()["official.params"], 232.0);
        assert!(named.graph(&spec, &GEOMETRY).is_ok());
    }

    #[test]
    fn mutation_needs_the_space_of_the_vocabulary() {
        for (config, hint) in [
            (serde_json::json!({"initial": "deepmad-r18"}), "set `space` to `k1kxk1`"),
            (serde_json::json!({"space": "k1kxk1"}), "such as `deepmad-cifar-start`"),
        ] {
            let error = space(config).unwrap().sample(1).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
