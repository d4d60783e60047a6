//! Dataset component [`Dicom`]: grey DICOM images in a folder, labelled by a CSV file.
//!
//! Files are read by a small reader of our own. A hospital's files are untrusted input: every length is
//! compared with the bytes that are there before anything is allocated. Entropy decoding of JPEG and
//! JPEG 2000 is left to `jpeg-decoder` and `hayro-jpeg2000`.

#![deny(unsafe_code)]

mod codec;
mod config;
mod dataset;
mod file;
mod header;
mod index;
mod intensity;
mod labels;
mod near;
mod picture;
mod pseudonym;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::{Attribute, DicomConfig, Frames, Group, Intensity, Join, Unmatched};
pub use dataset::Dicom;

nashost_plugin_api::register!(dataset: Dicom);
nashost_plugin_api::export_plugin!(manifest: include_str!("../manifest.json"));
