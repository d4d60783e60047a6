//! The host's side of the extension.
//!
//! The unsafe code here rests on the contract of the tables: the id of the extension fixes the type of
//! its table, and a plugin uses the samples it gets during the call alone.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

use nashost_plugin_api::{
    abi::{
        error::{FfiError, code},
        ext::Answer,
        foreign::{CallError, ForeignStrategy, decode},
    },
    component::PluginResult,
};
use serde_json::Value;
use tch::Tensor;

use super::{ONE_SHOT_V1, OneShotPlan, OneShotTask, OneShotV1, Samples, SamplesV1, StepReport};
use crate::{GradGuard, TensorHandle};

/// The one-shot side of a strategy in a plugin.
///
/// Every method fails with [`CallError`] if the plugin fails, panics or answers nonsense, and leaves
/// the thread's grad mode as it was.
pub struct ForeignOneShot<'a> {
    strategy: &'a mut ForeignStrategy,
    table: &'static OneShotV1,
}

#[expect(clippy::missing_errors_doc, reason = "documented once on the type")]
impl<'a> ForeignOneShot<'a> {
    /// Whether `strategy` learns from images.
    pub fn is(strategy: &ForeignStrategy) -> bool {
        !strategy.instance().query(ONE_SHOT_V1).is_null()
    }

    /// Takes the one-shot side of `strategy`.
    pub fn new(strategy: &'a mut ForeignStrategy) -> Result<Self, CallError> {
        // SAFETY: the contract fixes this table for this extension id.
        let table = unsafe { strategy.instance().table::<OneShotV1>(ONE_SHOT_V1) }?;
        Ok(Self { strategy, table })
    }

    /// The strategy itself, to save it, take it up and ask for its result.
    pub fn strategy(&mut self) -> &mut ForeignStrategy {
        self.strategy
    }

    /// See [`OneShot::begin`](super::OneShot::begin).
    pub fn begin(
        &mut self,
        task: &OneShotTask,
        mut samples: &mut dyn Samples,
    ) -> Result<OneShotPlan, CallError> {
        let _grad = GradGuard::save();
        let instance = self.strategy.instance();
        let text = instance.encode("begin the search", task)?;
        let table = table(&mut samples);
        // SAFETY: the table belongs to this live instance, and `table` lives until the call returns.
        let answer = unsafe { (self.table.begin)(instance.this(), text.as_str().into(), &raw const table) };
        decode(instance.id(), "begin the search", answer)
    }

    /// See [`OneShot::step`](super::OneShot::step).
    pub fn step(&mut self, mut samples: &mut dyn Samples) -> Result<StepReport, CallError> {
        let _grad = GradGuard::save();
        let instance = self.strategy.instance();
        let table = table(&mut samples);
        // SAFETY: the table belongs to this live instance, and `table` lives until the call returns.
        let answer = unsafe { (self.table.step)(instance.this(), &raw const table) };
        decode(instance.id(), "make a step", answer)
    }

    /// See [`OneShot::details`](super::OneShot::details).
    pub fn details(&self) -> Result<Value, CallError> {
        let instance = self.strategy.instance();
        // SAFETY: the table belongs to this live instance.
        decode(instance.id(), "give the details", unsafe { (self.table.details)(instance.this()) })
    }
}

type Context<'a> = &'a mut dyn Samples;

/// Builds the table for one call. It must not outlive `samples`.
fn table(samples: &mut Context<'_>) -> SamplesV1 {
    SamplesV1 {
        struct_size: size_of::<SamplesV1>() as u32,
        ctx: std::ptr::from_mut(samples).cast(),
        targets,
        assessed,
        images,
    }
}

/// Runs the host's function; a panic of the host must not unwind into the plugin.
fn answer(f: impl FnOnce() -> PluginResult<Tensor>) -> Answer<TensorHandle> {
    let result = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(tensor)) => Ok(TensorHandle::from(tensor)),
        Ok(Err(error)) => Err(FfiError::from_error(code::OTHER, &*error)),
        Err(_) => Err(FfiError::new(code::PANICKED, "the host panicked")),
    };
    result.into()
}

/// # Safety
///
/// `ctx` must come from [`table`], the samples it was made from must be alive, and no other reference
/// to them.
unsafe fn samples<'a>(ctx: *mut c_void) -> &'a mut Context<'a> {
    // SAFETY: guaranteed by the caller.
    unsafe { &mut *ctx.cast::<Context<'a>>() }
}

unsafe extern "C" fn targets(ctx: *mut c_void) -> Answer<TensorHandle> {
    // SAFETY: the strategy passes the context of the table it got, during the call, from one thread.
    let samples = unsafe { samples(ctx) };
    answer(|| Ok(samples.targets()?.targets))
}

unsafe extern "C" fn assessed(ctx: *mut c_void) -> Answer<TensorHandle> {
    // SAFETY: the strategy passes the context of the table it got, during the call, from one thread.
    let samples = unsafe { samples(ctx) };
    answer(|| Ok(samples.targets()?.assessed))
}

unsafe extern "C" fn images(
    ctx: *mut c_void,
    indices: *const i64,
    count: u64,
    augment: u32,
    seed: u64,
) -> Answer<TensorHandle> {
    // SAFETY: the strategy passes the context of the table it got, during the call, from one thread.
    let samples = unsafe { samples(ctx) };
    // SAFETY: the strategy passes a slice that outlives the call; an empty one is not null either.
    let indices = unsafe { std::slice::from_raw_parts(indices, count as usize) };
    answer(|| samples.images(indices, (augment == 1).then_some(seed)))
}
