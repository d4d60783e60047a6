//! NAS-Bench-201 as a table: accuracies and scores that others have computed. No torch, no plugin.
//!
//! A [`Table`] answers for every cell, and a [`Space`] is the search space that it covers, so that any
//! strategy can be tried on known results in seconds:
//!
//! ```
//! use nashost_nb201::{Dataset, Space, Table, cell_of};
//! use nashost_plugin_api::strategy::SearchContext as _;
//!
//! let table = Table::shipped()?;
//! let start = Space::new(1).initial()?;
//! assert_eq!(table.accuracy(Dataset::Cifar10, cell_of(&start)?), 90.36);
//! # Ok::<(), nashost_plugin_api::component::PluginError>(())
//! ```
//!
//! Sources: Dong and Yang, *NAS-Bench-201*, ICLR 2020; Krishnakumar et al., *NAS-Bench-Suite-Zero*,
//! NeurIPS 2022; Kadlecová et al., *Surprisingly Strong Performance Prediction with Neural Graph
//! Features*, ICML 2024, whose repository the numbers come from (`data/README.md`).

#![forbid(unsafe_code)]

mod idle;
mod space;
mod table;

pub use idle::{essential, idle};
pub use space::{Space, cell_of};
pub use table::{CELLS, CHANNELS, Dataset, Proxy, Table, TableError};
