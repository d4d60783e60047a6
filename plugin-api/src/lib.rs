//! The contract between nashost and its plugins: traits to implement, types that cross, and the
//! architecture graph. No torch here; see `nashost-plugin-torch` for tensors.

pub mod abi;
pub mod architecture;
pub mod component;
pub mod dataset;
pub mod graph;
pub mod manifest;
pub mod metric;
pub mod problems;
pub mod sdk;
pub mod seed;
pub mod strategy;
pub mod testing;
