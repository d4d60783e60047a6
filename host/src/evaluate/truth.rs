//! What is true of the images of one part of a split.

use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::dataset::{Part, Target};

use crate::{
    data::ImageStore,
    error::{Error, Exit, Result},
};

/// Labels, images, patients and targets of one part of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    labels: Vec<String>,
    ids: Vec<String>,
    groups: Vec<String>,
    targets: Vec<Target>,
}

impl Truth {
    /// Builds the truth of images with unique `ids`; `targets` is row-major, images × labels.
    ///
    /// # Errors
    ///
    /// E0601 if the sizes do not fit or a label or an image comes twice.
    pub fn new(
        labels: Vec<String>,
        ids: Vec<String>,
        groups: Vec<String>,
        targets: Vec<Target>,
    ) -> Result<Self> {
        let mut problems = Vec::new();
        if labels.is_empty() {
            problems.push("there are no labels".to_owned());
        }
        if groups.len() != ids.len() {
            problems.push(format!("{} images but {} patients", ids.len(), groups.len()));
        }
        if targets.len() != ids.len() * labels.len() {
            problems.push(format!(
                "{} images × {} labels but {} targets",
                ids.len(),
                labels.len(),
                targets.len()
            ));
        }
        for (kind, names) in [("label", &labels), ("image", &ids)] {
            problems.extend(repeated(names).into_iter().map(|name| format!("{kind} `{name}` comes twice")));
        }
        if problems.is_empty() {
            Ok(Self { labels, ids, groups, targets })
        } else {
            Err(Error::new(Exit::Bug, "E0601", format!("labels do not fit: {}", problems.join("; "))))
        }
    }

    /// Takes the truth of `part` from a store, in the store's order.
    ///
    /// # Errors
    ///
    /// E0601 if the store's records do not fit together.
    pub fn of(store: &ImageStore, part: Part) -> Result<Self> {
        let indices = store.indices(part);
        let field = |get: fn(&nashost_plugin_api::dataset::Record) -> &String| {
            indices.iter().map(|&i| get(&store.records[i]).clone()).collect()
        };
        Self::new(
            store.info.labels.clone(),
            field(|record| &record.id),
            field(|record| &record.group),
            store.targets(&indices),
        )
    }

    /// Names of the labels.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Ids of the images.
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// Patient of each image.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Images × labels, row-major.
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The targets of one image after another.
    pub fn rows(&self) -> impl Iterator<Item = &[Target]> {
        // `new` refuses an empty list of labels.
        self.targets.chunks_exact(self.labels.len())
    }

    /// The images of each patient, patients in the order of their first image.
    pub fn patients(&self) -> Vec<Vec<usize>> {
        let mut patients: Vec<Vec<usize>> = Vec::new();
        let mut places = BTreeMap::new();
        for (image, group) in self.groups.iter().enumerate() {
            let place = *places.entry(group).or_insert(patients.len());
            if place == patients.len() {
                patients.push(Vec::new());
            }
            patients[place].push(image);
        }
        patients
    }
}

fn repeated(names: &[String]) -> BTreeSet<&String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(|name| !seen.insert(*name)).collect()
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, Positive};

    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn every_misfit_is_named() {
        let error =
            Truth::new(names(&["a", "a"]), names(&["1", "1"]), names(&["p"]), vec![Positive]).unwrap_err();
        assert_eq!(error.code, "E0601");
        for part in ["2 images but 1 patients", "2 labels but 1 targets", "label `a`", "image `1`"] {
            assert!(error.message.contains(part), "{error}");
        }
    }

    #[test]
    fn images_of_a_patient_stay_together() {
        let truth =
            Truth::new(names(&["a"]), names(&["1", "2", "3"]), names(&["q", "p", "q"]), vec![Negative; 3])
                .unwrap();
        assert_eq!(truth.patients(), [vec![0, 2], vec![1]]);
    }
}
