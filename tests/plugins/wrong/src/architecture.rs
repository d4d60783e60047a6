//! A search space that can go wrong.

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    graph::{Graph, GraphBuilder, INPUT, Window},
    seed::derive_seed,
};
use serde_json::json;

use crate::{Config, never_the_same, of_this_thread};

/// One convolution of 1 to 16 channels.
#[derive(Debug)]
pub struct WrongArchitecture(Config);

impl Component for WrongArchitecture {
    const ID: &'static str = "wrong-architecture";
    const DESCRIPTION: &'static str = "A space that can go wrong.";
    type Config = Config;

    fn create(config: Config) -> PluginResult<Self> {
        Ok(Self(config))
    }
}

impl WrongArchitecture {
    fn width(&self, spec: &Spec) -> PluginResult<usize> {
        if self.0.is("nonsense") {
            return Ok(spec.as_u64().expect("specs are numbers") as usize);
        }
        let width = spec.as_u64().filter(|width| (1..=16).contains(width));
        Ok(width.ok_or("a structure is a number from 1 to 16")? as usize)
    }
}

impl Architecture for WrongArchitecture {
    fn describe(&self) -> ArchitectureInfo {
        let source = if self.0.is("describe") { never_the_same().to_string() } else { String::new() };
        ArchitectureInfo { spec_schema: json!({"type": "integer"}), searchable: true, source }
    }

    fn initial(&self) -> PluginResult<Spec> {
        self.0.enter();
        Ok(json!(1))
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let seed = if self.0.is("seed") { never_the_same() } else { seed };
        Ok(json!(1 + derive_seed(seed, "width") % 16))
    }

    fn mutate(&self, spec: &Spec, _: u32, seed: u64) -> PluginResult<Spec> {
        let width = self.width(spec)? as u64;
        Ok(json!(1 + (width + derive_seed(seed, "mutate")) % 16))
    }

    fn graph(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        let mut width = self.width(spec)?;
        if self.0.is("threads") {
            width += of_this_thread() as usize % 1000;
        }
        let outputs = geometry.outputs + usize::from(self.0.is("graphs"));
        let mut g = GraphBuilder::new(geometry.input);
        let x = g.conv("conv", INPUT, width, Window::square(3, 1), 1, false);
        let x = g.relu("relu", &x);
        let pooled = g.global_average_pool("pool", &x);
        let flat = g.flatten("flatten", &pooled);
        let logits = g.gemm("fc", &flat, outputs, true);
        Ok(g.finish(&logits, &x)?)
    }

    fn counters(&self, spec: &Spec, geometry: &Geometry) -> PluginResult<Counters> {
        let params = self.graph(spec, geometry)?.costs()?.params + u64::from(self.0.is("counters"));
        Ok([("params".to_owned(), params as f64)].into())
    }
}
