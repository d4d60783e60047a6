//! Architectures: specs in, graphs out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    component::{Component, PluginResult},
    graph::Graph,
};

/// A structure, as its space writes it: small JSON.
pub type Spec = serde_json::Value;

/// What an architecture says of itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ArchitectureInfo {
    /// JSON Schema of a spec.
    pub spec_schema: serde_json::Value,
    /// Whether [`Architecture::sample`] and [`Architecture::mutate`] do something.
    pub searchable: bool,
    /// Where the space or network was published.
    pub source: String,
}

/// Input and output sizes of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Geometry {
    /// Channels, height, width.
    pub input: [usize; 3],
    /// Number of labels.
    pub outputs: usize,
}

/// Counters under the names and conventions of a published code (`official.params`, …), for
/// comparisons and published budgets. The exact counts come from the graph.
pub type Counters = BTreeMap<String, f64>;

/// Reads the JSON text of a spec.
pub(crate) fn read_spec(text: &str) -> PluginResult<Spec> {
    serde_json::from_str(text).map_err(|error| format!("malformed spec: {error}").into())
}

/// A space of networks, or a single one. Every method is deterministic in its arguments and may
/// be called from any thread at any time.
///
/// ```
/// use nashost_plugin_api::{
///     architecture::{Architecture, ArchitectureInfo, Geometry, Spec},
///     component::{Component, PluginResult},
///     graph::{Graph, GraphBuilder, INPUT, Window},
///     seed::derive_seed,
///     testing,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {}
///
/// /// One convolution of 1 to 64 channels.
/// struct Widths;
///
/// /// What stands in records and files.
/// #[derive(Serialize, Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// struct Structure {
///     width: usize,
/// }
///
/// impl Widths {
///     fn drawn(seed: u64) -> PluginResult<Spec> {
///         let width = 1 + (derive_seed(seed, "width") % 64) as usize;
///         Ok(serde_json::to_value(Structure { width })?)
///     }
///
///     fn read(spec: &Spec) -> PluginResult<usize> {
///         match Structure::deserialize(spec)?.width {
///             width @ 1..=64 => Ok(width),
///             width => Err(format!("{width} channels, where 1 to 64 are possible").into()),
///         }
///     }
/// }
///
/// impl Component for Widths {
///     const ID: &'static str = "widths";
///     const DESCRIPTION: &'static str = "Networks of one convolution.";
///     type Config = Config;
///
///     fn create(_: Config) -> PluginResult<Self> {
///         Ok(Self)
///     }
/// }
///
/// impl Architecture for Widths {
///     fn describe(&self) -> ArchitectureInfo {
///         let spec_schema = schemars::schema_for!(Structure).to_value();
///         ArchitectureInfo { spec_schema, searchable: true, source: "an example".to_owned() }
///     }
///
///     fn initial(&self) -> PluginResult<Spec> {
///         Ok(serde_json::to_value(Structure { width: 8 })?)
///     }
///
///     fn sample(&self, seed: u64) -> PluginResult<Spec> {
///         Self::drawn(seed)
///     }
///
///     fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
///         Self::read(spec)?;
///         if strength == 0 { Ok(spec.clone()) } else { Self::drawn(seed) }
///     }
///
///     fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
///         let mut g = GraphBuilder::new(geometry.input);
///         let x = g.conv("conv", INPUT, Self::read(spec)?, Window::square(3, 2), 1, true);
///         let x = g.relu("relu", &x);
///         let pooled = g.global_average_pool("pool", &x);
///         let flat = g.flatten("flatten", &pooled);
///         let logits = g.gemm("fc", &flat, geometry.outputs, true);
///         Ok(g.finish(&logits, &x)?)
///     }
/// }
///
/// testing::architecture::<Widths>(serde_json::json!({})).assert_passed();
/// ```
pub trait Architecture: Component + Send + Sync {
    /// Describes the space.
    fn describe(&self) -> ArchitectureInfo;

    /// Returns the spec that the configuration names or the space starts from.
    ///
    /// # Errors
    ///
    /// Fails if there is no sensible start.
    fn initial(&self) -> PluginResult<Spec>;

    /// Draws a spec.
    ///
    /// # Errors
    ///
    /// Fails if the space cannot be sampled.
    fn sample(&self, seed: u64) -> PluginResult<Spec>;

    /// Changes `spec` in `strength` places (as the space defines them).
    ///
    /// # Errors
    ///
    /// Fails if `spec` is not of this space.
    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec>;

    /// Returns the network of `spec`.
    ///
    /// # Errors
    ///
    /// Fails if `spec` is not of this space or does not fit `geometry`.
    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph>;

    /// Counts as a published code counts; empty where there is none.
    ///
    /// A space that needs no graph to count exactly may also answer `params`, `macs` and `layers`,
    /// so that searches under such budgets build no graphs. They must equal the graph's costs; the
    /// host compares them on the first structure.
    ///
    /// # Errors
    ///
    /// Fails if `spec` is not of this space.
    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        let _ = (spec, geometry);
        Ok(Counters::new())
    }

    /// Does as [`Architecture::mutate`], from the JSON text of a spec to that of another.
    ///
    /// This is the form in which specs cross the boundary. A search makes hundreds of thousands of
    /// mutations; a space may override this to read and write its structures without a detour.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a spec of this space.
    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        Ok(self.mutate(&read_spec(spec)?, strength, seed)?.to_string())
    }

    /// Does as [`Architecture::counters`], from the JSON text of a spec; the same remark.
    ///
    /// # Errors
    ///
    /// Fails if the text is not a spec of this space.
    fn counters_text(&self, spec: &str, geometry: &Geometry) -> PluginResult<Counters> {
        self.counters(&read_spec(spec)?, geometry)
    }

    /// Reads a structure in a published text form (`plainnet`, …).
    ///
    /// # Errors
    ///
    /// Fails if the format is unknown or the text is wrong.
    fn import(&self, format: &str, text: &str) -> PluginResult<Spec> {
        let _ = text;
        Err(format!("unknown structure format `{format}`").into())
    }

    /// Writes a structure in a published text form.
    ///
    /// # Errors
    ///
    /// Fails if the format is unknown or cannot express `spec`.
    fn export(&self, format: &str, spec: &Spec) -> PluginResult<String> {
        let _ = spec;
        Err(format!("unknown structure format `{format}`").into())
    }

    /// Maps the tensor names of a published checkpoint to those of the graph, where they differ;
    /// names that are not listed stay. `None` drops a tensor (a classifier for other labels).
    ///
    /// # Errors
    ///
    /// Fails if `spec` has no published checkpoint.
    fn pretrained_names(&self, spec: &Spec) -> PluginResult<BTreeMap<String, Option<String>>> {
        let _ = spec;
        Ok(BTreeMap::new())
    }
}
