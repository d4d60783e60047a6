//! What every component has: an id, a description, a configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Errors of plugin code. Any `std::error::Error`, string or `?` converts into it.
pub type PluginError = Box<dyn std::error::Error + Send + Sync>;

/// Result of plugin code.
pub type PluginResult<T> = Result<T, PluginError>;

/// The four kinds of component.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Proposes structures.
    Strategy,
    /// Turns specs into graphs.
    Architecture,
    /// Brings images and labels.
    Dataset,
    /// Judges predictions.
    PredictionMetric,
    /// Judges structures.
    ArchitectureMetric,
}

/// What a plugin author implements first for each component.
///
/// `Config` is what users write in the run configuration; its JSON Schema is generated, checked
/// and published. Derive `Deserialize` with `#[serde(deny_unknown_fields, default)]`.
///
/// ```
/// use nashost_plugin_api::component::{Component, PluginResult};
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// #[serde(deny_unknown_fields, default)]
/// struct Config {
///     /// Rows and columns.
///     side: usize,
/// }
///
/// impl Default for Config {
///     fn default() -> Self {
///         Self { side: 32 }
///     }
/// }
///
/// struct Squares(usize);
///
/// impl Component for Squares {
///     const ID: &'static str = "squares";
///     const DESCRIPTION: &'static str = "Squares of one size.";
///     type Config = Config;
///
///     fn create(config: Config) -> PluginResult<Self> {
///         if config.side < 8 {
///             return Err("`side` is at least 8".into());
///         }
///         Ok(Self(config.side))
///     }
/// }
///
/// let create = |settings: &str| Squares::create(serde_json::from_str(settings)?);
/// assert_eq!(create("{}").unwrap().0, 32);
/// assert!(create(r#"{"side": 4}"#).is_err());
/// assert!(create(r#"{"sides": 16}"#).is_err(), "unknown keys are refused");
/// ```
pub trait Component: Sized + 'static {
    /// The name users type, unique among all plugins, kebab-case.
    const ID: &'static str;
    /// One sentence for `nashost plugin inspect`.
    const DESCRIPTION: &'static str;
    /// The configuration.
    type Config: DeserializeOwned + JsonSchema;

    /// Builds the component.
    ///
    /// # Errors
    ///
    /// Fails if the configuration makes no sense or names something that is not there.
    fn create(config: Self::Config) -> PluginResult<Self>;
}

/// A component as the host sees it before it is created.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// The name users type.
    pub id: String,
    /// Its kind.
    pub kind: Kind,
    /// One sentence.
    pub description: String,
    /// Extension ids it answers to.
    pub extensions: Vec<String>,
    /// JSON Schema of its configuration.
    pub config_schema: serde_json::Value,
}
