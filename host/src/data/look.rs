//! Looking at every image of a dataset, once.

use std::sync::atomic::{AtomicUsize, Ordering};

use nashost_plugin_api::dataset::Pixels;
use nashost_survey::{Look, THUMBNAIL};
use rayon::prelude::*;

use super::{
    ImageSource, Progress,
    decode::{pixel_digest, to_square},
};

/// Decodes the first `images` images of `source` in parallel and keeps a look of each; one that cannot be used
/// says why.
pub fn look_at_all(
    source: &dyn ImageSource,
    images: usize,
    progress: Progress<'_>,
) -> Vec<std::result::Result<Look, String>> {
    let done = AtomicUsize::new(0);
    let look = |index: usize| {
        let pixels = source.pixels(index).map_err(|error| error.message);
        let look = pixels.and_then(|pixels| look_at(&pixels));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, images);
        look
    };
    (0..images).into_par_iter().map(look).collect()
}

fn look_at(pixels: &Pixels) -> std::result::Result<Look, String> {
    let square = to_square(pixels, 1, THUMBNAIL)?;
    Ok(Look::new(pixels, &square, pixel_digest(pixels)))
}
