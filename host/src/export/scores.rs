//! Scores of images by a trained network.

use std::path::Path;

use nashost_plugin_torch::{Network, Weights};
use tch::Device;

use super::{
    images::Files,
    trained::{TrainedModel, not_exported},
};
use crate::{
    data::{Normalised, decode_some},
    error::Result,
    run::{atomic, io_error},
    train,
};

/// Images that are in memory at once.
const CHUNK: usize = 256;

/// First line of the answer.
const HEADER: [&str; 6] = ["image", "label", "score", "threshold", "positive", "why"];

/// Scores of images.
#[derive(Debug)]
pub(crate) struct Scored {
    /// For each image, one score per label, or why there are none.
    pub(crate) images: Vec<std::result::Result<Vec<f64>, String>>,
}

/// Scores `count` images of `files` on `device`, as the images of the run were decoded, resized and
/// normalised, and tells `done` how many are done.
///
/// # Errors
///
/// Fails if the network or the device does. An image that cannot be used is part of the answer.
pub(crate) fn score(
    model: &TrainedModel,
    files: &Files,
    count: usize,
    device: Device,
    done: &dyn Fn(usize),
) -> Result<Scored> {
    let network = Network::new(model.graph.clone()).map_err(|error| not_exported(&error))?;
    let weights = Weights::load(&network, &model.path).map_err(|error| not_exported(&error))?;
    let as_trained = Normalised {
        info: &model.info,
        resolution: model.graph.input[1],
        mean: &model.normalisation.mean,
        std: &model.normalisation.std,
    };
    let labels = model.info.labels.len();
    let mut images = Vec::with_capacity(count);
    for start in (0..count).step_by(CHUNK) {
        let (store, outcomes) = decode_some(files, start..(start + CHUNK).min(count), &as_trained);
        let usable = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let indices: Vec<usize> = (0..usable).collect();
        let scores = train::predict(&network, &weights, &store, &indices, model.request.train.batch, device)?;
        let mut rows = scores.chunks_exact(labels);
        for outcome in outcomes {
            images.push(outcome.map(|()| rows.next().expect("one row per usable image").to_vec()));
        }
        done(images.len());
    }
    Ok(Scored { images })
}

impl Scored {
    /// Number of images without scores.
    pub(crate) fn unusable(&self) -> usize {
        self.images.iter().filter(|image| image.is_err()).count()
    }

    /// Writes `path` as CSV, one row per image and label: `image,label,score,threshold,positive,why`. An
    /// image that could not be used has empty scores and says why. The file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// Fails if it cannot be written.
    pub(crate) fn write(&self, model: &TrainedModel, names: &[String], path: &Path) -> Result<()> {
        let csv = self
            .to_csv(&model.info.labels, &model.report.thresholds, names)
            .map_err(|error| io_error("write", path, &std::io::Error::other(error)))?;
        atomic::write(path, &csv)
    }

    fn to_csv(&self, labels: &[String], thresholds: &[f64], names: &[String]) -> csv::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER)?;
        for (name, image) in names.iter().zip(&self.images) {
            for (at, (label, threshold)) in labels.iter().zip(thresholds).enumerate() {
                // `Debug` of a float is the shortest text that reads back as the same number.
                let (score, positive, why) = match image {
                    Ok(scores) => {
                        (format!("{:?}", scores[at]), u8::from(scores[at] > *threshold).to_string(), "")
                    }
                    Err(why) => (String::new(), String::new(), why.as_str()),
                };
                writer.write_record([name, label, &score, &format!("{threshold:?}"), &positive, why])?;
            }
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_images_have_rows_that_say_why() {
        let scored = Scored { images: vec![Ok(vec![0.25, 0.625]), Err("is truncated".to_owned())] };
        let text = ["a", "b"].map(str::to_owned);
        let csv = scored.to_csv(&["x".to_owned(), "y, z".to_owned()], &[0.3, 0.5], &text).unwrap();
        let expected = "image,label,score,threshold,positive,why\na,x,0.25,0.3,0,\na,\"y, z\",0.625,0.5,1,\n\
                        b,x,,0.3,,is truncated\nb,\"y, z\",,0.5,,is truncated\n";
        assert_eq!(String::from_utf8(csv).unwrap(), expected);
        assert_eq!(scored.unusable(), 1);
    }
}
