//! Layer 2, plugin to host: extension tables, found by id. A released table never changes; new
//! abilities get new ids.
//!
//! Unless said otherwise a function may be called from any thread at any time, strings are JSON of
//! the types named, and `this` is the pointer of the instance that answered the query.

use std::ffi::c_void;

use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};

use super::error::FfiError;

/// Id of [`StrategyV1`].
pub const STRATEGY_V1: &str = "nashost.strategy.v1";
/// Id of [`ArchitectureV1`].
pub const ARCHITECTURE_V1: &str = "nashost.architecture.v1";
/// Id of [`DatasetV1`].
pub const DATASET_V1: &str = "nashost.dataset.v1";
/// Id of [`PredictionMetricV1`].
pub const PREDICTION_METRIC_V1: &str = "nashost.prediction_metric.v1";
/// Id of [`ArchitectureMetricV1`].
pub const ARCHITECTURE_METRIC_V1: &str = "nashost.architecture_metric.v1";

/// The instance.
pub type This = *mut c_void;
/// Answer in JSON.
pub type Json = RResult<RString, FfiError>;
/// Answer without a value.
pub type Done = RResult<(), FfiError>;
/// Any other answer.
pub type Answer<T> = RResult<T, FfiError>;
/// A text that is lent for one call.
pub type Text<'a> = RStr<'a>;

/// The host's side of a search as the first release has it, valid for one call of `ask`. ABI-FROZEN.
#[repr(C)]
pub struct ReleasedContext {
    /// Size of the whole table, this and what follows, as the host saw it.
    pub struct_size: u32,
    /// 0 if higher values are better, 1 if lower.
    pub direction: u32,
    /// Master seed of the search.
    pub seed: u64,
    /// Passed back to every function.
    pub ctx: *const c_void,
    /// The structure to start from.
    pub initial: unsafe extern "C" fn(ctx: *const c_void) -> Json,
    /// A random structure.
    pub sample: unsafe extern "C" fn(ctx: *const c_void, seed: u64) -> Json,
    /// A changed structure.
    pub mutate: unsafe extern "C" fn(ctx: *const c_void, spec: RStr<'_>, strength: u32, seed: u64) -> Json,
    /// Name of the first budget that the structure breaks; empty if none.
    pub violation: unsafe extern "C" fn(ctx: *const c_void, spec: RStr<'_>) -> Json,
}

/// The host's side of a search. ABI-APPENDABLE by `struct_size`.
#[repr(C)]
pub struct SearchContextV1 {
    /// What every host has.
    pub released: ReleasedContext,
    // Fields below were added later and may be missing in older hosts.
    /// `Graph` of a structure at the geometry of the search.
    pub graph: unsafe extern "C" fn(ctx: *const c_void, spec: RStr<'_>) -> Json,
}

/// A search strategy. The host serialises calls to one instance. ABI-FROZEN.
#[repr(C)]
pub struct StrategyV1 {
    /// `StrategyInfo`.
    pub describe: unsafe extern "C" fn(this: This) -> Json,
    /// Up to `n` proposals: `Vec<Request>`.
    pub ask: unsafe extern "C" fn(this: This, context: *const SearchContextV1, n: u32) -> Json,
    /// Takes `Vec<Outcome>`.
    pub tell: unsafe extern "C" fn(this: This, outcomes: RStr<'_>) -> Done,
    /// The whole state.
    pub checkpoint: unsafe extern "C" fn(this: This) -> RResult<RVec<u8>, FfiError>,
    /// Takes up a state.
    pub restore: unsafe extern "C" fn(this: This, state: RSlice<'_, u8>) -> Done,
    /// `SearchResult`.
    pub result: unsafe extern "C" fn(this: This) -> Json,
}

/// An architecture. ABI-FROZEN.
#[repr(C)]
pub struct ArchitectureV1 {
    /// `ArchitectureInfo`.
    pub describe: unsafe extern "C" fn(this: This) -> Json,
    /// The structure to start from.
    pub initial: unsafe extern "C" fn(this: This) -> Json,
    /// A random structure.
    pub sample: unsafe extern "C" fn(this: This, seed: u64) -> Json,
    /// A changed structure.
    pub mutate: unsafe extern "C" fn(this: This, spec: RStr<'_>, strength: u32, seed: u64) -> Json,
    /// `Graph` of a structure for a `Geometry`.
    pub graph: unsafe extern "C" fn(this: This, spec: RStr<'_>, geometry: RStr<'_>) -> Json,
    /// `Counters` of a structure for a `Geometry`.
    pub counters: unsafe extern "C" fn(this: This, spec: RStr<'_>, geometry: RStr<'_>) -> Json,
    /// A structure from a published text form.
    pub import: unsafe extern "C" fn(this: This, format: RStr<'_>, text: RStr<'_>) -> Json,
    /// The published text form of a structure (plain text, not JSON).
    pub export: unsafe extern "C" fn(this: This, format: RStr<'_>, spec: RStr<'_>) -> Json,
    /// Map from checkpoint names to graph names.
    pub pretrained_names: unsafe extern "C" fn(this: This, spec: RStr<'_>) -> Json,
}

/// An image on the wire. ABI-FROZEN.
#[repr(C)]
pub struct PixelBuffer {
    /// Rows; 0 means that there is no image.
    pub height: u64,
    /// Columns.
    pub width: u64,
    /// 1 or 3.
    pub channels: u32,
    /// Bytes of one value: 1 or 2.
    pub value_size: u32,
    /// Rows × columns × channels values in native byte order.
    pub data: RVec<u8>,
}

/// A dataset. ABI-FROZEN.
#[repr(C)]
pub struct DatasetV1 {
    /// `DatasetInfo`.
    pub describe: unsafe extern "C" fn(this: This) -> Json,
    /// `Vec<Record>`.
    pub records: unsafe extern "C" fn(this: This) -> Json,
    /// A text that changes when an image may have changed (plain text, not JSON).
    pub stamp: unsafe extern "C" fn(this: This) -> Json,
    /// One decoded image.
    pub pixels: unsafe extern "C" fn(this: This, index: u64) -> RResult<PixelBuffer, FfiError>,
    /// The mask of a finding, or a buffer of height 0.
    pub mask: unsafe extern "C" fn(this: This, index: u64, label: u64) -> RResult<PixelBuffer, FfiError>,
}

/// Predictions on the wire, valid for one call. ABI-FROZEN.
#[repr(C)]
pub struct PredictionBuffer {
    /// Number of labels.
    pub labels: u64,
    /// Number of images.
    pub images: u64,
    /// `images × labels` probabilities.
    pub scores: *const f64,
    /// `images × labels` codes: 0, 1, −1.
    pub targets: *const i8,
    /// `labels` thresholds.
    pub thresholds: *const f64,
}

/// A metric of predictions. ABI-FROZEN.
#[repr(C)]
pub struct PredictionMetricV1 {
    /// `Vec<OutputInfo>`.
    pub outputs: unsafe extern "C" fn(this: This) -> Json,
    /// `MetricReport`.
    pub evaluate: unsafe extern "C" fn(this: This, predictions: *const PredictionBuffer) -> Json,
}

/// A metric of structures. ABI-FROZEN.
#[repr(C)]
pub struct ArchitectureMetricV1 {
    /// `ArchitectureMetricInfo`.
    pub describe: unsafe extern "C" fn(this: This) -> Json,
    /// `Vec<Score>` for `Vec<Candidate>` under a `ScoreContext`.
    pub score: unsafe extern "C" fn(this: This, candidates: RStr<'_>, context: RStr<'_>) -> Json,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<StrategyV1>() == 48);
    assert!(size_of::<ArchitectureV1>() == 72);
    assert!(size_of::<DatasetV1>() == 40);
    assert!(size_of::<PredictionMetricV1>() == 16);
    assert!(size_of::<ArchitectureMetricV1>() == 16);
    assert!(size_of::<SearchContextV1>() == 64);
    assert!(size_of::<ReleasedContext>() == 56, "the released table has changed");
    assert!(size_of::<PixelBuffer>() == 56);
    assert!(size_of::<PredictionBuffer>() == 40);
};
