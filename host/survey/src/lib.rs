//! A dataset looked at before any training: counts, sizes, intensities, pictures that occur twice, labels that
//! contradict each other, and a page of all that.
//!
//! [`Look`] is what is kept of one decoded image, [`twins`] finds pictures that different patients share,
//! [`Survey`] brings everything together, [`Survey::tables`] and [`preview`] show it.

#![forbid(unsafe_code)]

mod look;
mod phash;
mod show;
mod survey;
mod twins;

pub use self::{
    look::{BINS, Look, THUMBNAIL},
    phash::{MOST_BITS, Picture},
    show::preview,
    survey::{Contradictions, Intensity, LabelCount, Looked, PartCount, Size, Survey, Twin},
    twins::{LEAST_CORRELATION, Twins, twins},
};
