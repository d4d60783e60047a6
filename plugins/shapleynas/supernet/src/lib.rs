//! The supernet of Shapley-NAS and the estimation of its operations' Shapley values.
//!
//! This is the numerical core of the plugin `shapleynas`; it knows neither host nor plugin.

#![forbid(unsafe_code)]

pub mod geometry;
pub mod space;
pub mod supernet;

pub use geometry::{Geometry, GeometryError};
pub use supernet::{Frozen, Mixing, Prepared, Supernet};
