//! Dataset components: [`phantom`] (synthetic X-rays), [`csv_images`] (image folders labelled by
//! CSV files), [`medmnist`] (npz files).

#![deny(unsafe_code)]

pub mod csv_images;
pub mod medmnist;
mod near;
pub mod phantom;

nashost_plugin_api::register!(dataset: csv_images::CsvImages);
nashost_plugin_api::register!(dataset: medmnist::Medmnist);
nashost_plugin_api::register!(dataset: phantom::Phantom);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
