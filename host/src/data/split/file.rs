//! Splits as files, so that others can repeat them.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

use nashost_plugin_api::dataset::{Part, Record};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{PARTS, Split, SplitMethod, hash};
use crate::{
    data::report::part_name,
    error::{Error, Exit, Result},
};

/// A split as stored: ids per part, how it was made, and its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitFile {
    /// Version of this format.
    schema: u32,
    method: SplitMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fractions: Option<[f64; 3]>,
    sha256: String,
    train: Vec<String>,
    val: Vec<String>,
    test: Vec<String>,
}

const SCHEMA: u32 = 1;

impl SplitFile {
    /// Describes `split` of `records`.
    pub fn new(split: &Split, records: &[Record]) -> Self {
        let ids = |part| {
            let of_part = records.iter().zip(&split.parts).filter(|(_, of)| **of == part);
            of_part.map(|(record, _)| record.id.clone()).collect()
        };
        let [train, val, test] = PARTS.map(ids);
        Self {
            schema: SCHEMA,
            method: split.method,
            seed: split.seed,
            fractions: split.fractions,
            sha256: split.hash.clone(),
            train,
            val,
            test,
        }
    }

    /// Writes the file as JSON; a reader sees the old file or the new one.
    ///
    /// # Errors
    ///
    /// Fails with E0307 if the folder is not writable or full.
    pub fn write(&self, path: &Path) -> Result<()> {
        let write = || {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            Ok(())
        };
        write().map_err(|error: std::io::Error| {
            let message = format!("split file {} cannot be written: {error}", path.display());
            Error::new(Exit::Environment, "E0307", message)
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Fails with E0305 if the file cannot be read, is not a split, or does not have the hash that it
    /// states.
    pub fn read(path: &Path) -> Result<Self> {
        let fail = |reason: String| {
            let message = format!("split file {}: {reason}", path.display());
            Error::new(Exit::Usage, "E0305", message).help("write it anew with `nashost data split`")
        };
        let text = fs::read(path).map_err(|error| fail(error.to_string()))?;
        let file: Self = serde_json::from_slice(&text).map_err(|error| fail(error.to_string()))?;
        if file.schema != SCHEMA {
            return Err(fail(format!("format {} is not {SCHEMA}, the one this version reads", file.schema)));
        }
        if hash(file.assignment()) != file.sha256 {
            return Err(fail(
                "the ids do not have the SHA-256 that it states; it was edited or damaged".to_owned(),
            ));
        }
        Ok(file)
    }

    fn assignment(&self) -> impl Iterator<Item = (&str, Part)> {
        PARTS
            .into_iter()
            .zip([&self.train, &self.val, &self.test])
            .flat_map(|(part, ids)| ids.iter().map(move |id| (id.as_str(), part)))
    }

    /// Assigns `records` as the file says.
    ///
    /// # Errors
    ///
    /// Fails with E0306 and every id that stands twice in the file, is not in the dataset, or is in
    /// the dataset and not in the file, and every group that would lie in two parts.
    pub fn apply(&self, records: &[Record]) -> Result<Split> {
        let mut problems = Vec::new();
        let mut assigned = BTreeMap::new();
        for (id, part) in self.assignment() {
            if let Some(other) = assigned.insert(id, part) {
                problems.push(format!(
                    "id \"{id}\" stands in {} and in {}",
                    part_name(other),
                    part_name(part)
                ));
            }
        }
        let mut parts = Vec::with_capacity(records.len());
        let mut of_group: BTreeMap<&str, Part> = BTreeMap::new();
        for record in records {
            let Some(part) = assigned.remove(record.id.as_str()) else {
                problems.push(format!("image \"{}\" is not in the split file", record.id));
                continue;
            };
            let first = *of_group.entry(&record.group).or_insert(part);
            if first != part {
                problems.push(format!(
                    "image \"{}\" of group \"{}\" is in {}, others of the group in {}",
                    record.id,
                    record.group,
                    part_name(part),
                    part_name(first)
                ));
            }
            parts.push(part);
        }
        problems.extend(assigned.into_keys().map(|id| format!("id \"{id}\" is not in the dataset")));
        if !problems.is_empty() {
            let message = format!("the split file does not fit the dataset:\n{}", problems.join("\n"));
            return Err(Error::new(Exit::Identity, "E0306", message).help(
                "use the dataset that the split was made for, or write a new split with `nashost data split`",
            ));
        }
        Split::new(self.method, self.seed, self.fractions, records, parts, "E0306")
    }
}
