//! The supernet of Shapley-NAS and the estimation of its operations' Shapley values.
//!
//! This is the numerical core of the plugin `shapleynas`; it knows neither host nor plugin. A
//! [`Search`] trains a [`Supernet`] and values its operations, step by step; [`estimator`] has the
//! estimators, which work on any [`game`].

#![forbid(unsafe_code)]

pub mod config;
pub mod estimator;
pub mod game;
pub mod geometry;
pub mod labels;
pub mod search;
pub mod space;
pub mod supernet;
pub mod value;

pub use config::{ConfigError, Preset, SearchConfig};
pub use geometry::{Geometry, GeometryError};
pub use search::{
    Augment, Batch, Cost, Record, Role, RolePlan, Samples, SamplesError, Search, SearchError, SearchResult,
    Step, Values, What,
};
pub use supernet::{Frozen, Mixing, Prepared, Supernet};
