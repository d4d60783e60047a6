//! Searches that take any searchable architecture and any metric of structures.
//!
//! [`RegularizedEvolution`] ages its population (Real et al., *Regularized Evolution for Image
//! Classifier Architecture Search*, AAAI 2019, algorithm 1); [`LocalSearch`] climbs from neighbour to
//! neighbour (White et al., *Exploring the Loss Landscape in Neural Architecture Search*, UAI 2021,
//! algorithm 1). Both are written with the author kit alone.

#![deny(unsafe_code)]

mod draw;
mod evolution;
mod ledger;
mod local;

pub use evolution::{EvolutionConfig, RegularizedEvolution};
pub use local::{LocalSearch, LocalSearchConfig};

nashost_plugin_api::register!(strategy: LocalSearch);
nashost_plugin_api::register!(strategy: RegularizedEvolution);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
