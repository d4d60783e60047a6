//! Typed wrappers: the tables of a live component as methods.

use std::collections::BTreeMap;

use abi_stable::std_types::{RSlice, RString};

use super::{CallError, CallErrorKind, Instance, instance::decode, search_context};
use crate::{
    abi::ext::{
        ARCHITECTURE_METRIC_V1, ARCHITECTURE_V1, ArchitectureMetricV1, ArchitectureV1, DATASET_V1, DatasetV1,
        PREDICTION_METRIC_V1, PixelBuffer, PredictionBuffer, PredictionMetricV1, STRATEGY_V1, StrategyV1,
    },
    architecture::{ArchitectureInfo, Counters, Geometry, Spec},
    dataset::{DatasetInfo, PixelType, Pixels, Record},
    graph::Graph,
    metric::{ArchitectureMetricInfo, Candidate, MetricReport, OutputInfo, Predictions, Score, ScoreContext},
    strategy::{Outcome, Request, SearchContext, SearchResult, StrategyInfo},
};

/// Result of a call into a plugin.
type Called<T> = Result<T, CallError>;

macro_rules! foreign {
    ($(#[$doc:meta])* $name:ident, $table:ty, $extension:expr) => {
        $(#[$doc])*
        ///
        /// Every method fails with [`CallError`] if the plugin fails, panics or answers nonsense.
        pub struct $name {
            instance: Instance,
            table: &'static $table,
        }

        impl $name {
            /// Wraps a live component.
            ///
            /// # Errors
            ///
            /// Fails if the component is of another kind.
            pub fn new(instance: Instance) -> Called<Self> {
                // SAFETY: the contract fixes this table for this extension id.
                let table = unsafe { instance.table::<$table>($extension) }?;
                Ok(Self { instance, table })
            }

            /// Component id.
            pub fn id(&self) -> &str {
                self.instance.id()
            }

            /// The live component, for extensions beyond its kind.
            pub fn instance(&self) -> &Instance {
                &self.instance
            }
        }
    };
}

/// Calls one function of the table and decodes its JSON answer.
macro_rules! json {
    ($self:ident.$function:ident, $what:literal $(, $arg:expr)*) => {
        // SAFETY: the table belongs to this live instance.
        decode($self.id(), $what, unsafe { ($self.table.$function)($self.instance.this() $(, $arg)*) })
    };
}

/// Calls one function of the table whose answer is not JSON.
macro_rules! plain {
    ($self:ident.$function:ident, $what:literal $(, $arg:expr)*) => {
        // SAFETY: the table belongs to this live instance.
        unsafe { ($self.table.$function)($self.instance.this() $(, $arg)*) }
            .into_result()
            .map_err(|e| CallError::from_ffi($self.id(), $what, e))
    };
}

foreign! {
    /// A search strategy in a plugin.
    ForeignStrategy, StrategyV1, STRATEGY_V1
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl ForeignStrategy {
    /// See [`Strategy::describe`](crate::strategy::Strategy::describe).
    pub fn describe(&self) -> Called<StrategyInfo> {
        json!(self.describe, "describe itself")
    }

    /// See [`Strategy::ask`](crate::strategy::Strategy::ask).
    pub fn ask(&mut self, context: &dyn SearchContext, n: u32) -> Called<Vec<Request>> {
        let table = search_context::table(&context);
        json!(self.ask, "propose structures", &raw const table, n)
    }

    /// See [`Strategy::tell`](crate::strategy::Strategy::tell).
    pub fn tell(&mut self, outcomes: &[Outcome]) -> Called<()> {
        let text = self.instance.encode("take outcomes", outcomes)?;
        plain!(self.tell, "take outcomes", text.as_str().into())
    }

    /// See [`Strategy::checkpoint`](crate::strategy::Strategy::checkpoint).
    pub fn checkpoint(&self) -> Called<Vec<u8>> {
        Ok(plain!(self.checkpoint, "save its state")?.into_vec())
    }

    /// See [`Strategy::restore`](crate::strategy::Strategy::restore).
    pub fn restore(&mut self, state: &[u8]) -> Called<()> {
        plain!(self.restore, "restore its state", RSlice::from_slice(state))
    }

    /// See [`Strategy::result`](crate::strategy::Strategy::result).
    pub fn result(&self) -> Called<SearchResult> {
        json!(self.result, "give its result")
    }
}

foreign! {
    /// An architecture in a plugin.
    ForeignArchitecture, ArchitectureV1, ARCHITECTURE_V1
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl ForeignArchitecture {
    /// See [`Architecture::describe`](crate::architecture::Architecture::describe).
    pub fn describe(&self) -> Called<ArchitectureInfo> {
        json!(self.describe, "describe itself")
    }

    /// See [`Architecture::initial`](crate::architecture::Architecture::initial).
    pub fn initial(&self) -> Called<Spec> {
        json!(self.initial, "give its first structure")
    }

    /// See [`Architecture::sample`](crate::architecture::Architecture::sample).
    pub fn sample(&self, seed: u64) -> Called<Spec> {
        json!(self.sample, "draw a structure", seed)
    }

    /// See [`Architecture::mutate`](crate::architecture::Architecture::mutate).
    pub fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> Called<Spec> {
        let spec = spec.to_string();
        json!(self.mutate, "change a structure", spec.as_str().into(), strength, seed)
    }

    /// See [`Architecture::graph`](crate::architecture::Architecture::graph).
    pub fn graph(&self, spec: &Spec, geometry: &Geometry) -> Called<Graph> {
        let (spec, geometry) = (spec.to_string(), self.instance.encode("build a network", geometry)?);
        json!(self.graph, "build a network", spec.as_str().into(), geometry.as_str().into())
    }

    /// See [`Architecture::counters`](crate::architecture::Architecture::counters).
    pub fn counters(&self, spec: &Spec, geometry: &Geometry) -> Called<Counters> {
        let (spec, geometry) = (spec.to_string(), self.instance.encode("count a structure", geometry)?);
        json!(self.counters, "count a structure", spec.as_str().into(), geometry.as_str().into())
    }

    /// See [`Architecture::mutate_text`](crate::architecture::Architecture::mutate_text).
    pub fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> Called<String> {
        let text = plain!(self.mutate, "change a structure", spec.into(), strength, seed)?;
        Ok(text.into_string())
    }

    /// See [`Architecture::counters_text`](crate::architecture::Architecture::counters_text).
    pub fn counters_text(&self, spec: &str, geometry: &Geometry) -> Called<Counters> {
        let geometry = self.instance.encode("count a structure", geometry)?;
        json!(self.counters, "count a structure", spec.into(), geometry.as_str().into())
    }

    /// See [`Architecture::import`](crate::architecture::Architecture::import).
    pub fn import(&self, format: &str, text: &str) -> Called<Spec> {
        json!(self.import, "read a structure", format.into(), text.into())
    }

    /// See [`Architecture::export`](crate::architecture::Architecture::export).
    pub fn export(&self, format: &str, spec: &Spec) -> Called<String> {
        let spec = spec.to_string();
        let text: RString = plain!(self.export, "write a structure", format.into(), spec.as_str().into())?;
        Ok(text.into_string())
    }

    /// See [`Architecture::pretrained_names`](crate::architecture::Architecture::pretrained_names).
    pub fn pretrained_names(&self, spec: &Spec) -> Called<BTreeMap<String, Option<String>>> {
        let spec = spec.to_string();
        json!(self.pretrained_names, "map checkpoint names", spec.as_str().into())
    }
}

foreign! {
    /// A dataset in a plugin.
    ForeignDataset, DatasetV1, DATASET_V1
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl ForeignDataset {
    /// See [`Dataset::describe`](crate::dataset::Dataset::describe).
    pub fn describe(&self) -> Called<DatasetInfo> {
        json!(self.describe, "describe itself")
    }

    /// See [`Dataset::records`](crate::dataset::Dataset::records).
    pub fn records(&self) -> Called<Vec<Record>> {
        json!(self.records, "list its images")
    }

    /// See [`Dataset::stamp`](crate::dataset::Dataset::stamp).
    pub fn stamp(&self) -> Called<String> {
        let text: RString = plain!(self.stamp, "stamp its images")?;
        Ok(text.into_string())
    }

    /// See [`Dataset::pixels`](crate::dataset::Dataset::pixels).
    pub fn pixels(&self, index: usize) -> Called<Pixels> {
        let buffer = plain!(self.pixels, "read an image", index as u64)?;
        self.image(buffer)?.ok_or_else(|| {
            CallError::new(self.id(), "read an image", CallErrorKind::Malformed, "the image has no rows")
        })
    }

    /// See [`Dataset::mask`](crate::dataset::Dataset::mask).
    pub fn mask(&self, index: usize, label: usize) -> Called<Option<Pixels>> {
        let buffer = plain!(self.mask, "read a mask", index as u64, label as u64)?;
        self.image(buffer)
    }

    fn image(&self, buffer: PixelBuffer) -> Called<Option<Pixels>> {
        if buffer.height == 0 {
            return Ok(None);
        }
        let malformed =
            |why: String| CallError::new(self.id(), "read an image", CallErrorKind::Malformed, why);
        let dtype = match buffer.value_size {
            1 => PixelType::U8,
            2 => PixelType::U16,
            other => return Err(malformed(format!("values of {other} bytes"))),
        };
        let (height, width, channels) =
            (buffer.height as usize, buffer.width as usize, buffer.channels as usize);
        let expected = height
            .checked_mul(width)
            .and_then(|n| n.checked_mul(channels))
            .and_then(|n| n.checked_mul(dtype.size()));
        if expected != Some(buffer.data.len()) {
            let len = buffer.data.len();
            return Err(malformed(format!(
                "{len} bytes for {height}×{width}×{channels} values of {dtype:?}"
            )));
        }
        Ok(Some(Pixels { height, width, channels, dtype, data: buffer.data.into_vec() }))
    }
}

foreign! {
    /// A prediction metric in a plugin.
    ForeignPredictionMetric, PredictionMetricV1, PREDICTION_METRIC_V1
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl ForeignPredictionMetric {
    /// See [`PredictionMetric::outputs`](crate::metric::PredictionMetric::outputs).
    pub fn outputs(&self) -> Called<Vec<OutputInfo>> {
        json!(self.outputs, "list its outputs")
    }

    /// See [`PredictionMetric::evaluate`](crate::metric::PredictionMetric::evaluate).
    pub fn evaluate(&self, predictions: &Predictions<'_>) -> Called<MetricReport> {
        let cells = predictions.len() * predictions.labels;
        if predictions.scores.len() != cells
            || predictions.targets.len() != cells
            || predictions.thresholds.len() != predictions.labels
        {
            let why = format!(
                "{} scores, {} targets and {} thresholds for {} labels",
                predictions.scores.len(),
                predictions.targets.len(),
                predictions.thresholds.len(),
                predictions.labels
            );
            return Err(CallError::new(self.id(), "evaluate predictions", CallErrorKind::Malformed, why));
        }
        let codes: Vec<i8> = predictions.targets.iter().map(|t| t.code()).collect();
        let buffer = PredictionBuffer {
            labels: predictions.labels as u64,
            images: predictions.len() as u64,
            scores: predictions.scores.as_ptr(),
            targets: codes.as_ptr(),
            thresholds: predictions.thresholds.as_ptr(),
        };
        json!(self.evaluate, "evaluate predictions", &raw const buffer)
    }
}

foreign! {
    /// An architecture metric in a plugin.
    ForeignArchitectureMetric, ArchitectureMetricV1, ARCHITECTURE_METRIC_V1
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl ForeignArchitectureMetric {
    /// See [`ArchitectureMetric::describe`](crate::metric::ArchitectureMetric::describe).
    pub fn describe(&self) -> Called<ArchitectureMetricInfo> {
        json!(self.describe, "describe itself")
    }

    /// See [`ArchitectureMetric::score`](crate::metric::ArchitectureMetric::score).
    pub fn score(&self, candidates: &[Candidate], context: &ScoreContext) -> Called<Vec<Score>> {
        let texts = (
            self.instance.encode("score structures", candidates)?,
            self.instance.encode("score structures", context)?,
        );
        let scores: Vec<Score> =
            json!(self.score, "score structures", texts.0.as_str().into(), texts.1.as_str().into())?;
        if scores.len() != candidates.len() {
            let why = format!("{} scores for {} structures", scores.len(), candidates.len());
            return Err(CallError::new(self.id(), "score structures", CallErrorKind::Malformed, why));
        }
        Ok(scores)
    }
}
