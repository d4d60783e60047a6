//! Where a trained network looks, on the test images on which the dataset knows the places of findings.

use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use nashost_plugin_api::{
    dataset::{Part, PixelType, Pixels, Target},
    seed::derive_seed,
};
use nashost_plugin_torch::{Network, Weights};
use nashost_report::data::{PointingResult, RandomisedResult, Saliency, SaliencyExample};
use nashost_saliency::{Case, Found, Pointing, SaliencyError, Seen, examine};
use tch::Device;

use super::trial::torch;
use crate::{
    data::{ImageSource, ImageStore},
    error::{Error, Exit, Result},
    evaluate::PredictionTable,
    run::atomic,
    train,
};

/// Findings of a label that are looked at, in the order of the images.
const MOST: usize = 64;
/// Findings of a label that are drawn.
const EXAMPLES: usize = 2;
/// Images that are looked at at once: gradients keep the values of all layers.
const BATCH: usize = 16;

/// A trained network, and how it judges the test part.
pub(super) struct Trained<'a> {
    pub(super) network: &'a Network,
    pub(super) weights: &'a Weights,
    pub(super) table: &'a PredictionTable,
    pub(super) seed: u64,
    pub(super) device: Device,
}

/// File of a trial, relative to the run directory.
pub(crate) fn file(trial: &str) -> PathBuf {
    Path::new("predictions").join(format!("{trial}_saliency.json"))
}

impl From<SaliencyError> for Error {
    fn from(error: SaliencyError) -> Self {
        match error {
            SaliencyError::Network(error) => torch(&error),
            other => Error::new(Exit::No, "E0803", other.to_string()),
        }
    }
}

/// Looks, and writes what was seen to `path`; nothing is written where the dataset knows no place. A trial
/// keeps its result if looking fails: the file then says why.
///
/// # Errors
///
/// Fails if the file cannot be written.
pub(super) fn write(
    path: &Path,
    source: &dyn ImageSource,
    store: &ImageStore,
    trained: &Trained<'_>,
) -> Result<()> {
    let seen = look(source, store, trained);
    let seen = seen.unwrap_or_else(|error| {
        tracing::warn!("no saliency maps: {}", error.message);
        Some(Saliency { problem: Some(error.message), ..Saliency::default() })
    });
    seen.map_or(Ok(()), |seen| atomic::write_json(path, &seen))
}

fn look(source: &dyn ImageSource, store: &ImageStore, trained: &Trained<'_>) -> Result<Option<Saliency>> {
    let cases = cases(source, store)?;
    if cases.is_empty() {
        return Ok(None);
    }
    let Trained { network, weights, seed, device, .. } = *trained;
    let fresh = network.initialize(derive_seed(seed, "saliency")).to_device(device);
    let images = |names: &[usize]| train::images(network, store, names, device);
    let found = examine(network, [weights, &fresh], &cases, BATCH, &images)?;
    Ok(found.map(|found| told(store, trained.table, &cases, &found)))
}

/// Findings of the test part whose places the dataset knows, image by image.
fn cases(source: &dyn ImageSource, store: &ImageStore) -> Result<Vec<Case>> {
    let mut taken = vec![0; store.labels()];
    let mut cases = Vec::new();
    for image in store.indices(Part::Test) {
        for (label, target) in store.records[image].targets.iter().enumerate() {
            if *target != Target::Positive || taken[label] == MOST {
                continue;
            }
            if let Some(mask) = source.mask(image, label)? {
                taken[label] += 1;
                let finding = finding(mask, store.resolution).map_err(|why| {
                    let id = &store.records[image].id;
                    Error::new(
                        Exit::No,
                        "E0803",
                        format!("mask of {}, image `{id}`: {why}", store.info.labels[label]),
                    )
                })?;
                cases.push(Case { image, label, finding });
            }
        }
    }
    Ok(cases)
}

/// Where a finding is on the square image: where at least half of a pixel belongs to it, or any of it, if it
/// is nowhere that large.
fn finding(mask: Pixels, side: usize) -> std::result::Result<Vec<bool>, String> {
    if (mask.channels, mask.dtype) != (1, PixelType::U8) {
        return Err("a mask has one channel of 8 bits".to_owned());
    }
    let Pixels { height, width, data, .. } = mask;
    if height == 0 || width == 0 || data.len() != height * width {
        return Err(format!("{} bytes for {height} rows and {width} columns", data.len()));
    }
    // The pixels of the mask that a pixel of the square lies over: one at least.
    let over = |index: usize, size: usize| {
        let first = index * size / side;
        first..((index + 1) * size / side).max(first + 1)
    };
    let shares: Vec<f64> = (0..side * side)
        .map(|place| {
            let (rows, columns) = (over(place / side, height), over(place % side, width));
            let all = rows.len() * columns.len();
            let on = rows.flat_map(|row| columns.clone().map(move |column| row * width + column));
            on.filter(|place| data[*place] != 0).count() as f64 / all as f64
        })
        .collect();
    let vanishes = shares.iter().all(|share| *share < 0.5);
    Ok(shares.into_iter().map(|share| share >= 0.5 || (vanishes && share > 0.0)).collect())
}

/// What was seen, in the words of the report.
fn told(store: &ImageStore, table: &PredictionTable, cases: &[Case], found: &Found) -> Saliency {
    let trained = || found.trained.iter().map(|seen| seen.pointing);
    let centre = |case: &Case| case.finding[(store.resolution / 2) * store.resolution + store.resolution / 2];
    let labels = store.info.labels.iter().enumerate().filter_map(|(label, name)| {
        let of: Vec<_> = cases.iter().zip(trained()).filter(|(case, _)| case.label == label).collect();
        let pointings: Vec<Pointing> = of.iter().map(|(_, pointing)| *pointing).collect();
        (!of.is_empty()).then(|| PointingResult {
            label: name.clone(),
            findings: of.len() as u64,
            hits: hits(&pointings),
            centre_hits: of.iter().filter(|(case, _)| centre(case)).count() as u64,
            blank: pointings.iter().filter(|pointing| pointing.mass.is_none()).count() as u64,
            mass: mean(pointings.iter().filter_map(|pointing| pointing.mass)),
            area: mean(pointings.iter().map(|pointing| pointing.area)),
        })
    });
    let all: Vec<Pointing> = trained().collect();
    let stages = found.randomised.iter().map(|stage| RandomisedResult {
        layers: stage.layers as u64,
        of: stage.of as u64,
        findings: stage.pointings.len() as u64,
        hits: hits(&stage.pointings),
        mass: mean(stage.pointings.iter().filter_map(|pointing| pointing.mass)),
        similarity: stage.similarity,
    });
    let none = RandomisedResult {
        of: found.randomised.first().map_or(0, |stage| stage.of as u64),
        findings: all.len() as u64,
        hits: hits(&all),
        mass: mean(all.iter().filter_map(|pointing| pointing.mass)),
        similarity: Some(1.0),
        ..RandomisedResult::default()
    };
    let mut drawn = vec![0; store.labels()];
    let examples = cases.iter().zip(&found.trained).filter(|(case, _)| {
        drawn[case.label] += 1;
        drawn[case.label] <= EXAMPLES
    });
    let mut examples: Vec<(usize, SaliencyExample)> =
        examples.map(|(case, seen)| (case.label, example(store, table, case, seen))).collect();
    examples.sort_by_key(|(label, _)| *label);
    Saliency {
        problem: None,
        node: found.tap.clone(),
        map: found.size,
        side: store.resolution,
        labels: labels.collect(),
        randomised: std::iter::once(none).chain(stages).collect(),
        examples: examples.into_iter().map(|(_, example)| example).collect(),
    }
}

fn example(store: &ImageStore, table: &PredictionTable, case: &Case, seen: &Seen) -> SaliencyExample {
    let row = table.truth().ids().iter().position(|id| *id == store.records[case.image].id);
    let largest = seen.map.iter().copied().fold(0.0, f32::max).max(f32::MIN_POSITIVE);
    let map: Vec<u8> = seen.map.iter().map(|value| (value / largest * 255.0).round() as u8).collect();
    let finding: Vec<u8> = case.finding.iter().map(|on| u8::from(*on)).collect();
    SaliencyExample {
        label: store.info.labels[case.label].clone(),
        score: row.map(|row| table.scores()[row * store.labels() + case.label]),
        hit: seen.pointing.hit,
        peak: seen.peak,
        image: BASE64_STANDARD.encode(grey(store, case.image)),
        map: BASE64_STANDARD.encode(map),
        finding: BASE64_STANDARD.encode(finding),
    }
}

/// The first channel of an image in 8 bits.
fn grey(store: &ImageStore, image: usize) -> Vec<u8> {
    let (plane, size) = (store.resolution * store.resolution, store.dtype.size());
    let first = &store.data[image * store.channels * plane * size..][..plane * size];
    match store.dtype {
        PixelType::U8 => first.to_vec(),
        PixelType::U16 => {
            first.chunks_exact(2).map(|value| (u16::from_ne_bytes([value[0], value[1]]) >> 8) as u8).collect()
        }
    }
}

fn hits(pointings: &[Pointing]) -> u64 {
    pointings.iter().filter(|pointing| pointing.hit).count() as u64
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(height: usize, width: usize, on: impl Fn(usize) -> bool) -> Pixels {
        let data = (0..height * width).map(|place| u8::from(on(place))).collect();
        Pixels { height, width, channels: 1, dtype: PixelType::U8, data }
    }

    #[test]
    fn a_finding_is_where_half_a_pixel_is_or_anything_of_it() {
        // The left half; each pixel of the square takes 2 × 2 of the mask.
        let half = finding(mask(8, 8, |place| place % 8 < 4), 4).unwrap();
        assert_eq!(
            half.chunks(4).map(|row| row.to_vec()).collect::<Vec<_>>(),
            vec![[true, true, false, false]; 4]
        );
        let speck = finding(mask(64, 64, |place| place == 0), 4).unwrap();
        assert!(speck[0] && !speck[15], "a finding does not vanish: {speck:?}");
        assert!(finding(mask(8, 8, |_| false), 4).unwrap().iter().all(|on| !on));
        let large = finding(mask(2, 2, |place| place == 3), 4).unwrap();
        assert_eq!(large.iter().filter(|on| **on).count(), 4, "a smaller mask is enlarged");
        assert!(large[15] && !large[0]);
        let deep = Pixels { dtype: PixelType::U16, ..mask(8, 8, |_| true) };
        assert!(finding(deep, 4).is_err());
    }
}
