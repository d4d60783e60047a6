//! The run configuration.
//!
//! A configuration is stacked from layers, of which later ones win: built-in defaults, the recipe of
//! a plugin, the user's file, the project's file, environment variables, `--set`, and flags.
//! [`Sources::resolve`] stacks and checks them, and reports all problems at once, each with the place
//! it comes from. docs/configuration.md is the user's view.

mod check;
mod keys;
mod layer;
mod origin;
mod read;
mod resolve;
pub mod schemas;
mod sections;
pub mod suggest;
#[cfg(test)]
mod tests;
pub mod train;
mod trust;
mod units;
mod validate;

use std::path::PathBuf;

pub(crate) use keys::inline;
pub use keys::{Key, flatten, keys, template};
pub use layer::Layer;
pub(crate) use origin::dotted;
pub use origin::{Origin, Origins};
pub use read::{assignment, file};
pub use resolve::{Catalogue, Resolved, Sources};
pub use sections::{
    Budget, ComponentConfig, Config, PluginsConfig, RunConfig, SECTIONS, SearchConfig, Section, Seeds,
    SplitConfig, cpu_threads,
};
pub use trust::Precautions;
pub(crate) use trust::{memory, named, wants_sandbox};
pub use units::{Size, Span};
pub(crate) use validate::validate;
pub use validate::validate_component;

/// Returns the user's own configuration file, whether it exists or not.
pub fn user_file() -> Option<PathBuf> {
    Some(xdg("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Returns nashost's folder below an XDG base folder.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute(variable).or_else(|| Some(absolute("HOME")?.join(below_home)))?;
    Some(base.join("nashost"))
}
