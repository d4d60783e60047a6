//! Maps of many findings, with trained weights and with weights drawn anew.

use nashost_plugin_torch::{Network, Weights};
use nashost_stats::{Alternative, correlation::spearman};
use tch::{Kind, Tensor};

use crate::{Cam, Pointing, SaliencyError, point, randomise::layers_of, randomised};

/// A finding on an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Names the image to whoever has the images.
    pub image: usize,
    /// The label, by its place.
    pub label: usize,
    /// Where it is: rows × columns of the square image.
    pub finding: Vec<bool>,
}

/// A map with its score.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Rows × columns of [`Found::size`], at least 0.
    pub map: Vec<f32>,
    /// Place of the largest value on the square image, row and column.
    pub peak: [usize; 2],
    /// How it meets the finding.
    pub pointing: Pointing,
}

/// The findings once more, with layers drawn anew.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Layers drawn anew, from the output downwards.
    pub layers: usize,
    /// Layers that the network has.
    pub of: usize,
    /// One per case.
    pub pointings: Vec<Pointing>,
    /// Mean rank correlation of the maps with those of the trained weights, over the cases where it is
    /// defined.
    pub similarity: Option<f64>,
}

/// What the maps of a network show.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Node whose value was looked at.
    pub tap: String,
    /// Rows and columns of the maps.
    pub size: [usize; 2],
    /// One per case.
    pub trained: Vec<Seen>,
    /// The output layer, the upper half and all layers drawn anew.
    pub randomised: Vec<Stage>,
}

/// Looks at all `cases`, which are sorted by their images, with the `trained` weights, and with those of
/// `fresh` in the place of the last layer, the last half of the layers, and all of them. `images` answers
/// images by their names, as the network takes them; at most `batch` of them are asked for at once.
///
/// There is nothing to be found in a network whose values have one place only.
///
/// # Errors
///
/// Fails if the images cannot be had or the device fails.
pub fn examine<E: From<SaliencyError>>(
    network: &Network,
    [trained, fresh]: [&Weights; 2],
    cases: &[Case],
    batch: usize,
    images: &dyn Fn(&[usize]) -> Result<Tensor, E>,
) -> Result<Option<Found>, E> {
    let Some(cam) = Cam::new(network)? else { return Ok(None) };
    let seen = look(&cam, trained, cases, batch, images)?;
    let of = layers_of(network).len();
    let mut stages = Vec::new();
    for layers in [1, of.div_ceil(2), of] {
        let weights = randomised(network, trained, fresh, layers);
        let drawn = look(&cam, &weights, cases, batch, images)?;
        stages.push(Stage {
            layers,
            of,
            similarity: similarity(&seen, &drawn),
            pointings: drawn.into_iter().map(|seen| seen.pointing).collect(),
        });
    }
    Ok(Some(Found { tap: cam.tap().to_owned(), size: cam.size(), trained: seen, randomised: stages }))
}

/// Maps and scores of all cases with one set of weights.
fn look<E: From<SaliencyError>>(
    cam: &Cam<'_>,
    weights: &Weights,
    cases: &[Case],
    batch: usize,
    images: &dyn Fn(&[usize]) -> Result<Tensor, E>,
) -> Result<Vec<Seen>, E> {
    let by_image: Vec<&[Case]> = cases.chunk_by(|a, b| a.image == b.image).collect();
    let mut seen = Vec::with_capacity(cases.len());
    for group in by_image.chunks(batch.max(1)) {
        let names: Vec<usize> = group.iter().map(|cases| cases[0].image).collect();
        let mut labels: Vec<usize> =
            group.iter().flat_map(|cases| cases.iter().map(|case| case.label)).collect();
        labels.sort_unstable();
        labels.dedup();
        let maps = cam.maps(weights, &images(&names)?, &labels)?;
        for (place, cases) in group.iter().enumerate() {
            for case in *cases {
                let Ok(label) = labels.binary_search(&case.label) else { continue };
                let map = maps[label].narrow(0, place as i64, 1);
                seen.push(score(&map, &case.finding).map_err(E::from)?);
            }
        }
    }
    Ok(seen)
}

fn score(map: &Tensor, finding: &[bool]) -> Result<Seen, SaliencyError> {
    let side = finding.len().isqrt();
    let large = values(&Cam::enlarge(map, side)?)?;
    let peak = large.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let peak = peak.map_or(0, |(place, _)| place);
    Ok(Seen {
        map: values(map)?,
        peak: [peak / side.max(1), peak % side.max(1)],
        pointing: point(&large, finding),
    })
}

fn values(tensor: &Tensor) -> Result<Vec<f32>, SaliencyError> {
    Ok(Vec::try_from(tensor.f_to_kind(Kind::Float)?.f_contiguous()?.f_view([-1])?)?)
}

fn similarity(trained: &[Seen], drawn: &[Seen]) -> Option<f64> {
    let wide = |map: &[f32]| map.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let pairs = trained.iter().zip(drawn);
    let found: Vec<f64> = pairs
        .filter_map(|(a, b)| spearman(&wide(&a.map), &wide(&b.map), Alternative::TwoSided).ok())
        .map(|found| found.coefficient)
        .collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

#[cfg(test)]
mod tests {
    use nashost_plugin_torch::gaussian;

    use super::*;
    use crate::cam::tests::network;

    fn cases() -> Vec<Case> {
        let finding = |first: usize| (0..64).map(|place| place >= first).collect::<Vec<_>>();
        let case = |image, label, first| Case { image, label, finding: finding(first) };
        vec![case(2, 1, 32), case(3, 0, 0), case(3, 1, 64), case(9, 0, 32)]
    }

    fn images(names: &[usize]) -> Result<Tensor, SaliencyError> {
        let each: Vec<Tensor> = names.iter().map(|name| gaussian(*name as u64, &[1, 3, 8, 8])).collect();
        Ok(Tensor::cat(&each, 0))
    }

    #[test]
    fn every_case_has_the_map_of_its_image_and_label() {
        let network = network();
        let (trained, fresh) = (network.initialize(1), network.initialize(2));
        let look = |batch| examine(&network, [&trained, &fresh], &cases(), batch, &images).unwrap().unwrap();
        let found = look(2);
        assert_eq!((found.tap.as_str(), found.size, found.trained.len()), ("relu2", [4, 4], 4));
        let cam = Cam::new(&network).unwrap().unwrap();
        for (case, seen) in cases().iter().zip(&found.trained) {
            let map = cam.maps(&trained, &images(&[case.image]).unwrap(), &[case.label]).unwrap().remove(0);
            let expected = values(&map).unwrap();
            assert!(seen.map.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6), "{case:?}");
        }
        let hits: Vec<bool> = found.trained.iter().map(|seen| seen.pointing.hit).collect();
        assert!(!hits[2], "nothing is hit where there is nothing");
        assert_eq!(found.trained[1].pointing.area, 1.0);
        for seen in &found.trained {
            let [row, column] = seen.peak;
            assert!(row < 8 && column < 8);
        }
        let layers: Vec<_> = found.randomised.iter().map(|stage| (stage.layers, stage.of)).collect();
        assert_eq!(layers, [(1, 4), (2, 4), (4, 4)]);
        for (stage, other) in found.randomised.iter().zip(&look(1).randomised) {
            // Another batch adds up in another order.
            for (a, b) in stage.pointings.iter().zip(&other.pointings) {
                assert_eq!(a.hit, b.hit);
                assert!((a.mass.unwrap() - b.mass.unwrap()).abs() < 1e-5, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn maps_of_the_same_weights_are_alike_and_others_are_less() {
        let network = network();
        let (trained, fresh) = (network.initialize(1), network.initialize(2));
        let of = |fresh: &Weights| {
            let found = examine(&network, [&trained, fresh], &cases(), 8, &images).unwrap().unwrap();
            found.randomised.iter().map(|stage| stage.similarity).collect::<Vec<_>>()
        };
        for same in of(&trained) {
            assert!((same.unwrap() - 1.0).abs() < 1e-12);
        }
        assert!(of(&fresh)[2].unwrap() < 0.9);
    }
}
