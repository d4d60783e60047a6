//! The manifest: what a plugin says of itself in its file, readable without loading it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::component::Kind;

/// ELF section that holds the manifest.
pub const SECTION: &str = ".nashost";

/// Version of the manifest's own format.
pub const SCHEMA: u32 = 1;

/// The manifest as [`export_plugin!`](crate::export_plugin) writes it. Later versions only add
/// keys, so unknown ones are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`] of the plugin.
    pub schema: u32,
    /// ABI major of the plugin.
    pub abi_major: u32,
    /// Version of `nashost-plugin-api` it was built with.
    pub sdk: String,
    /// Version of the plugin.
    pub version: String,
    /// Processor architecture it was built for.
    pub arch: String,
    /// Operating system it was built for.
    pub os: String,
    /// Version of libtorch it needs; `None` without one.
    pub libtorch: Option<String>,
    /// The author's part.
    pub plugin: About,
}

/// The author's part of a manifest: `manifest.json` of the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Name of the plugin, kebab-case, unique among all plugins.
    pub id: String,
    /// One or two sentences for `nashost plugin list`.
    pub description: String,
    /// Component ids by kind. Checked against what the plugin registers when it is loaded.
    pub components: BTreeMap<Kind, Vec<String>>,
    /// Whether its method looks at the images. Every dataset gets the same architecture from a
    /// method that does not.
    #[serde(default)]
    pub uses_data: Option<bool>,
    /// Licence of the plugin.
    #[serde(default)]
    pub licence: Option<String>,
    /// Configuration that `--plugin ID` alone means, as a run configuration in JSON.
    #[serde(default)]
    pub recipe: Option<serde_json::Value>,
}
