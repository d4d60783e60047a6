//! Images and labels in memory: checks, splits, decoding, caching, downloads.
//!
//! [`Catalogue::read`] asks a dataset for its records and checks them, [`Split`] assigns each image
//! to a part, [`load`] decodes everything once into an [`ImageStore`].

mod cache;
mod catalogue;
mod check;
mod decode;
mod digest;
mod fetch;
mod load;
mod look;
mod report;
mod some;
mod source;
mod split;
mod statistics;
mod store;
#[cfg(test)]
mod testing;

pub use catalogue::Catalogue;
pub use check::check;
pub use decode::to_square;
pub use fetch::{Checksum, Download, Fetched, KNOWN_DOWNLOADS, Limits, fetch, known_download};
pub use load::{CacheUse, LoadRequest, Loaded, load};
pub use look::look_at_all;
pub use report::{CheckReport, LabelCount, Problem, Severity};
pub use some::{Normalised, decode_some};
pub use source::{ImageSource, Progress};
pub use split::{Split, SplitFile, SplitMethod};
pub use store::ImageStore;
