//! The component `darts`.

use nashost_cells::{Darts, Genotype, Stem, preset};
use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    graph::Graph,
    seed,
};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{SpaceError, official};

/// Formats of [`Architecture::import`] and [`Architecture::export`].
const FORMATS: &str = "genotype` and `json";

/// What users write for `darts`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DartsConfig {
    /// The cells: the name of a published genotype (`shapley-nas-cifar10`, `shapley-nas-imagenet`,
    /// `darts-v1`, `darts-v2`, `nasnet`, `amoebanet`), or the text of one, as Python prints it
    /// (`Genotype(normal=[…], …)`) or as JSON.
    pub genotype: String,
    /// Channels of each node in the first cells; each reduction doubles them. Published: 36 for
    /// CIFAR-10, 48 for ImageNet.
    #[schemars(range(min = 1, max = 4096))]
    pub channels: usize,
    /// Number of cells. Published: 20 for CIFAR-10, 14 for ImageNet.
    #[schemars(range(min = 1, max = 1000))]
    pub layers: usize,
    /// What comes before the first cell.
    pub stem: Stem,
    /// Which cells, counted from 0, are reductions; a third and two thirds of the way if left out.
    pub reductions: Option<Vec<usize>>,
    /// Probability that an operation is left out for an image while training; `train.drop_path` says
    /// how it goes over the epochs.
    #[schemars(range(min = 0, max = 0.99))]
    pub drop_path: f64,
    /// How much the loss of an auxiliary classifier, two thirds of the way, weighs while training; 0 for
    /// none. Published: 0.4.
    #[schemars(range(min = 0))]
    pub auxiliary: f64,
}

impl Default for DartsConfig {
    fn default() -> Self {
        Self {
            genotype: "shapley-nas-cifar10".to_owned(),
            channels: 16,
            layers: 8,
            stem: Stem::Cifar,
            reductions: None,
            drop_path: 0.0,
            auxiliary: 0.0,
        }
    }
}

/// The space of DARTS: two cells of four nodes, each of which reads two earlier ones.
#[derive(Debug, Clone)]
pub struct DartsSpace {
    initial: Darts,
}

/// Reads a genotype by its name or in either text form.
fn genotype(text: &str) -> Result<Genotype, SpaceError> {
    if let Some(genotype) = preset::find(text) {
        return Ok(genotype);
    }
    let text = text.trim();
    let refuse = |why: String| {
        let close = preset::NAMES.into_iter().find(|name| strsim::levenshtein(name, text) <= 3);
        let hint = close.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        SpaceError::Genotype { why, hint, names: preset::NAMES.join(", ") }
    };
    if text.starts_with('{') {
        let genotype: Genotype = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
        genotype.check().map_err(|e| refuse(e.to_string()))?;
        return Ok(genotype);
    }
    text.parse().map_err(|e: nashost_cells::CellError| refuse(e.to_string()))
}

impl DartsSpace {
    pub(crate) fn parse(spec: &Spec) -> Result<Darts, SpaceError> {
        let wrong = |why: String| SpaceError::Spec { space: Self::ID, why };
        let darts = Darts::deserialize(spec).map_err(|error| wrong(error.to_string()))?;
        darts.genotype.check().map_err(|error| wrong(error.to_string()))?;
        Ok(darts)
    }
}

impl Component for DartsSpace {
    const ID: &'static str = "darts";
    const DESCRIPTION: &'static str =
        "Networks of DARTS: a normal and a reduction cell, stacked; published genotypes by name.";
    type Config = DartsConfig;

    fn create(config: DartsConfig) -> PluginResult<Self> {
        let DartsConfig { genotype: text, channels, layers, stem, reductions, drop_path, auxiliary } = config;
        let genotype = genotype(&text)?;
        let initial = Darts { genotype, channels, layers, stem, reductions, drop_path, auxiliary };
        Ok(Self { initial })
    }
}

impl Architecture for DartsSpace {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schema_for!(Darts).to_value(),
            searchable: true,
            source: "Liu et al., DARTS: Differentiable Architecture Search, ICLR 2019; Xiao et al., \
                     Shapley-NAS: Discovering Operation Contribution for Neural Architecture Search, CVPR 2022, \
                     code euphoria16/Shapley-NAS"
                .into(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(serde_json::to_value(&self.initial)?)
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let genotype = Genotype::random(&mut seed::rng(seed));
        Ok(serde_json::to_value(Darts { genotype, ..self.initial.clone() })?)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let mut darts = Self::parse(spec)?;
        let mut rng = seed::rng(seed);
        for _ in 0..strength {
            darts.genotype.mutate(&mut rng);
        }
        Ok(serde_json::to_value(darts)?)
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        Ok(Self::parse(spec)?.build(geometry)?.into_graph())
    }

    /// `official.params` and `official.macs`, as the published code counts: without the auxiliary
    /// head, and with modules whose value nothing reads.
    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(official(&Self::parse(spec)?.build(geometry)?))
    }

    /// Reads a genotype, as Python prints it or as JSON; everything else is as configured.
    fn import(&self, format: &str, text: &str) -> PluginResult<Spec> {
        if !matches!(format, "genotype" | "json") {
            return Err(SpaceError::Format { found: format.to_owned(), known: FORMATS }.into());
        }
        Ok(serde_json::to_value(Darts { genotype: genotype(text)?, ..self.initial.clone() })?)
    }

    /// Writes the genotype: `genotype` as Python prints it, `json` as JSON.
    fn export(&self, format: &str, spec: &Spec) -> PluginResult<String> {
        let genotype = Self::parse(spec)?.genotype;
        match format {
            "genotype" => Ok(genotype.to_string()),
            "json" => Ok(serde_json::to_string(&genotype)?),
            _ => Err(SpaceError::Format { found: format.to_owned(), known: FORMATS }.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GEOMETRY: Geometry = Geometry { input: [3, 32, 32], outputs: 10 };

    fn space(config: serde_json::Value) -> DartsSpace {
        DartsSpace::create(serde_json::from_value(config).unwrap()).unwrap()
    }

    #[test]
    fn published_networks_have_their_published_counts() {
        let cifar = space(json!({"channels": 36, "layers": 20}));
        let spec = cifar.initial().unwrap();
        assert_eq!(cifar.graph(&spec, &GEOMETRY).unwrap().costs().unwrap().params, 3_603_358);
        assert_eq!(cifar.counters(&spec, &GEOMETRY).unwrap()["official.macs"], 558_218_880.0);
    }

    #[test]
    fn samples_and_mutations_keep_the_stacking() {
        let space = space(json!({"channels": 4, "layers": 3, "drop_path": 0.1}));
        let first = space.sample(1).unwrap();
        assert_eq!(first, space.sample(1).unwrap());
        assert_ne!(first, space.sample(2).unwrap());
        let changed = space.mutate(&first, 3, 7).unwrap();
        assert_ne!(changed["genotype"], first["genotype"]);
        for spec in [&first, &changed] {
            assert_eq!((&spec["channels"], &spec["drop_path"]), (&json!(4), &json!(0.1)));
            space.graph(spec, &GEOMETRY).unwrap();
        }
        assert_eq!(space.mutate(&first, 0, 7).unwrap(), first);
    }

    #[test]
    fn genotypes_are_read_and_written_in_both_forms() {
        let space = space(json!({"channels": 4, "layers": 3}));
        let spec = space.sample(5).unwrap();
        for format in ["genotype", "json"] {
            let text = space.export(format, &spec).unwrap();
            assert_eq!(space.import(format, &text).unwrap(), spec);
            let named = DartsSpace::create(DartsConfig {
                genotype: text,
                channels: 4,
                layers: 3,
                ..DartsConfig::default()
            });
            assert_eq!(named.unwrap().initial().unwrap(), spec);
        }
        assert!(
            space.export("onnx", &spec).unwrap_err().to_string().contains("there is `genotype` and `json`")
        );
        assert!(space.import("onnx", "").is_err());
    }

    #[test]
    fn wrong_genotypes_and_specs_are_refused_with_a_hint() {
        let config = |genotype: &str| DartsConfig { genotype: genotype.to_owned(), ..DartsConfig::default() };
        let error = DartsSpace::create(config("darts-v3")).unwrap_err().to_string();
        assert!(error.contains("did you mean `darts-v1`?"), "{error}");
        let error = DartsSpace::create(config("{\"normal\": []}")).unwrap_err().to_string();
        assert!(error.contains("missing field `reduce`"), "{error}");
        let space = space(json!({}));
        for spec in [
            json!([]),
            json!({}),
            json!({"genotype": {"normal": [], "reduce": []}, "channels": 1, "layers": 1}),
        ] {
            let error = space.graph(&spec, &GEOMETRY).unwrap_err().to_string();
            assert!(error.starts_with("not a structure of `darts`"), "{error}");
        }
    }
}
