//! Dataset components: [`phantom`] (synthetic X-rays), [`csv_images`] (image folders labelled by
//! CSV files), [`medmnist`] (npz files).

#![forbid(unsafe_code)]

pub mod csv_images;
pub mod medmnist;
pub mod phantom;
mod problems;

pub use problems::Problems;
