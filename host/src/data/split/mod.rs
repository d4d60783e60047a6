//! Splits: which image is for training, validation, test.

mod file;
mod stratify;
#[cfg(test)]
mod tests;

use nashost_plugin_api::dataset::{Part, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::file::SplitFile;
use super::{catalogue::count, digest::sha256, report::part_name};
use crate::error::{Error, Exit, Result};

/// The three parts, in order.
const PARTS: [Part; 3] = [Part::Train, Part::Val, Part::Test];

/// How images were assigned to parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SplitMethod {
    /// As the dataset prescribes.
    AsGiven,
    /// By patient, with the label frequencies alike in all parts.
    Stratified,
}

/// A part for each image.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// How it was made.
    pub method: SplitMethod,
    /// Seed, if drawn.
    pub seed: Option<u64>,
    /// Shares of training, validation and test part that were asked for, if drawn.
    pub fractions: Option<[f64; 3]>,
    /// Part of each record.
    pub parts: Vec<Part>,
    /// SHA-256 over the lines `id`, tab, part, newline, sorted by id.
    pub hash: String,
}

impl Split {
    /// Takes the split that the dataset prescribes.
    ///
    /// # Errors
    ///
    /// Fails with E0303 if an image has no part, or a part no image.
    pub fn as_given(records: &[Record]) -> Result<Self> {
        let parts: Vec<Part> = records.iter().filter_map(|record| record.split).collect();
        let without = records.len() - parts.len();
        if without > 0 {
            let what = if parts.is_empty() {
                "the dataset prescribes no split".to_owned()
            } else {
                format!("the dataset prescribes no part for {}", count(without, "image"))
            };
            return Err(Error::new(Exit::Usage, "E0303", what)
                .help("let nashost split by patient: `split.use_given = false`"));
        }
        Self::new(SplitMethod::AsGiven, None, None, records, parts, "E0303")
    }

    /// Splits by group so that each label is about as frequent in all parts.
    ///
    /// `fractions` are the shares of training, validation and test part. The same records, fractions
    /// and seed give the same split; the order of the records does not matter.
    ///
    /// # Errors
    ///
    /// Fails with E0304 if the fractions are not positive with sum 1, or if there are too few groups
    /// to fill each part.
    pub fn stratified(records: &[Record], fractions: [f64; 3], seed: u64) -> Result<Self> {
        let sum: f64 = fractions.iter().sum();
        if fractions.iter().any(|&fraction| fraction.is_nan() || fraction <= 0.0) || (sum - 1.0).abs() > 1e-6
        {
            let message = format!("split fractions {fractions:?} are not three positive numbers with sum 1");
            return Err(Error::new(Exit::Usage, "E0304", message));
        }
        let parts =
            stratify::stratify(records, &fractions, seed).into_iter().map(|part| PARTS[part]).collect();
        Self::new(SplitMethod::Stratified, Some(seed), Some(fractions), records, parts, "E0304")
    }

    /// Splits into `folds` equal parts by group and label, and returns one split per fold: the fold is
    /// the test part, the next one the validation part, the others the training part. So each image is
    /// tested once.
    ///
    /// # Errors
    ///
    /// Fails with E0304 if there are fewer than three folds, or too few groups to fill them.
    pub fn folds(records: &[Record], folds: u32, seed: u64) -> Result<Vec<Self>> {
        if folds < 3 {
            let message = format!("{folds} folds: training, validation and test take one each at least");
            return Err(Error::new(Exit::Usage, "E0304", message));
        }
        let folds = folds as usize;
        let of = stratify::stratify(records, &vec![1.0 / folds as f64; folds], seed);
        let share = 1.0 / folds as f64;
        let part = |fold: usize, test: usize| match fold {
            _ if fold == test => Part::Test,
            _ if fold == (test + 1) % folds => Part::Val,
            _ => Part::Train,
        };
        let split = |test: usize| {
            let parts = of.iter().map(|&fold| part(fold, test)).collect();
            let fractions = [1.0 - 2.0 * share, share, share];
            Self::new(SplitMethod::Stratified, Some(seed), Some(fractions), records, parts, "E0304")
        };
        (0..folds).map(split).collect()
    }

    fn new(
        method: SplitMethod,
        seed: Option<u64>,
        fractions: Option<[f64; 3]>,
        records: &[Record],
        parts: Vec<Part>,
        code: &'static str,
    ) -> Result<Self> {
        let empty: Vec<_> = PARTS.into_iter().filter(|part| !parts.contains(part)).map(part_name).collect();
        if !empty.is_empty() {
            let message = format!("no image for the part {}", empty.join(" and the part "));
            return Err(Error::new(Exit::Usage, code, message)
                .help("each of train, val and test needs images, and a patient's images stay together"));
        }
        let hash = hash(records.iter().map(|record| record.id.as_str()).zip(parts.iter().copied()));
        Ok(Self { method, seed, fractions, parts, hash })
    }
}

/// Hash of an assignment of ids to parts; the order does not matter.
fn hash<'a>(assignment: impl Iterator<Item = (&'a str, Part)>) -> String {
    let mut lines: Vec<_> = assignment.map(|(id, part)| format!("{id}\t{}\n", part_name(part))).collect();
    lines.sort_unstable();
    sha256(lines.concat())
}
