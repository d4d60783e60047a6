//! Controls: what a search or a searched network must beat before its result means anything.
//!
//! [`RandomStrategy`] draws structures of any space at random within the budgets (Li and Talwalkar,
//! Random search and reproducibility for neural architecture search, UAI 2019; Lindauer and Hutter,
//! Best practices for scientific research on neural architecture search, JMLR 21(243), 2020).
//! [`SmallCnn`] is a plain network that nobody searched.

#![deny(unsafe_code)]

mod random;
mod small_cnn;

pub use random::{RandomConfig, RandomStrategy};
pub use small_cnn::{SmallCnn, SmallCnnConfig, SmallCnnError};

nashost_plugin_api::register!(strategy: RandomStrategy);
nashost_plugin_api::register!(architecture: SmallCnn);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
