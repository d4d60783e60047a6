//! The statistics by which nashost tells methods apart: rank tests, paired tests, intervals, effect
//! sizes, corrections for many tests, and correlation.
//!
//! Where SciPy has the same test, the answers are SciPy's, corner cases included; what SciPy answers
//! with NaN is [`Undefined`] here, with a reason. On top of them stand [`comparison`], which compares
//! methods by their runs, [`predictions`], which compares models on the images of a test set, and
//! [`proxy`]. The only files that are read are CSV texts of results ([`table`], [`study`]).
#![forbid(unsafe_code)]

pub mod bootstrap;
pub mod comparison;
pub mod correlation;
pub mod delong;
mod distribution;
pub mod effect;
mod error;
pub mod interval;
pub mod mann_whitney;
pub mod mcnemar;
pub mod mean;
pub mod multiple;
pub mod power;
pub mod predictions;
pub mod proxy;
pub mod rank;
pub mod study;
pub mod table;
pub mod wilcoxon;

pub use error::{Result, Undefined};

use serde::Serialize;

/// The direction in which a test looks for a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alternative {
    /// The first is smaller or greater than the second.
    #[default]
    TwoSided,
    /// The first tends to be smaller.
    Less,
    /// The first tends to be greater.
    Greater,
}

/// How a p-value of a rank test is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// As the number of values and ties suggest; each test says what it takes.
    #[default]
    Auto,
    /// From the exact distribution of values without ties.
    Exact,
    /// From all arrangements of the ranks as they are, ties included: exact, and without ties that of
    /// [`Method::Exact`].
    Permutation,
    /// From the normal approximation.
    Asymptotic,
}
