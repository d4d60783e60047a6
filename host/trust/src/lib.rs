//! Whom nashost trusts, and what it lets the others do: plugin files, their signatures, and the sandbox.
//!
//! Nothing here knows of plugins' contents, of configurations or of runs.

#![forbid(unsafe_code)]

mod calls;
mod file;
mod sandbox;
mod signature;

pub use self::{
    file::{PluginFile, open_to_all},
    sandbox::{LEAST_ABI, Policy, SandboxError},
    signature::{KeyError, Keys, Signed, signature_file},
};
