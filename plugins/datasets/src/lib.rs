//! Dataset components: `phantom` (synthetic X-rays), `csv-images` (image folders with a CSV
//! index), `medmnist` (npz files).

#![forbid(unsafe_code)]

pub mod phantom;
