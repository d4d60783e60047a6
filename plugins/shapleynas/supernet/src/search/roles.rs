//! Which image trains weights and which values operations.

use std::{collections::BTreeMap, fmt};

use nashost_plugin_api::seed::{derive_seed, rng};
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::types::{Role, SearchError};
use crate::{
    config::{Roles, SearchConfig},
    labels::Labels,
};

/// The roles of all images in all epochs.
///
/// Within an epoch no image has two roles. With folds an image that values operations has trained
/// weights in other epochs; the validation part has neither role then and is left for the selection
/// of models.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolePlan {
    /// How roles are given.
    pub scheme: Roles,
    /// Places in the training part, by fold; none if it is not divided.
    pub folds: Vec<Vec<i64>>,
    /// Images of the training part.
    pub train: usize,
    /// Images of the validation part that value operations.
    pub validation: usize,
}

impl RolePlan {
    /// Plans the roles of a training part with these labels.
    ///
    /// # Errors
    ///
    /// Fails if a role would have too few images.
    pub(crate) fn new(
        config: &SearchConfig,
        train: &Labels,
        validation: usize,
        seed: u64,
    ) -> Result<Self, SearchError> {
        let images = train.images();
        let (folds, used) = match config.roles {
            Roles::Folds => (stratified(train, config.folds, derive_seed(seed, "folds")), 0),
            Roles::Halves => {
                let all: Vec<i64> = (0..images as i64).collect();
                (vec![all[..images / 2].to_vec(), all[images / 2..].to_vec()], 0)
            }
            Roles::Validation => (Vec::new(), validation),
        };
        let plan = Self { scheme: config.roles, folds, train: images, validation: used };
        // Batch statistics need two images.
        let weights = (0..plan.folds.len().max(1)).map(|epoch| plan.weights(epoch).len()).min().unwrap_or(0);
        if weights < 2 {
            return Err(SearchError::TooFew {
                images,
                need: "two are needed to train weights in each epoch",
            });
        }
        if config.roles == Roles::Validation && validation == 0 {
            return Err(SearchError::TooFew {
                images: 0,
                need: "`roles = \"validation\"` values operations on the validation part, which is empty; take \
                       `roles = \"folds\"`",
            });
        }
        Ok(plan)
    }

    /// Returns the places in the training part that train weights in an epoch.
    pub fn weights(&self, epoch: usize) -> Vec<i64> {
        match self.scheme {
            Roles::Validation => (0..self.train as i64).collect(),
            Roles::Halves => self.folds[0].clone(),
            Roles::Folds => {
                let held = epoch % self.folds.len();
                let others = self.folds.iter().enumerate().filter(|&(fold, _)| fold != held);
                let mut places: Vec<i64> = others.flat_map(|(_, fold)| fold).copied().collect();
                places.sort_unstable();
                places
            }
        }
    }

    /// Returns the part and the places in it that value operations in an epoch.
    pub fn values(&self, epoch: usize) -> (Role, Vec<i64>) {
        match self.scheme {
            Roles::Validation => (Role::Validation, (0..self.validation as i64).collect()),
            Roles::Halves => (Role::Train, self.folds[1].clone()),
            Roles::Folds => (Role::Train, self.folds[epoch % self.folds.len()].clone()),
        }
    }
}

impl fmt::Display for RolePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheme {
            Roles::Validation => write!(
                f,
                "{} training images train weights; {} validation images value operations, so they cannot \
                 select models",
                self.train, self.validation
            ),
            Roles::Halves => write!(
                f,
                "of {} training images the first {} train weights, the last {} value operations",
                self.train,
                self.folds[0].len(),
                self.folds[1].len()
            ),
            Roles::Folds => {
                let sizes: Vec<String> = self.folds.iter().map(|fold| fold.len().to_string()).collect();
                write!(
                    f,
                    "{} training images in {} folds of {}: each epoch another fold values operations and the \
                     others train weights; the validation part has neither role",
                    self.train,
                    self.folds.len(),
                    sizes.join(", ")
                )
            }
        }
    }
}

/// Deals images out to folds, those of equal labels in turn.
fn stratified(labels: &Labels, folds: usize, seed: u64) -> Vec<Vec<i64>> {
    let mut alike: BTreeMap<Vec<u8>, Vec<i64>> = BTreeMap::new();
    for image in 0..labels.images() {
        alike.entry(labels.key(image)).or_default().push(image as i64);
    }
    let mut rng = rng(seed);
    let mut dealt = vec![Vec::new(); folds];
    // One count over all groups, so that small groups do not all go to the first fold.
    let mut next = 0;
    for images in alike.values_mut() {
        images.shuffle(&mut rng);
        for &image in &*images {
            dealt[next % folds].push(image);
            next += 1;
        }
    }
    for fold in &mut dealt {
        fold.sort_unstable();
    }
    dealt
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(images: usize) -> Labels {
        let present = (0..images).map(|image| vec![image % 5 == 0, image % 3 == 0]).collect();
        Labels::new(present, vec![vec![true; 2]; images])
    }

    #[test]
    fn no_image_has_two_roles_in_an_epoch_and_every_fold_has_its_turn() {
        let plan = RolePlan::new(&SearchConfig::default(), &labels(61), 9, 3).unwrap();
        let mut valued = vec![0; 61];
        for epoch in 0..4 {
            let weights = plan.weights(epoch);
            let (role, values) = plan.values(epoch);
            assert_eq!(role, Role::Train);
            let mut all = [weights, values.clone()].concat();
            all.sort_unstable();
            assert_eq!(all, (0..61).collect::<Vec<_>>());
            values.iter().for_each(|&image| valued[image as usize] += 1);
        }
        assert!(valued.iter().all(|&times| times == 1));
        assert!(plan.to_string().contains("4 folds"));
    }

    #[test]
    fn folds_have_equal_shares_of_labels() {
        let labels = labels(600);
        let plan = RolePlan::new(&SearchConfig::default(), &labels, 0, 1).unwrap();
        for fold in &plan.folds {
            let positives = fold.iter().filter(|&&image| labels.is(image as usize, 0)).count();
            assert!((29..=31).contains(&positives), "{positives} of 120");
        }
    }

    #[test]
    fn too_few_images_are_refused() {
        let refuse = |config: &SearchConfig, images, reason: &str| {
            let error = RolePlan::new(config, &labels(images), 0, 1).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refuse(&SearchConfig::default(), 2, "two are needed to train");
        let study = SearchConfig { roles: Roles::Validation, ..SearchConfig::default() };
        refuse(&study, 20, "validation part, which is empty");
    }
}
