//! Architecture component `superres`: chains of ZenNAS super-blocks.
//!
//! A [`Structure`](structure::Structure) is a list of super-blocks; as a spec it is a JSON list
//! such as
//!
//! ```json
//! [{"block": "SuperConvK3BNRELU", "in": 3, "out": 8, "stride": 1, "layers": 1},
//!  {"block": "SuperResK1K5K1", "in": 8, "out": 16, "stride": 2, "bottleneck": 8, "layers": 2}]
//! ```
//!
//! and as text the official code's PlainNet string
//! `SuperConvK3BNRELU(3,8,1,1)SuperResK1K5K1(8,16,2,8,2)` (see [`plainnet`]). Networks are such a
//! chain, global average pooling and a linear classifier. [`mutation`] holds the two official
//! search spaces, [`official`] the official counters for published budgets.
//!
//! Source: Lin et al., *Zen-NAS*, ICCV 2021, and the code idstcv/ZenNAS.

#![deny(unsafe_code)]

pub mod block;
mod component;
mod exact;
pub mod mutation;
mod network;
pub mod official;
pub mod plainnet;
pub mod preset;
pub mod structure;
mod unit;

pub use component::{Config, SuperRes};

nashost_plugin_api::register!(architecture: SuperRes);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
