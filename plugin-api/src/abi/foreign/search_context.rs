//! The host's search context, on its way to a strategy.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
};

use abi_stable::std_types::{RErr, ROk, RResult, RStr, RString};

use crate::{
    abi::{
        error::{FfiError, code},
        ext::{Json, ReleasedContext, SearchContextV1},
    },
    architecture::read_spec,
    component::PluginResult,
    metric::Direction,
    strategy::SearchContext,
};

type Context<'a> = &'a dyn SearchContext;

/// Builds the table for one call of `ask`. It must not outlive `context`.
pub(super) fn table(context: &Context<'_>) -> SearchContextV1 {
    let released = ReleasedContext {
        struct_size: size_of::<SearchContextV1>() as u32,
        direction: match context.direction() {
            Direction::Higher => 0,
            Direction::Lower => 1,
        },
        seed: context.seed(),
        ctx: std::ptr::from_ref(context).cast(),
        initial,
        sample,
        mutate,
        violation,
    };
    SearchContextV1 { released, graph }
}

/// Runs the host's function; a panic of the host must not unwind into the plugin.
fn answer(f: impl FnOnce() -> PluginResult<String>) -> Json {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(text)) => ROk(RString::from(text)),
        Ok(Err(e)) => RErr(FfiError::from_error(code::OTHER, &*e)),
        Err(_) => RErr(FfiError::new(code::PANICKED, "the host panicked")),
    }
}

/// # Safety
///
/// `ctx` must come from [`table`], and the context it was made from must be alive.
unsafe fn context<'a>(ctx: *const c_void) -> Context<'a> {
    // SAFETY: guaranteed by the caller.
    unsafe { *ctx.cast::<Context<'a>>() }
}

unsafe extern "C" fn initial(ctx: *const c_void) -> RResult<RString, FfiError> {
    // SAFETY: the strategy passes the context of the table it got, during `ask`.
    let context = unsafe { context(ctx) };
    answer(|| Ok(context.initial()?.to_string()))
}

unsafe extern "C" fn sample(ctx: *const c_void, seed: u64) -> RResult<RString, FfiError> {
    // SAFETY: the strategy passes the context of the table it got, during `ask`.
    let context = unsafe { context(ctx) };
    answer(|| Ok(context.sample(seed)?.to_string()))
}

unsafe extern "C" fn mutate(
    ctx: *const c_void,
    text: RStr<'_>,
    strength: u32,
    seed: u64,
) -> RResult<RString, FfiError> {
    // SAFETY: the strategy passes the context of the table it got, during `ask`.
    let context = unsafe { context(ctx) };
    answer(|| context.mutate_text(text.as_str(), strength, seed))
}

unsafe extern "C" fn violation(ctx: *const c_void, text: RStr<'_>) -> RResult<RString, FfiError> {
    // SAFETY: the strategy passes the context of the table it got, during `ask`.
    let context = unsafe { context(ctx) };
    answer(|| Ok(context.violation_text(text.as_str())?.unwrap_or_default()))
}

unsafe extern "C" fn graph(ctx: *const c_void, text: RStr<'_>) -> RResult<RString, FfiError> {
    // SAFETY: the strategy passes the context of the table it got, during `ask`.
    let context = unsafe { context(ctx) };
    answer(|| Ok(serde_json::to_string(&context.graph(&read_spec(text.as_str())?)?)?))
}
