//! TinyNAS structures: the block vocabulary of DeepMAD, its files, its official counters and the
//! quantities that its scores are made of. No plugin, no network, no torch.
//!
//! A [`Structure`] is a list of [`Block`]s, written as the official code writes it:
//!
//! ```json
//! [{"class": "ConvKXBNRELU", "in": 3, "out": 32, "s": 2, "k": 3},
//!  {"class": "SuperResK1KXK1", "in": 32, "out": 128, "s": 2, "k": 5, "L": 2, "btn": 40}]
//! ```
//!
//! [`mod@file`] reads and writes the files of the official code, [`count`] counts as its budgets do,
//! [`stage`] gives entropies and widths, [`preset`] names published structures.
//!
//! Source: Shen et al., *DeepMAD: Mathematical Architecture Design for Deep Convolutional Neural
//! Network*, CVPR 2023 (arXiv 2303.02165), and the code alibaba/lightweight-neural-architecture-search,
//! commit 8ccaf88.

#![forbid(unsafe_code)]

pub mod block;
pub mod count;
pub mod file;
pub mod preset;
pub mod stage;
pub mod structure;

pub use block::{Block, Class};
pub use count::Counts;
pub use structure::Structure;
