//! The plugin's side of the extension tables: plain traits behind guarded C functions.

use std::{ffi::c_void, mem::offset_of, sync::Mutex};

use abi_stable::std_types::{RResult, RSlice, RStr, RString, RVec};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    error::{FfiError, code},
    export::{ComponentExtension, Extension},
    ext::{
        ARCHITECTURE_METRIC_V1, ARCHITECTURE_V1, ArchitectureMetricV1, ArchitectureV1, DATASET_V1, DatasetV1,
        Done, Json, PREDICTION_METRIC_V1, PixelBuffer, PredictionBuffer, PredictionMetricV1, ReleasedContext,
        STRATEGY_V1, SearchContextV1, StrategyV1, This,
    },
    guard::Slot,
    root::RawInstance,
};
use crate::{
    architecture::{Architecture, Spec, read_spec},
    component::{Component, PluginError, PluginResult},
    dataset::{Dataset, Pixels, Target},
    graph::Graph,
    metric::{ArchitectureMetric, Direction, PredictionMetric, Predictions},
    sdk::Cancelled,
    strategy::{SearchContext, Strategy},
};

/// Turns an author's error into the one that crosses.
pub fn to_ffi(error: PluginError) -> FfiError {
    let code = if error.downcast_ref::<Cancelled>().is_some() { code::CANCELLED } else { code::OTHER };
    FfiError::from_error(code, &*error)
}

/// Writes an answer.
///
/// # Errors
///
/// Fails if the value has no JSON form.
pub fn to_json<T: Serialize>(value: &T) -> Result<RString, FfiError> {
    serde_json::to_string(value).map(RString::from).map_err(|e| FfiError::from_error(code::OTHER, &e))
}

/// Reads an argument.
///
/// # Errors
///
/// Fails if the text is not `what`.
pub fn from_json<T: DeserializeOwned>(what: &str, text: RStr<'_>) -> Result<T, FfiError> {
    serde_json::from_str(text.as_str())
        .map_err(|e| FfiError::new(code::MALFORMED, format!("malformed {what}: {e}")))
}

/// # Safety
///
/// `this` must come from [`raw`] with the same `T`, and must not have been dropped.
unsafe fn slot<'a, T>(this: This) -> &'a Slot<T> {
    // SAFETY: guaranteed by the caller.
    unsafe { &*this.cast::<Slot<T>>() }
}

unsafe extern "C" fn drop_slot<T>(this: This) {
    // SAFETY: the host drops an instance once, and `this` came from `raw::<T>`.
    let slot = unsafe { Box::from_raw(this.cast::<Slot<T>>()) };
    // A panicking destructor would abort the host; the panic hook has logged it.
    let _ = super::guard::call(move || {
        drop(slot);
        Ok(())
    });
}

fn raw<T>(value: T, query: unsafe extern "C" fn(This, RStr<'_>) -> *const c_void) -> RawInstance {
    RawInstance { this: Box::into_raw(Box::new(Slot::new(value))).cast(), drop_fn: drop_slot::<T>, query }
}

/// Defines one guarded function of a table: `fn name<T: Trait>(slot, args) -> Ret { body }`.
macro_rules! guarded {
    ($(fn $name:ident<$t:ident: $bound:path>($self:ident: $slot:ty $(, $arg:ident: $ty:ty)*) -> $ret:ty $body:block)*) => {$(
        unsafe extern "C" fn $name<$t: $bound>(this: This $(, $arg: $ty)*) -> $ret {
            // SAFETY: the host passes the instance whose query answered this table.
            unsafe { slot::<$slot>(this) }.call(|$self| $body)
        }
    )*};
}

/// A strategy takes `&mut self`; the mutex makes that sound even if a host forgets to serialise.
type Exclusive<T> = Mutex<T>;

fn locked<T>(mutex: &Exclusive<T>) -> Result<std::sync::MutexGuard<'_, T>, FfiError> {
    mutex.lock().map_err(|_| FfiError::new(code::POISONED, "this instance panicked earlier"))
}

/// Runs `f` on a strategy, as the functions of its own table do: guarded, and alone.
///
/// # Safety
///
/// `this` must be the pointer of a live instance of the strategy `T`: what a host passes to the
/// functions of a [`ComponentExtension`] of `T`.
pub unsafe fn call_strategy<T: Strategy, R>(
    this: This,
    f: impl FnOnce(&mut T) -> Result<R, FfiError>,
) -> RResult<R, FfiError> {
    // SAFETY: guaranteed by the caller.
    unsafe { slot::<Exclusive<T>>(this) }.call(|strategy| f(&mut *locked(strategy)?))
}

/// The host's search context as the plugin sees it.
struct ForeignContext(*const SearchContextV1);

fn text(answer: Json) -> PluginResult<String> {
    let text = answer.into_result().map_err(|e| PluginError::from(e.message.into_string()))?;
    Ok(text.into_string())
}

impl ForeignContext {
    /// The table as far as every host has it.
    fn released(&self) -> &ReleasedContext {
        // SAFETY: the host keeps the table alive during `ask`, the only call that makes a
        // `ForeignContext`, and no host's table is shorter than this.
        unsafe { &*self.0.cast() }
    }

    fn graph_fn(&self) -> Option<unsafe extern "C" fn(*const c_void, RStr<'_>) -> Json> {
        let end = offset_of!(SearchContextV1, graph) + size_of::<usize>();
        let has_graph = self.released().struct_size as usize >= end;
        // SAFETY: the table is alive, and long enough for this field, read without a reference to
        // the whole.
        has_graph.then(|| unsafe { (*self.0).graph })
    }
}

impl SearchContext for ForeignContext {
    fn initial(&self) -> PluginResult<Spec> {
        let table = self.released();
        // SAFETY: the host's function gets the host's own context.
        read_spec(&text(unsafe { (table.initial)(table.ctx) })?)
    }

    fn sample(&self, seed: u64) -> PluginResult<Spec> {
        let table = self.released();
        // SAFETY: the host's function gets the host's own context.
        read_spec(&text(unsafe { (table.sample)(table.ctx, seed) })?)
    }

    fn mutate(&self, spec: &Spec, strength: u32, seed: u64) -> PluginResult<Spec> {
        read_spec(&self.mutate_text(&spec.to_string(), strength, seed)?)
    }

    fn violation(&self, spec: &Spec) -> PluginResult<Option<String>> {
        self.violation_text(&spec.to_string())
    }

    fn mutate_text(&self, spec: &str, strength: u32, seed: u64) -> PluginResult<String> {
        let table = self.released();
        // SAFETY: the host's function gets the host's own context.
        text(unsafe { (table.mutate)(table.ctx, spec.into(), strength, seed) })
    }

    fn violation_text(&self, spec: &str) -> PluginResult<Option<String>> {
        let table = self.released();
        // SAFETY: the host's function gets the host's own context.
        let name = text(unsafe { (table.violation)(table.ctx, spec.into()) })?;
        Ok((!name.is_empty()).then_some(name))
    }

    fn graph(&self, spec: &Spec) -> PluginResult<Graph> {
        let graph = self.graph_fn().ok_or("this host is too old to give graphs to strategies")?;
        let spec = spec.to_string();
        // SAFETY: the host's function gets the host's own context.
        let answer = unsafe { graph(self.released().ctx, spec.as_str().into()) };
        Ok(serde_json::from_str(&text(answer)?)?)
    }

    fn direction(&self) -> Direction {
        if self.released().direction == 0 { Direction::Higher } else { Direction::Lower }
    }

    fn seed(&self) -> u64 {
        self.released().seed
    }
}

mod strategy {
    use super::*;

    guarded! {
        fn describe<T: Strategy>(s: Exclusive<T>) -> Json { to_json(&locked(s)?.describe()) }
        fn ask<T: Strategy>(s: Exclusive<T>, context: *const SearchContextV1, n: u32) -> Json {
            to_json(&locked(s)?.ask(&ForeignContext(context), n).map_err(to_ffi)?)
        }
        fn tell<T: Strategy>(s: Exclusive<T>, outcomes: RStr<'_>) -> Done {
            let outcomes: Vec<_> = from_json("outcomes", outcomes)?;
            locked(s)?.tell(&outcomes).map_err(to_ffi)
        }
        fn checkpoint<T: Strategy>(s: Exclusive<T>) -> RResult<RVec<u8>, FfiError> {
            locked(s)?.checkpoint().map(RVec::from).map_err(to_ffi)
        }
        fn restore<T: Strategy>(s: Exclusive<T>, state: RSlice<'_, u8>) -> Done {
            locked(s)?.restore(state.as_slice()).map_err(to_ffi)
        }
        fn result<T: Strategy>(s: Exclusive<T>) -> Json { to_json(&locked(s)?.result().map_err(to_ffi)?) }
    }

    pub(super) unsafe extern "C" fn query<T: Strategy>(_: This, id: RStr<'_>) -> *const c_void {
        let table: &'static StrategyV1 = &const {
            StrategyV1 {
                describe: describe::<T>,
                ask: ask::<T>,
                tell: tell::<T>,
                checkpoint: checkpoint::<T>,
                restore: restore::<T>,
                result: result::<T>,
            }
        };
        answer::<T, _>(id, STRATEGY_V1, table)
    }
}

mod architecture {
    use super::*;

    guarded! {
        fn describe<T: Architecture>(a: T) -> Json { to_json(&a.describe()) }
        fn initial<T: Architecture>(a: T) -> Json { to_json(&a.initial().map_err(to_ffi)?) }
        fn sample<T: Architecture>(a: T, seed: u64) -> Json { to_json(&a.sample(seed).map_err(to_ffi)?) }
        fn mutate<T: Architecture>(a: T, spec: RStr<'_>, strength: u32, seed: u64) -> Json {
            a.mutate_text(spec.as_str(), strength, seed).map(RString::from).map_err(to_ffi)
        }
        fn graph<T: Architecture>(a: T, spec: RStr<'_>, geometry: RStr<'_>) -> Json {
            let (spec, geometry) = (from_json("spec", spec)?, from_json("geometry", geometry)?);
            to_json(&a.graph(&spec, &geometry).map_err(to_ffi)?)
        }
        fn counters<T: Architecture>(a: T, spec: RStr<'_>, geometry: RStr<'_>) -> Json {
            to_json(&a.counters_text(spec.as_str(), &from_json("geometry", geometry)?).map_err(to_ffi)?)
        }
        fn import<T: Architecture>(a: T, format: RStr<'_>, text: RStr<'_>) -> Json {
            to_json(&a.import(format.as_str(), text.as_str()).map_err(to_ffi)?)
        }
        fn export<T: Architecture>(a: T, format: RStr<'_>, spec: RStr<'_>) -> Json {
            a.export(format.as_str(), &from_json("spec", spec)?).map(RString::from).map_err(to_ffi)
        }
        fn pretrained_names<T: Architecture>(a: T, spec: RStr<'_>) -> Json {
            to_json(&a.pretrained_names(&from_json("spec", spec)?).map_err(to_ffi)?)
        }
    }

    pub(super) unsafe extern "C" fn query<T: Architecture>(_: This, id: RStr<'_>) -> *const c_void {
        let table: &'static ArchitectureV1 = &const {
            ArchitectureV1 {
                describe: describe::<T>,
                initial: initial::<T>,
                sample: sample::<T>,
                mutate: mutate::<T>,
                graph: graph::<T>,
                counters: counters::<T>,
                import: import::<T>,
                export: export::<T>,
                pretrained_names: pretrained_names::<T>,
            }
        };
        answer::<T, _>(id, ARCHITECTURE_V1, table)
    }
}

mod dataset {
    use super::*;

    fn buffer(pixels: Pixels) -> PixelBuffer {
        PixelBuffer {
            height: pixels.height as u64,
            width: pixels.width as u64,
            channels: pixels.channels as u32,
            value_size: pixels.dtype.size() as u32,
            data: pixels.data.into(),
        }
    }

    fn no_image() -> PixelBuffer {
        PixelBuffer { height: 0, width: 0, channels: 0, value_size: 1, data: RVec::new() }
    }

    guarded! {
        fn describe<T: Dataset>(d: T) -> Json { to_json(&d.describe().map_err(to_ffi)?) }
        fn records<T: Dataset>(d: T) -> Json { to_json(&d.records().map_err(to_ffi)?) }
        fn stamp<T: Dataset>(d: T) -> Json { d.stamp().map(RString::from).map_err(to_ffi) }
        fn pixels<T: Dataset>(d: T, index: u64) -> RResult<PixelBuffer, FfiError> {
            d.pixels(index as usize).map(buffer).map_err(to_ffi)
        }
        fn mask<T: Dataset>(d: T, index: u64, label: u64) -> RResult<PixelBuffer, FfiError> {
            let mask = d.mask(index as usize, label as usize).map_err(to_ffi)?;
            Ok(mask.map_or_else(no_image, buffer))
        }
    }

    pub(super) unsafe extern "C" fn query<T: Dataset>(_: This, id: RStr<'_>) -> *const c_void {
        let table: &'static DatasetV1 = &const {
            DatasetV1 {
                describe: describe::<T>,
                records: records::<T>,
                stamp: stamp::<T>,
                pixels: pixels::<T>,
                mask: mask::<T>,
            }
        };
        answer::<T, _>(id, DATASET_V1, table)
    }
}

mod prediction_metric {
    use super::*;

    guarded! {
        fn outputs<T: PredictionMetric>(m: T) -> Json { to_json(&m.outputs()) }
        fn evaluate<T: PredictionMetric>(m: T, predictions: *const PredictionBuffer) -> Json {
            // SAFETY: the host passes a buffer that is valid for this call.
            let buffer = unsafe { &*predictions };
            let (labels, n) = (buffer.labels as usize, (buffer.labels * buffer.images) as usize);
            // SAFETY: the contract of `PredictionBuffer` gives these lengths; the host never
            // passes null, not even for empty tables.
            let (scores, codes, thresholds) = unsafe {
                (
                    std::slice::from_raw_parts(buffer.scores, n),
                    std::slice::from_raw_parts(buffer.targets, n),
                    std::slice::from_raw_parts(buffer.thresholds, labels),
                )
            };
            let targets: Option<Vec<Target>> = codes.iter().map(|&code| Target::from_code(code)).collect();
            let targets = targets
                .ok_or_else(|| FfiError::new(code::MALFORMED, "a target is not 0, 1 or -1"))?;
            let predictions = Predictions { labels, scores, targets: &targets, thresholds };
            to_json(&m.evaluate(&predictions).map_err(to_ffi)?)
        }
    }

    pub(super) unsafe extern "C" fn query<T: PredictionMetric>(_: This, id: RStr<'_>) -> *const c_void {
        let table: &'static PredictionMetricV1 =
            &const { PredictionMetricV1 { outputs: outputs::<T>, evaluate: evaluate::<T> } };
        answer::<T, _>(id, PREDICTION_METRIC_V1, table)
    }
}

mod architecture_metric {
    use super::*;

    guarded! {
        fn describe<T: ArchitectureMetric>(m: T) -> Json { to_json(&m.describe()) }
        fn score<T: ArchitectureMetric>(m: T, candidates: RStr<'_>, context: RStr<'_>) -> Json {
            let candidates: Vec<_> = from_json("candidates", candidates)?;
            to_json(&m.score(&candidates, &from_json("context", context)?).map_err(to_ffi)?)
        }
    }

    pub(super) unsafe extern "C" fn query<T: ArchitectureMetric>(_: This, id: RStr<'_>) -> *const c_void {
        let table: &'static ArchitectureMetricV1 =
            &const { ArchitectureMetricV1 { describe: describe::<T>, score: score::<T> } };
        answer::<T, _>(id, ARCHITECTURE_METRIC_V1, table)
    }
}

/// Answers a query: with the table of the component's kind, one of its own, or one that the whole
/// plugin offers.
fn answer<T: Component, V>(id: RStr<'_>, known: &str, table: &'static V) -> *const c_void {
    if id.as_str() == known {
        return std::ptr::from_ref(table).cast();
    }
    let own = ComponentExtension::of(T::ID).find(|extension| extension.id == id.as_str());
    if let Some(own) = own {
        return own.table;
    }
    let offered = inventory::iter::<Extension>.into_iter().find(|extension| extension.id == id.as_str());
    offered.map_or(std::ptr::null(), |extension| extension.table)
}

/// Boxes a strategy for the trip to the host.
pub(crate) fn strategy<T: Strategy>(component: T) -> RawInstance {
    raw::<Exclusive<T>>(Mutex::new(component), strategy::query::<T>)
}

/// Boxes an architecture for the trip to the host.
pub(crate) fn architecture<T: Architecture>(component: T) -> RawInstance {
    raw(component, architecture::query::<T>)
}

/// Boxes a dataset for the trip to the host.
pub(crate) fn dataset<T: Dataset>(component: T) -> RawInstance {
    raw(component, dataset::query::<T>)
}

/// Boxes a prediction metric for the trip to the host.
pub(crate) fn prediction_metric<T: PredictionMetric>(component: T) -> RawInstance {
    raw(component, prediction_metric::query::<T>)
}

/// Boxes an architecture metric for the trip to the host.
pub(crate) fn architecture_metric<T: ArchitectureMetric>(component: T) -> RawInstance {
    raw(component, architecture_metric::query::<T>)
}

#[cfg(test)]
mod tests {
    use abi_stable::std_types::ROk;

    use super::*;

    unsafe extern "C" fn none(_: *const c_void) -> Json {
        ROk("null".into())
    }

    unsafe extern "C" fn seeded(_: *const c_void, seed: u64) -> Json {
        ROk(seed.to_string().into())
    }

    unsafe extern "C" fn mutate(_: *const c_void, spec: RStr<'_>, strength: u32, seed: u64) -> Json {
        ROk(format!("[{spec},{strength},{seed}]").into())
    }

    unsafe extern "C" fn violation(_: *const c_void, spec: RStr<'_>) -> Json {
        ROk(if spec.as_str() == "1" { "size".into() } else { RString::new() })
    }

    #[test]
    fn a_strategy_works_with_a_host_that_is_older_than_graphs() {
        let old = ReleasedContext {
            struct_size: size_of::<ReleasedContext>() as u32,
            direction: 1,
            seed: 7,
            ctx: std::ptr::null(),
            initial: none,
            sample: seeded,
            mutate,
            violation,
        };
        // No memory beyond the old table: reading the new field would be out of bounds.
        let context = ForeignContext((&raw const old).cast());
        assert_eq!(context.initial().unwrap(), Spec::Null);
        assert_eq!(context.sample(5).unwrap(), 5);
        assert_eq!(context.mutate(&Spec::from(3), 2, 9).unwrap(), serde_json::json!([3, 2, 9]));
        assert_eq!(context.mutate_text("3", 2, 9).unwrap(), "[3,2,9]");
        assert_eq!(context.violation(&Spec::from(1)).unwrap().as_deref(), Some("size"));
        assert_eq!(context.violation_text("2").unwrap(), None);
        assert_eq!((context.direction(), context.seed()), (Direction::Lower, 7));
        let error = context.graph(&Spec::Null).unwrap_err().to_string();
        assert_eq!(error, "this host is too old to give graphs to strategies");
    }
}
