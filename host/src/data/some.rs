//! Images that are no dataset: decoded as a run decoded its own, without labels or parts.

use std::ops::Range;

use nashost_plugin_api::dataset::DatasetInfo;

use super::{
    ImageSource, ImageStore,
    decode::{Decoded, decode_each, join},
};

/// How a run decoded, resized and normalised its images.
#[derive(Debug, Clone, Copy)]
pub struct Normalised<'a> {
    /// What its dataset said of itself; the channels count here.
    pub info: &'a DatasetInfo,
    /// Rows and columns.
    pub resolution: usize,
    /// Mean per channel.
    pub mean: &'a [f64],
    /// Standard deviation per channel.
    pub std: &'a [f64],
}

/// Decodes the images `indices` of `source`. The store holds those that can be used, in their order and
/// without records; the outcomes tell, for each of `indices`, whether it can be, or why not.
pub fn decode_some(
    source: &dyn ImageSource,
    indices: Range<usize>,
    as_trained: &Normalised<'_>,
) -> (ImageStore, Vec<std::result::Result<(), String>>) {
    let Normalised { info, resolution, mean, std } = *as_trained;
    let (mut squares, mut outcomes) = (Vec::new(), Vec::new());
    for outcome in decode_each(source, indices, info.channels, resolution, &|_, _| {}) {
        outcomes.push(outcome.map(|square| squares.push(square)));
    }
    let Decoded { dtype, channels, resolution, data, .. } = join(squares, info.channels, resolution);
    let store = ImageStore {
        info: info.clone(),
        records: Vec::new(),
        parts: Vec::new(),
        dtype,
        channels,
        resolution,
        data,
        mean: mean.to_vec(),
        std: std.to_vec(),
        fingerprint: String::new(),
        split_hash: String::new(),
    };
    (store, outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{MemorySource, damaged};

    #[test]
    fn images_that_cannot_be_used_are_told_and_the_others_keep_their_order() {
        let mut source = MemorySource::new(4);
        let info = source.info().unwrap();
        let as_trained = Normalised { info: &info, resolution: 4, mean: &[0.5], std: &[0.25] };
        let (all, outcomes) = decode_some(&source, 0..4, &as_trained);
        assert!(outcomes.iter().all(std::result::Result::is_ok));
        source.pixels[1] = Err(damaged("is truncated"));
        let (some, outcomes) = decode_some(&source, 0..3, &as_trained);
        assert_eq!(outcomes, [Ok(()), Err("is truncated".to_owned()), Ok(())]);
        assert_eq!(some.data, [&all.data[..16], &all.data[32..48]].concat());
        assert_eq!((some.mean, some.std), (vec![0.5], vec![0.25]));
    }
}
