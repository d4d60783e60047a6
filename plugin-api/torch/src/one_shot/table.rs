//! The extension on the wire, and the plugin's side of it.
//!
//! The unsafe code here rests on two things. The host passes to a table's functions the instance whose
//! query answered that table, and keeps the samples alive for the call. And tensors mean the same to
//! both sides; see [`handle`](crate::handle).

use std::ffi::c_void;

use nashost_plugin_api::{
    abi::{
        error::{FfiError, code},
        ext::{Answer, Json, Text, This},
        private::{call_strategy, from_json, to_ffi, to_json},
    },
    component::{PluginError, PluginResult},
};
use tch::Tensor;

use super::{OneShot, Samples, Targets};
use crate::{GradGuard, TensorHandle};

/// Id of the extension.
pub const ONE_SHOT_V1: &str = "nashost.one_shot.v1";

/// The host's images, valid for one call. ABI-APPENDABLE by `struct_size`.
#[repr(C)]
pub struct SamplesV1 {
    /// Size of the table as the host saw it.
    pub struct_size: u32,
    /// Passed back to every function.
    pub ctx: *mut c_void,
    /// Targets of all images; see [`Targets::targets`].
    pub targets: unsafe extern "C" fn(ctx: *mut c_void) -> Answer<TensorHandle>,
    /// See [`Targets::assessed`].
    pub assessed: unsafe extern "C" fn(ctx: *mut c_void) -> Answer<TensorHandle>,
    /// The images at `count` indices, changed by `seed` if `augment` is 1; see [`Samples::images`].
    pub images: unsafe extern "C" fn(
        ctx: *mut c_void,
        indices: *const i64,
        count: u64,
        augment: u32,
        seed: u64,
    ) -> Answer<TensorHandle>,
}

/// A one-shot strategy. The host serialises calls to one instance. ABI-FROZEN.
#[repr(C)]
pub struct OneShotV1 {
    /// `OneShotPlan` for a `OneShotTask`.
    pub begin: unsafe extern "C" fn(this: This, task: Text<'_>, samples: *const SamplesV1) -> Json,
    /// `StepReport`.
    pub step: unsafe extern "C" fn(this: This, samples: *const SamplesV1) -> Json,
    /// Anything.
    pub details: unsafe extern "C" fn(this: This) -> Json,
}

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<SamplesV1>() == 40);
    assert!(size_of::<OneShotV1>() == 24);
};

impl OneShotV1 {
    /// The table of a strategy.
    pub const fn of<T: OneShot>() -> Self {
        Self { begin: begin::<T>, step: step::<T>, details: details::<T> }
    }
}

unsafe extern "C" fn begin<T: OneShot>(this: This, task: Text<'_>, samples: *const SamplesV1) -> Json {
    // SAFETY: the host passes the instance whose query answered this table.
    unsafe {
        call_strategy(this, |strategy: &mut T| {
            let _grad = GradGuard::save();
            let task = from_json("task", task)?;
            to_json(&strategy.begin(&task, &mut ForeignSamples::new(samples)?).map_err(to_ffi)?)
        })
    }
}

unsafe extern "C" fn step<T: OneShot>(this: This, samples: *const SamplesV1) -> Json {
    // SAFETY: the host passes the instance whose query answered this table.
    unsafe {
        call_strategy(this, |strategy: &mut T| {
            let _grad = GradGuard::save();
            let report = strategy.step(&mut ForeignSamples::new(samples)?).map_err(to_ffi)?;
            // JSON has no such numbers, and would say less.
            if let Some((name, value)) = report.numbers.iter().find(|(_, value)| !value.is_finite()) {
                return Err(FfiError::new(code::MALFORMED, format!("`{name}` is {value}")));
            }
            to_json(&report)
        })
    }
}

unsafe extern "C" fn details<T: OneShot>(this: This) -> Json {
    // SAFETY: the host passes the instance whose query answered this table.
    unsafe { call_strategy(this, |strategy: &mut T| to_json(&strategy.details().map_err(to_ffi)?)) }
}

/// The host's images as the plugin sees them.
struct ForeignSamples<'a>(&'a SamplesV1);

impl ForeignSamples<'_> {
    /// # Safety
    ///
    /// `samples` must be a host's table that is alive until the current call returns.
    unsafe fn new(samples: *const SamplesV1) -> Result<Self, FfiError> {
        // SAFETY: the size comes first in every version of the table.
        let size = unsafe { (&raw const (*samples).struct_size).read() };
        if (size as usize) < size_of::<SamplesV1>() {
            return Err(FfiError::new(code::MALFORMED, "the host's table of samples is too short"));
        }
        // SAFETY: the table is alive and at least as long as this version's.
        Ok(Self(unsafe { &*samples }))
    }
}

fn taken(answer: Answer<TensorHandle>) -> PluginResult<Tensor> {
    let handle = answer.into_result().map_err(|e| PluginError::from(e.message.into_string()))?;
    Ok(handle.into_tensor())
}

impl Samples for ForeignSamples<'_> {
    fn targets(&self) -> PluginResult<Targets> {
        // SAFETY: the host's functions get the host's own context.
        let (targets, assessed) = unsafe { ((self.0.targets)(self.0.ctx), (self.0.assessed)(self.0.ctx)) };
        Ok(Targets { targets: taken(targets)?, assessed: taken(assessed)? })
    }

    fn images(&mut self, indices: &[i64], augment: Option<u64>) -> PluginResult<Tensor> {
        let (flag, seed) = (u32::from(augment.is_some()), augment.unwrap_or_default());
        let (first, count) = (indices.as_ptr(), indices.len() as u64);
        // SAFETY: the host's function gets the host's own context, and a slice that outlives the call.
        taken(unsafe { (self.0.images)(self.0.ctx, first, count, flag, seed) })
    }
}
