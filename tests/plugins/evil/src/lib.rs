//! A plugin whose functions panic, fail or wait on request, for tests of the boundary.

use nashost_plugin_api::{
    architecture::{Architecture, ArchitectureInfo, Counters, Geometry, Spec},
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record, Target},
    graph::{Graph, GraphBuilder},
    metric::{
        ArchitectureMetric, ArchitectureMetricInfo, Candidate, Direction, MetricReport, OutputInfo,
        PredictionMetric, Predictions, Score, ScoreContext,
    },
    sdk,
    strategy::{Outcome, Request, SearchContext, SearchResult, Strategy, StrategyInfo},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What goes wrong, and where.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Function that panics.
    panic_in: String,
    /// Function that returns an error with a cause.
    fail_in: String,
    /// Panics when it is destroyed.
    panic_in_drop: bool,
    /// Waits in `ask`, and tells of progress, until the host wants it to stop.
    wait_for_cancel: bool,
    /// Function in which a worker process comes to an end; a driver does not.
    die_in: String,
    /// How it ends.
    death: Death,
}

/// How a process ends.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Death {
    /// It writes where it may not.
    #[default]
    Segfault,
    /// It allocates without bound.
    Allocate,
    /// It does nothing any more.
    Hang,
    /// It writes nonsense to every pipe that it has.
    Garbage,
}

impl Death {
    fn come(self) {
        match self {
            Self::Segfault => {
                // SAFETY: there is none. Writing through a null pointer is the point of this plugin.
                unsafe { std::ptr::null_mut::<u8>().write_volatile(1) }
            }
            Self::Allocate => {
                let mut memory = Vec::new();
                loop {
                    memory.push(vec![1_u8; 16 << 20]);
                    std::hint::black_box(&memory);
                }
            }
            Self::Hang => loop {
                std::thread::park();
            },
            Self::Garbage => {
                for descriptor in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
                    let is_pipe = std::fs::read_link(descriptor.path())
                        .is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"));
                    if is_pipe {
                        // Reading ends refuse.
                        let _ = std::fs::write(descriptor.path(), "this is no JSON\n");
                    }
                }
            }
        }
    }
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this was asked for")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

impl Config {
    fn enter(&self, function: &str) -> PluginResult<()> {
        let _span = tracing::info_span!("evil", function).entered();
        tracing::info!(answer = 42, "entering {function}");
        assert!(self.panic_in != function, "told to panic in {function}");
        if self.die_in == function && std::env::args().any(|word| word == "worker") {
            tracing::warn!("a worker is about to end in {function}");
            self.death.come();
        }
        if self.fail_in == function {
            return Err("x".parse::<i32>().map_err(Outer).map(drop).expect_err("`x` is no number").into());
        }
        Ok(())
    }
}

macro_rules! component {
    ($name:ident, $id:literal) => {
        #[doc = concat!("The component `", $id, "`.")]
        pub struct $name(Config);

        impl Component for $name {
            const ID: &'static str = $id;
            const DESCRIPTION: &'static str = "Misbehaves on request.";
            type Config = Config;

            fn create(config: Config) -> PluginResult<Self> {
                config.enter("create")?;
                Ok(Self(config))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                assert!(!self.0.panic_in_drop, "told to panic in drop");
            }
        }
    };
}

component!(EvilStrategy, "evil-strategy");
component!(EvilArchitecture, "evil-architecture");
component!(EvilDataset, "evil-dataset");
component!(EvilPredictionMetric, "evil-prediction-metric");
component!(EvilArchitectureMetric, "evil-architecture-metric");

impl Strategy for EvilStrategy {
    fn describe(&self) -> StrategyInfo {
        StrategyInfo { lag: 1, ..StrategyInfo::default() }
    }

    fn ask(&mut self, context: &dyn SearchContext, _: u32) -> PluginResult<Vec<Request>> {
        self.0.enter("ask")?;
        if self.0.wait_for_cancel {
            loop {
                if let Err(cancelled) = sdk::check_cancelled() {
                    tracing::warn!("asked to stop in ask");
                    return Err(cancelled.into());
                }
                sdk::progress(0, 0);
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        let spec = context.mutate(&context.initial()?, 1, context.seed())?;
        Ok(vec![Request::Score { id: 0, spec, origin: String::new() }])
    }

    fn tell(&mut self, _: &[Outcome]) -> PluginResult<()> {
        self.0.enter("tell")
    }

    fn checkpoint(&self) -> PluginResult<Vec<u8>> {
        self.0.enter("checkpoint")?;
        Ok(vec![1, 2, 3])
    }

    fn restore(&mut self, state: &[u8]) -> PluginResult<()> {
        self.0.enter("restore")?;
        if state == [1, 2, 3] { Ok(()) } else { Err("another state".into()) }
    }

    fn result(&self) -> PluginResult<SearchResult> {
        self.0.enter("result")?;
        Ok(SearchResult::default())
    }
}

impl Architecture for EvilArchitecture {
    fn describe(&self) -> ArchitectureInfo {
        ArchitectureInfo::default()
    }

    fn initial(&self) -> PluginResult<Spec> {
        self.0.enter("initial")?;
        Ok(serde_json::json!({"width": 4}))
    }

    fn sample(&self, _: u64) -> PluginResult<Spec> {
        self.0.enter("sample")?;
        self.initial()
    }

    fn mutate(&self, spec: &Spec, _: u32, _: u64) -> PluginResult<Spec> {
        self.0.enter("mutate")?;
        Ok(spec.clone())
    }

    fn graph(&self, _: &Spec, geometry: &Geometry) -> PluginResult<Graph> {
        self.0.enter("graph")?;
        let mut builder = GraphBuilder::new(geometry.input);
        let features = builder.relu("relu", nashost_plugin_api::graph::INPUT);
        let pooled = builder.global_average_pool("pool", &features);
        let flat = builder.flatten("flatten", &pooled);
        let output = builder.gemm("fc", &flat, geometry.outputs, true);
        Ok(builder.finish(&output, &features)?)
    }

    fn counters(&self, _: &Spec, _: &Geometry) -> PluginResult<Counters> {
        self.0.enter("counters")?;
        Ok(Counters::new())
    }
}

impl Dataset for EvilDataset {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        self.0.enter("describe")?;
        Ok(DatasetInfo {
            labels: vec!["a".to_owned()],
            normal_label: None,
            channels: 1,
            source: String::new(),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        self.0.enter("records")?;
        let record = |n: usize| Record {
            id: format!("image-{n}"),
            group: format!("patient-{n}"),
            split: None,
            targets: vec![if n.is_multiple_of(2) { Target::Positive } else { Target::Negative }],
            attributes: Default::default(),
        };
        Ok((0..20).map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        self.0.enter("stamp")?;
        Ok("evil".to_owned())
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        self.0.enter("pixels")?;
        Ok(Pixels { height: 2, width: 3, channels: 1, dtype: PixelType::U8, data: vec![index as u8; 6] })
    }

    fn mask(&self, _: usize, _: usize) -> PluginResult<Option<Pixels>> {
        self.0.enter("mask")?;
        Ok(None)
    }
}

impl PredictionMetric for EvilPredictionMetric {
    fn outputs(&self) -> Vec<OutputInfo> {
        Vec::new()
    }

    fn evaluate(&self, _: &Predictions<'_>) -> PluginResult<MetricReport> {
        self.0.enter("evaluate")?;
        Ok(MetricReport::default())
    }
}

impl ArchitectureMetric for EvilArchitectureMetric {
    fn describe(&self) -> ArchitectureMetricInfo {
        ArchitectureMetricInfo { direction: Direction::Higher, unit: String::new(), parallel: true }
    }

    fn score(&self, _: &[Candidate], _: &ScoreContext) -> PluginResult<Vec<Score>> {
        self.0.enter("score")?;
        Ok(Vec::new())
    }
}

nashost_plugin_api::register!(strategy: EvilStrategy);
nashost_plugin_api::register!(architecture: EvilArchitecture);
nashost_plugin_api::register!(dataset: EvilDataset);
nashost_plugin_api::register!(prediction_metric: EvilPredictionMetric);
nashost_plugin_api::register!(architecture_metric: EvilArchitectureMetric);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
