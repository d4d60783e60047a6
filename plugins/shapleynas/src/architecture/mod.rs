//! The architecture components.

mod darts;
mod nb201;

use nashost_cells::{CellError, Layout};
use nashost_plugin_api::architecture::Counters;

pub use darts::{DartsConfig, DartsSpace};
pub use nb201::{Nb201Config, Nb201Space};

/// Why a component cannot do what was asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// A spec of another space.
    #[error("not a structure of `{space}`: {why}")]
    Spec {
        /// Id of the architecture.
        space: &'static str,
        /// The reason.
        why: String,
    },
    /// A text that means nothing.
    #[error("`genotype`: {why}{hint} (names: {names})")]
    Genotype {
        /// The reason.
        why: String,
        /// A name that was perhaps meant.
        hint: String,
        /// Every name.
        names: String,
    },
    /// A cell or network that cannot be.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// A text form that is not known.
    #[error("unknown structure format `{found}`, there is `{known}`")]
    Format {
        /// The format named.
        found: String,
        /// The formats there are.
        known: &'static str,
    },
}

/// What the published code counts, modules without use among them.
fn official(layout: &Layout) -> Counters {
    let tally = layout.tally();
    Counters::from([
        ("official.params".to_owned(), tally.params as f64),
        ("official.macs".to_owned(), tally.macs as f64),
    ])
}
