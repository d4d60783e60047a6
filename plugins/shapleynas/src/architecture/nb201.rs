//! The component `nb201`.

use nashost_cells::{CellStructure, Nb201};
use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    graph::Graph,
    seed,
};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{SpaceError, official};

/// The only format of [`Architecture::import`] and [`Architecture::export`].
const FORMAT: &str = "nb201";

/// What users write for `nb201`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nb201Config {
    /// The cell to start from, in the benchmark's words.
    pub cell: CellStructure,
    /// Channels of the first stage; each further one has twice as many. The benchmark has 16.
    #[schemars(range(min = 1, max = 4096))]
    pub channels: usize,
    /// Cells of each of the three stages. The benchmark has 5.
    #[schemars(range(min = 1, max = 100))]
    pub cells: usize,
}

impl Default for Nb201Config {
    /// The skeleton of the benchmark, with a 3×3 convolution on every edge.
    fn default() -> Self {
        let cell = CellStructure([nashost_cells::Nb201Op::Conv3x3; 6]);
        Self { cell, channels: 16, cells: 5 }
    }
}

/// The space of NAS-Bench-201: 15,625 cells.
#[derive(Debug, Clone)]
pub struct Nb201Space {
    initial: Nb201,
}

impl Nb201Space {
    fn parse(spec: &Spec) -> Result<Nb201, SpaceError> {
        Nb201::deserialize(spec).map_err(|error| SpaceError::Spec { space: Self::ID, why: error.to_string() })
    }
}

fn check(format: &str) -> Result<(), SpaceError> {
    if format == FORMAT {
        Ok(())
    } else {
        Err(SpaceError::Format { found: format.to_owned(), known: FORMAT })
    }
}

impl Component for Nb201Space {
    const ID: &'static str = "nb201";
    const DESCRIPTION: &'static str = "Networks of NAS-Bench-201: one cell of four nodes, in three stages.";
    type Config = Nb201Config;

    fn create(config: Nb201Config) -> PluginResult<Self> {
        let Nb201Config { cell, channels, cells } = config;
        Ok(Self { initial: Nb201 { cell, channels, cells } })
    }
}

impl Architecture for Nb201Space {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo {
            spec_schema: schema_for!(Nb201).to_value(),
            searchable: true,
            source: "Dong and Yang, NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture \
                     Search, ICLR 2020, code D-X-Y/AutoDL-Projects"
                .into(),
        }
    }

    fn initial(&self) -> PluginResult<Spec> {
        Ok(serde_json::to_value(self.initial)?)
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let cell = CellStructure::random(&mut seed::rng(seed));
        Ok(serde_json::to_value(Nb201 { cell, ..self.initial })?)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        let mut network = Self::parse(spec)?;
        let mut rng = seed::rng(seed);
        for _ in 0..strength {
            network.cell.mutate(&mut rng);
        }
        Ok(serde_json::to_value(network)?)
    }

    /// Modules whose value nothing reads are left out.
    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        Ok(Self::parse(spec)?.build(geometry)?.into_graph())
    }

    /// `official.params` and `official.macs`, as the benchmark counts: with all modules.
    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        Ok(official(&Self::parse(spec)?.build(geometry)?))
    }

    fn import(&self, format: &str, text: &str) -> PluginResult<Spec> {
        check(format)?;
        Ok(serde_json::to_value(Nb201 { cell: text.parse()?, ..self.initial })?)
    }

    fn export(&self, format: &str, spec: &Spec) -> PluginResult<String> {
        check(format)?;
        Ok(Self::parse(spec)?.cell.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_space_is_searched_and_counted_as_the_benchmark() {
        let cell =
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
        let space = Nb201Space::create(serde_json::from_value(json!({"cell": cell})).unwrap()).unwrap();
        let geometry = Geometry { input: [3, 32, 32], outputs: 10 };
        let spec = space.initial().unwrap();
        assert_eq!(space.counters(&spec, &geometry).unwrap()["official.params"], 1_288_506.0);
        let changed = space.mutate(&spec, 2, 3).unwrap();
        assert_ne!(changed, spec);
        space.graph(&changed, &geometry).unwrap();
        assert_eq!(space.sample(4).unwrap(), space.sample(4).unwrap());
        assert_eq!(space.import("nb201", &space.export("nb201", &changed).unwrap()).unwrap(), changed);
        assert!(space.import("genotype", cell).is_err());
        assert!(space.import("nb201", "|none~0|").is_err());
        assert!(space.graph(&json!({"cell": "x"}), &geometry).is_err());
        assert!(serde_json::from_value::<Nb201Config>(json!({"cell": "x"})).is_err());
    }
}
