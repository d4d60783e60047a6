//! Opened plugins and live components.

use std::ffi::c_void;

use abi_stable::std_types::{RResult, RString};
use serde::{Serialize, de::DeserializeOwned};

use super::{CallError, CallErrorKind};
use crate::{
    abi::{
        error::FfiError,
        export::Registration,
        host::{HostPtr, HostServices},
        root::{PluginRootRef, RawInstance},
    },
    component::ComponentInfo,
};

/// A plugin after the handshake. It stays mapped for the life of the process.
#[derive(Clone, Copy)]
pub struct Plugin {
    root: PluginRootRef,
}

impl Plugin {
    pub(super) fn new(root: PluginRootRef) -> Self {
        Self { root }
    }

    /// Hands the plugin its host's services, which are leaked. Call once, before anything else.
    ///
    /// # Errors
    ///
    /// Fails if the plugin refuses the host.
    pub fn init(&self, name: &str, host: impl HostServices) -> Result<(), CallError> {
        (self.root.init())(HostPtr::leak(host))
            .into_result()
            .map_err(|e| CallError::from_ffi(name, "initialise", e))
    }

    /// Lists the components.
    ///
    /// # Errors
    ///
    /// Fails if the plugin fails or answers nonsense.
    pub fn components(&self, name: &str) -> Result<Vec<ComponentInfo>, CallError> {
        decode(name, "list its components", (self.root.components())())
    }

    /// Creates a component from its id and configuration (JSON text).
    ///
    /// # Errors
    ///
    /// Fails if there is no such component or it rejects the configuration.
    pub fn create(&self, id: &str, config: &str) -> Result<Instance, CallError> {
        let raw = (self.root.create())(id.into(), config.into())
            .into_result()
            .map_err(|e| CallError::from_ffi(id, "start", e))?;
        Ok(Instance { id: id.to_owned(), raw })
    }
}

/// A live component of a plugin; destroyed on drop.
pub struct Instance {
    id: String,
    raw: RawInstance,
}

// SAFETY: components are `Send` by the traits' bounds, and their destructor may run on any thread.
unsafe impl Send for Instance {}
// SAFETY: the functions of all extension tables may be called from any thread: components other
// than strategies are `Sync`, strategies sit behind a mutex.
unsafe impl Sync for Instance {}

impl Instance {
    /// Creates a component of this process.
    pub(crate) fn local(id: &str, registration: &Registration, config: &str) -> Result<Self, CallError> {
        let raw = registration.create(config).map_err(|e| CallError::from_ffi(id, "start", e))?;
        Ok(Self { id: id.to_owned(), raw })
    }

    /// Component id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The plugin's object, for the functions of the instance's own tables.
    pub fn this(&self) -> *mut c_void {
        self.raw.this
    }

    /// Returns the table of an extension, or null.
    pub fn query(&self, id: &str) -> *const c_void {
        // SAFETY: `query` gets its own live instance.
        unsafe { (self.raw.query)(self.raw.this, id.into()) }
    }

    /// Writes an argument as JSON.
    ///
    /// # Errors
    ///
    /// Fails if it has no JSON form.
    pub fn encode(
        &self,
        function: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<String, CallError> {
        serde_json::to_string(value)
            .map_err(|e| CallError::new(&self.id, function, CallErrorKind::Malformed, e.to_string()))
    }

    /// Returns the table of an extension.
    ///
    /// # Errors
    ///
    /// Fails if the component does not have it.
    ///
    /// # Safety
    ///
    /// `V` must be the table that the contract fixes for `extension`.
    pub unsafe fn table<V>(&self, extension: &str) -> Result<&'static V, CallError> {
        // SAFETY: the plugin's table is a static of the type that the caller vouches for.
        unsafe { self.query(extension).cast::<V>().as_ref() }.ok_or_else(|| {
            CallError::new(
                &self.id,
                "start",
                CallErrorKind::Unsupported,
                format!("it does not have the extension `{extension}`"),
            )
        })
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // SAFETY: the instance is live and dropped once.
        unsafe { (self.raw.drop_fn)(self.raw.this) }
    }
}

/// Reads a JSON answer of `component`, which was asked to do `function`.
///
/// # Errors
///
/// Fails if the plugin failed or answered something else.
pub fn decode<T: DeserializeOwned>(
    component: &str,
    function: &'static str,
    answer: RResult<RString, FfiError>,
) -> Result<T, CallError> {
    let text = answer.into_result().map_err(|e| CallError::from_ffi(component, function, e))?;
    serde_json::from_str(&text)
        .map_err(|e| CallError::new(component, function, CallErrorKind::Malformed, e.to_string()))
}
