//! Trained networks for other programs, and scores of images that no run has seen.
//!
//! [`TrainedModel`] is a network of a run with everything that it takes to use it; it is read from the
//! run's record and checkpoint alone, without plugins.

mod images;
mod scores;
mod torchscript;
mod trained;
mod write;

pub use self::write::Format;
pub(crate) use self::{
    images::{ImageList, require_image_files},
    scores::score,
    trained::TrainedModel,
    write::write,
};
