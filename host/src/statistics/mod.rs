//! Statistics of runs: what `compare` and `proxy-check` take from run folders. The statistics
//! themselves are in `nashost-stats`.

mod images;
mod proxies;
mod runs;

pub use self::{
    images::{
        LabelDeLong, OnImages, PairOnImages, Patients, SeedOnImages, images_are_patients, on_images,
        read_groups,
    },
    proxies::{score_trained, structures, structures_by},
    runs::{Collected, Done, Label, Trivial, collect, metric_of, read_all},
};

use nashost_stats::Undefined;

use crate::error::{Error, Exit};

/// An undefined statistic as users meet it.
pub fn undefined(what: &str, why: &Undefined) -> Error {
    Error::new(Exit::Usage, "E0904", format!("{what}: {why}"))
}
