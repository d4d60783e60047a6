//! Networks made of cells: the space of DARTS and that of NAS-Bench-201, as graphs. No torch.
//!
//! A [`Genotype`] says what the two cells of a DARTS network are; it is read and written as JSON and
//! as the Python text of the published codes, [derived](mod@derive) from the architecture parameters of a
//! supernet, drawn or mutated. [`Darts`] stacks its cells to a network. [`CellStructure`] and [`Nb201`]
//! are the same for NAS-Bench-201.
//!
//! Sources: Liu et al., *DARTS: Differentiable architecture search*, ICLR 2019; Xiao et al.,
//! *Shapley-NAS*, CVPR 2022, and its code; Dong and Yang, *NAS-Bench-201*, ICLR 2020.

#![forbid(unsafe_code)]

mod darts;
pub mod derive;
mod error;
mod genotype;
mod nb201;
mod net;
mod operation;
pub mod preset;
mod random;
mod text;

pub use darts::{Darts, Stem};
pub use error::CellError;
pub use genotype::{CellType, Edge, Genotype};
pub use nb201::{CellStructure, Nb201, Nb201Op};
pub use net::{Layout, Tally};
pub use operation::{Operation, SEARCHED};
