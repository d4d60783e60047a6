//! ZenNAS: the evolutionary search (strategy `zennas`) and the Zen-Score (architecture metric
//! `zen-score`).
//!
//! Source: Lin et al., *Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition*, ICCV
//! 2021, and the official code idstcv/ZenNAS. Where paper and code differ, the code decides and
//! the documentation says so. The search works with any searchable architecture and any metric;
//! the score works with any network that has batch normalisation.

#![deny(unsafe_code)]

pub mod score;
pub mod search;

// The unit tests link `superres`, which exports the same symbols.
#[cfg(not(test))]
mod plugin {
    use crate::{score::ZenScore, search::ZenNas};

    nashost_plugin_api::register!(strategy: ZenNas);
    nashost_plugin_api::register!(architecture_metric: ZenScore);
    nashost_plugin_api::export_plugin!(
        manifest: include_str!("../manifest.json"),
        torch: nashost_plugin_torch
    );
}
