//! Panic containment: every function that a host calls goes through [`Slot::call`] or [`call`].

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
};

use abi_stable::std_types::{RErr, ROk, RResult};

use super::error::{FfiError, code};

thread_local! {
    static PANIC_LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers where the current thread panics; called from the plugin's panic hook.
pub(crate) fn note_panic_location(location: String) {
    PANIC_LOCATION.with(|slot| *slot.borrow_mut() = Some(location));
}

/// A component and whether it panicked.
pub(crate) struct Slot<T> {
    value: T,
    poisoned: AtomicBool,
}

impl<T> Slot<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value, poisoned: AtomicBool::new(false) }
    }

    /// Runs `f` on the component and turns a panic into an error.
    ///
    /// After a panic every later call answers `POISONED`, so nobody sees the half-changed state:
    /// that is what makes `AssertUnwindSafe` honest.
    pub(crate) fn call<R>(&self, f: impl FnOnce(&T) -> Result<R, FfiError>) -> RResult<R, FfiError> {
        if self.poisoned.load(Ordering::Acquire) {
            return RErr(FfiError::new(code::POISONED, "this instance panicked earlier"));
        }
        match catch_unwind(AssertUnwindSafe(|| f(&self.value))) {
            Ok(result) => result.into(),
            Err(payload) => {
                self.poisoned.store(true, Ordering::Release);
                RErr(from_payload(&*payload))
            }
        }
    }
}

/// Runs a function without an instance and turns a panic into an error.
pub(crate) fn call<R>(f: impl FnOnce() -> Result<R, FfiError>) -> RResult<R, FfiError> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => ROk(value),
        Ok(Err(error)) => RErr(error),
        Err(payload) => RErr(from_payload(&*payload)),
    }
}

fn from_payload(payload: &(dyn Any + Send)) -> FfiError {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a non-string payload".to_owned());
    let location = PANIC_LOCATION.with(|slot| slot.borrow_mut().take());
    let message = match location {
        Some(location) => format!("panicked at {location}: {text}"),
        None => format!("panicked: {text}"),
    };
    FfiError::new(code::PANICKED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_poisons_the_slot() {
        let slot = Slot::new(3);
        assert_eq!(slot.call(|v| Ok(*v)).into_result().unwrap(), 3);
        let error = slot.call::<()>(|_| panic!("boom")).into_result().unwrap_err();
        assert_eq!(error.code, code::PANICKED);
        assert!(error.message.contains("boom"));
        let error = slot.call(|v| Ok(*v)).into_result().unwrap_err();
        assert_eq!(error.code, code::POISONED);
    }

    #[test]
    fn an_error_does_not_poison() {
        let slot = Slot::new(());
        let error = slot.call::<()>(|()| Err(FfiError::new(7, "no"))).into_result().unwrap_err();
        assert_eq!(error.code, 7);
        assert!(slot.call(|()| Ok(())).is_ok());
    }
}
