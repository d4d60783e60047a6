//! Architecture component `superres`: chains of super-blocks, in the words of ZenNAS and of TinyNAS
//! (DeepMAD).
//!
//! A spec is a JSON list. With ZenNAS's super-blocks, a [`Structure`](structure::Structure), it is
//! such as
//!
//! ```json
//! [{"block": "SuperConvK3BNRELU", "in": 3, "out": 8, "stride": 1, "layers": 1},
//!  {"block": "SuperResK1K5K1", "in": 8, "out": 16, "stride": 2, "bottleneck": 8, "layers": 2}]
//! ```
//!
//! and as text the official code's PlainNet string
//! `SuperConvK3BNRELU(3,8,1,1)SuperResK1K5K1(8,16,2,8,2)` (see [`plainnet`]). With TinyNAS's blocks it
//! is the official list itself (see [`nashost_tinynas`]), as in `best_structure.json`. Networks are
//! such a chain, global average pooling and a linear classifier. [`mutation`] holds the two search
//! spaces of ZenNAS and [`official`] its counters, [`tinynas`] the search spaces of DeepMAD.
//!
//! Source: Lin et al., *Zen-NAS*, ICCV 2021, and the code idstcv/ZenNAS; Shen et al., *DeepMAD*,
//! CVPR 2023, and the code alibaba/lightweight-neural-architecture-search.

#![deny(unsafe_code)]

pub mod block;
pub mod chain;
mod component;
mod exact;
pub mod mutation;
mod network;
pub mod official;
pub mod plainnet;
pub mod preset;
pub mod structure;
pub mod tinynas;
mod unit;

pub use component::{Config, Space, SuperRes};

nashost_plugin_api::register!(architecture: SuperRes);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
