//! DeepMAD: the search (strategy `deepmad`), its score (architecture metric `mad-score`) and the
//! effectiveness ρ that bounds it (architecture metric `efficient-score`).
//!
//! Source: Shen et al., *DeepMAD: Mathematical Architecture Design for Deep Convolutional Neural
//! Network*, CVPR 2023 (arXiv 2303.02165), and the code
//! alibaba/lightweight-neural-architecture-search, commit 8ccaf88. The two differ; each choice is
//! a setting, and the documentation says what the code does.

#![deny(unsafe_code)]

pub mod score;
pub mod search;

// The unit tests link `superres`, which exports the same symbols.
#[cfg(not(test))]
mod plugin {
    use crate::{
        score::{EfficientScore, MadScore},
        search::DeepMad,
    };

    nashost_plugin_api::register!(strategy: DeepMad);
    nashost_plugin_api::register!(architecture_metric: EfficientScore);
    nashost_plugin_api::register!(architecture_metric: MadScore);
    nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
}

#[cfg(test)]
mod recipes;
