//! Searches over drawn images.

use nashost_plugin_api::seed::{derive_seed, rng};
use rand::Rng as _;
use tch::{Device, Tensor};

use super::*;
use crate::config::{Loss, NormMode, Official, PositiveWeight, Preset, Value, ValueSample};

/// Images whose labels can be seen: label `l` brightens a quarter.
struct Drawn {
    train: usize,
    validation: usize,
    labels: usize,
    side: i64,
    channels: i64,
    /// Whether each image has exactly one label.
    classes: bool,
    /// Whether any label is present in the validation part.
    positives: bool,
    /// Roles that were asked for.
    asked: Vec<Role>,
}

impl Drawn {
    fn new(train: usize, labels: usize) -> Self {
        Self {
            train,
            validation: 10,
            labels,
            side: 8,
            channels: 1,
            classes: false,
            positives: true,
            asked: Vec::new(),
        }
    }

    fn present(&self, role: Role, image: usize, label: usize) -> bool {
        if self.classes {
            return derive_seed(image as u64, &format!("{role:?}")) % self.labels as u64 == label as u64;
        }
        let positives = self.positives || role == Role::Train;
        positives && derive_seed(image as u64, &format!("{role:?}/{label}")).is_multiple_of(3)
    }

    fn targets(&self, role: Role, images: &[i64]) -> Tensor {
        let row = |&image: &i64| (0..self.labels).map(move |label| (image as usize, label));
        let values: Vec<f32> = images
            .iter()
            .flat_map(row)
            .map(|(image, label)| f32::from(u8::from(self.present(role, image, label))))
            .collect();
        Tensor::from_slice(&values).view([images.len() as i64, self.labels as i64])
    }

    fn image(&self, role: Role, image: i64) -> Tensor {
        let mut rng = rng(derive_seed(image as u64, &format!("{role:?}")));
        let pixels: Vec<f32> =
            (0..self.channels * self.side * self.side).map(|_| rng.random_range(-1.0..1.0)).collect();
        let tensor = Tensor::from_slice(&pixels).view([self.channels, self.side, self.side]);
        let half = self.side / 2;
        for label in 0..self.labels.min(4) {
            if self.present(role, image as usize, label) {
                let (top, left) = (label as i64 / 2 * half, label as i64 % 2 * half);
                let mut quarter = tensor.narrow(1, top, half).narrow(2, left, half);
                quarter += 1.5;
            }
        }
        tensor
    }
}

impl Samples for Drawn {
    fn len(&self, role: Role) -> usize {
        match role {
            Role::Train => self.train,
            Role::Validation => self.validation,
        }
    }

    fn targets(&self, role: Role) -> Result<(Tensor, Tensor), SamplesError> {
        let all: Vec<i64> = (0..self.len(role) as i64).collect();
        let targets = Drawn::targets(self, role, &all);
        let assessed = targets.ones_like();
        Ok((targets, assessed))
    }

    fn batch(&mut self, role: Role, indices: &[i64], _: Augment) -> Result<Batch, SamplesError> {
        self.asked.push(role);
        let images: Vec<Tensor> = indices.iter().map(|&image| self.image(role, image)).collect();
        let targets = Drawn::targets(self, role, indices);
        let assessed = targets.ones_like();
        Ok(Batch { images: Tensor::stack(&images, 0), targets, assessed })
    }
}

fn config() -> SearchConfig {
    SearchConfig {
        channels: 4,
        layers: 3,
        partial_channels: 2,
        epochs: 3,
        warm_up: 1,
        batch: 8,
        value_images: 6,
        samples: 2,
        strata: 1,
        folds: 2,
        ..SearchConfig::default()
    }
}

fn search(config: &SearchConfig, samples: &Drawn) -> Search {
    let shape = [samples.channels, samples.side, samples.side].map(|size| size as usize);
    Search::new(config.clone(), shape, samples.labels, 7, Device::Cpu).unwrap()
}

fn finish(search: &mut Search, samples: &mut Drawn) -> Vec<Step> {
    let mut steps = Vec::new();
    while !search.is_finished() {
        steps.push(search.step(samples).unwrap());
    }
    steps
}

#[test]
fn a_search_begins_near_equal_weights_and_can_be_moved_between_threads() {
    let search = search(&config(), &Drawn::new(24, 3));
    let found = std::thread::spawn(move || search.result().softmax).join().unwrap();
    let spread = found.as_flattened().as_flattened().iter().map(|weight| (weight - 1.0 / 7.0).abs());
    let largest = spread.fold(0.0, f64::max);
    // Four standard deviations of 1e-3, each moving a weight by a seventh.
    assert!(largest > 1e-5 && largest < 4e-3 / 7.0, "{largest}");
}

#[test]
fn a_search_goes_through_epochs_and_samples() {
    let mut samples = Drawn::new(24, 3);
    let mut search = search(&config(), &samples);
    let steps = finish(&mut search, &mut samples);
    let whats: Vec<What> = steps.iter().map(|step| step.what).collect();
    let epoch = [What::Gradients, What::Gradients, What::Training];
    assert_eq!(whats, [&[What::Training][..], &epoch[..], &epoch[..]].concat());
    assert_eq!(steps.len(), search.steps());
    let last = steps.last().unwrap();
    assert!(last.finished && last.done == 7);
    // Three epochs of 12 images; per epoch two groups of two gradients and one value on 6 images.
    assert_eq!(last.cost, Cost { training: 36, forward: 60, backward: 48 });
    let result = search.result();
    assert_eq!((result.history.len(), result.losses.len()), (2, 3));
    assert!(result.values.unwrap().error.iter().all(|error| *error > 0.0 && error.is_finite()));
    assert!(result.alphas.as_flattened().as_flattened().iter().all(|alpha| alpha.is_finite()));
    assert!(samples.asked.iter().all(|&role| role == Role::Train));
    assert!(matches!(search.step(&mut samples), Err(SearchError::Finished)));
}

/// Every estimator, killed after each of its steps.
#[test]
fn a_search_that_was_stopped_goes_on_to_the_last_bit() {
    let walks = SearchConfig { estimator: Estimator::Walks, truncation: 1.0, epochs: 2, ..config() };
    let official = SearchConfig {
        estimator: Estimator::Official,
        loss: Loss::CrossEntropy,
        // With a threshold of 1, a walk ends at the first loss; accuracies of six images hardly fall.
        value: Value::Loss,
        value_sample: ValueSample::Walk,
        epochs: 3,
        official: Official { norm: NormMode::Alternating, threshold: 1.0, ..Official::default() },
        ..config()
    };
    let corrected = SearchConfig { corrections: 4, ..config() };
    for config in [corrected, walks, official] {
        let mut samples = Drawn { classes: config.has_classes(), ..Drawn::new(24, 3) };
        let mut whole = search(&config, &samples);
        let steps = finish(&mut whole, &mut samples);
        let mut checkpoint = search(&config, &samples).checkpoint().unwrap();
        for expected in &steps {
            let mut search = search(&config, &samples);
            search.restore(&checkpoint).unwrap();
            assert_eq!(search.step(&mut samples).unwrap(), *expected);
            checkpoint = search.checkpoint().unwrap();
        }
        assert_eq!(checkpoint, whole.checkpoint().unwrap());
    }
}

#[test]
fn a_checkpoint_of_another_search_is_refused() {
    let samples = Drawn::new(24, 3);
    let checkpoint = search(&config(), &samples).checkpoint().unwrap();
    let mut other = search(&SearchConfig { batch: 4, ..config() }, &samples);
    assert!(other.restore(&checkpoint).unwrap_err().to_string().contains("other settings"));
    assert!(other.restore(&checkpoint[..checkpoint.len() / 2]).is_err());
}

#[test]
fn training_learns_what_can_be_seen() {
    let mut samples = Drawn::new(96, 2);
    let config = SearchConfig { epochs: 8, warm_up: 6, learning_rate: 0.1, ..config() };
    let mut search = search(&config, &samples);
    finish(&mut search, &mut samples);
    let losses = search.result().losses;
    assert!(losses[7] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn two_labels_few_images_and_no_positives_work() {
    let mut samples = Drawn { validation: 3, positives: false, ..Drawn::new(9, 2) };
    let config = SearchConfig { roles: Roles::Validation, value_images: 64, ..config() };
    let mut search = search(&config, &samples);
    let steps = finish(&mut search, &mut samples);
    assert!(steps.last().unwrap().cost.forward > 0);
    assert!(samples.asked.contains(&Role::Validation));
}

#[test]
fn values_without_positives_are_refused_by_name() {
    let mut samples = Drawn { validation: 3, positives: false, ..Drawn::new(9, 2) };
    let config = SearchConfig {
        roles: Roles::Validation,
        estimator: Estimator::Walks,
        value: Value::Auroc,
        warm_up: 0,
        ..config()
    };
    let error = search(&config, &samples).step(&mut samples).unwrap_err().to_string();
    assert!(error.contains("`value = \"auroc\"` is undefined"), "{error}");
}

#[test]
fn images_of_several_labels_are_not_taken_for_images_of_a_class() {
    let by_loss = SearchConfig { loss: Loss::CrossEntropy, ..config() };
    let by_value = SearchConfig { estimator: Estimator::Walks, value: Value::Accuracy, ..config() };
    for config in [by_loss, by_value] {
        let samples = Drawn::new(24, 3);
        let error = search(&config, &samples).plan(&samples).unwrap_err().to_string();
        assert!(error.contains("of 24 images have no label, several"), "{error}");
        assert!(error.contains("take `loss = \"bce\"`"), "{error}");
        let samples = Drawn { classes: true, ..samples };
        search(&config, &samples).plan(&samples).unwrap();
    }
}

#[test]
fn images_of_another_shape_are_refused() {
    let mut samples = Drawn::new(24, 3);
    let mut search = Search::new(config(), [1, 16, 16], 3, 1, Device::Cpu).unwrap();
    let error = search.step(&mut samples).unwrap_err().to_string();
    assert!(error.contains("[8, 1, 8, 8], expected [8, 1, 16, 16]"), "{error}");
}

#[test]
fn large_images_are_averaged_down() {
    let mut samples = Drawn { side: 16, ..Drawn::new(24, 3) };
    let config = SearchConfig { resolution: Some(8), epochs: 2, ..config() };
    let mut search = search(&config, &samples);
    assert_eq!((search.geometry().height, search.geometry().width), (8, 8));
    finish(&mut search, &mut samples);
}

/// An accuracy of 0 with every coalition: the official code's alphas are NaN from then on.
#[test]
fn equal_official_scores_stop_the_search_or_change_nothing() {
    let study = SearchConfig::preset(Preset::Study);
    let config = |nan_on_equal| SearchConfig {
        estimator: Estimator::Official,
        value: Value::SubsetAccuracy,
        value_sample: ValueSample::First,
        roles: Roles::Validation,
        positive_weight: PositiveWeight::Study,
        warm_up: 0,
        value_images: 1,
        official: Official { nan_on_equal, ..study.official.clone() },
        ..config()
    };
    // Four labels of an untrained network are never all right on this image.
    let mut samples = Drawn { validation: 1, ..Drawn::new(24, 4) };
    let mut search_nan = search(&config(true), &samples);
    search_nan.step(&mut samples).unwrap();
    let error = search_nan.step(&mut samples).unwrap_err().to_string();
    assert!(error.contains("nan_on_equal"), "{error}");
    let mut search = search(&config(false), &samples);
    let before = search.result().alphas;
    search.step(&mut samples).unwrap();
    let step = search.step(&mut samples).unwrap();
    assert_eq!(step.values.unwrap().mean, [0.0; PLAYERS]);
    // Only the accumulated start moves them: by at most 0.1 · 0.8 · 1e-3 · 5.
    let after = search.result().alphas;
    let moved = before.as_flattened().as_flattened().iter().zip(after.as_flattened().as_flattened());
    assert!(moved.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 4e-4);
}
