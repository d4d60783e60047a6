//! The configuration of components that need none.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NoConfig {}
