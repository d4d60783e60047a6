//! ZenNAS: the evolutionary search (strategy `zennas`) and the Zen-Score (architecture metric
//! `zen-score`).
//!
//! Source: Lin et al., *Zen-NAS: A Zero-Shot NAS for High-Performance Image Recognition*, ICCV
//! 2021, and the official code idstcv/ZenNAS. Where paper and code differ, the code decides and
//! the documentation says so. The search works with any searchable architecture and any metric;
//! the score works with any network that has batch normalisation.

#![forbid(unsafe_code)]

pub mod score;
pub mod search;
