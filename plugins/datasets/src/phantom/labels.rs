//! Label rows of the phantom sets, in the order of the study's index files.
//!
//! `labels.json` lists the distinct label sets of each region, and for each part one letter per
//! image: `A` is the first set, then on through `A`–`Z`, `a`–`z`.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    component::PluginResult,
    dataset::{Part, Target},
};
use serde::Deserialize;

use super::Region;

/// One region as stored.
#[derive(Debug, Deserialize)]
struct Stored {
    labels: Vec<String>,
    sets: Vec<Vec<usize>>,
    train: String,
    val: String,
    test: String,
}

/// Label rows of one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LabelTable {
    /// Label names; the last is the normal label.
    pub(super) labels: Vec<String>,
    /// Part and positive labels (ascending) of each image: training, validation, test rows.
    pub(super) rows: Vec<(Part, Vec<usize>)>,
}

impl LabelTable {
    /// Reads the embedded table of `region`.
    pub(super) fn of(region: Region) -> PluginResult<Self> {
        let mut regions: BTreeMap<Region, Stored> = serde_json::from_str(include_str!("labels.json"))?;
        let stored = regions.remove(&region).ok_or("no such region in the label table")?;
        let mut rows = Vec::new();
        for (part, letters) in
            [(Part::Train, &stored.train), (Part::Val, &stored.val), (Part::Test, &stored.test)]
        {
            for letter in letters.bytes() {
                let set = match letter {
                    b'A'..=b'Z' => letter - b'A',
                    _ => 26 + letter.wrapping_sub(b'a'),
                };
                let set = stored.sets.get(usize::from(set)).ok_or("unknown letter in the label table")?;
                rows.push((part, set.clone()));
            }
        }
        Ok(Self { labels: stored.labels, rows })
    }

    /// Targets of image `index`.
    pub(super) fn targets(&self, index: usize) -> Vec<Target> {
        let mut targets = vec![Target::Negative; self.labels.len()];
        for &label in &self.rows[index].1 {
            targets[label] = Target::Positive;
        }
        targets
    }

    /// Whether image `index` has no finding.
    pub(super) fn is_normal(&self, index: usize) -> bool {
        self.rows[index].1 == [self.labels.len() - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of the index files that the table was made from.
    fn oracle(region: &str, part: &str) -> (Vec<String>, Vec<Vec<Target>>) {
        let path = format!(
            "{}/../../tests/fixtures/datasets/paper/phantom_{region}_{part}.csv",
            env!("CARGO_MANIFEST_DIR")
        );
        let mut reader = csv::Reader::from_path(path).unwrap();
        let labels = reader.headers().unwrap().iter().skip(2).map(str::to_owned).collect();
        let rows = reader.records().map(|row| {
            row.unwrap().iter().skip(2).map(|v| Target::from_code(v.parse().unwrap()).unwrap()).collect()
        });
        (labels, rows.collect())
    }

    #[test]
    fn rows_equal_the_index_files_in_order() {
        for (region, name) in [(Region::Neck, "neck"), (Region::Elbow, "elbow")] {
            let table = LabelTable::of(region).unwrap();
            let mut at = 0;
            for (part, part_name) in [(Part::Train, "train"), (Part::Val, "val"), (Part::Test, "test")] {
                let (labels, rows) = oracle(name, part_name);
                assert_eq!(table.labels, labels);
                for row in rows {
                    assert_eq!((table.rows[at].0, table.targets(at)), (part, row), "{name} {part_name} {at}");
                    at += 1;
                }
            }
            assert_eq!(at, table.rows.len());
        }
    }

    #[test]
    fn counts_are_those_of_the_split_that_the_study_used() {
        let count = |table: &LabelTable, part, label: &str| {
            let label = table.labels.iter().position(|l| l == label).unwrap();
            table.rows.iter().filter(|(p, set)| *p == part && set.contains(&label)).count()
        };
        let neck = LabelTable::of(Region::Neck).unwrap();
        let parts = [Part::Train, Part::Val, Part::Test];
        for (label, expected) in [
            ("Listhesis", [61, 9, 12]),
            ("Fracture", [92, 14, 17]),
            ("Dislocation", [22, 3, 6]),
            ("Spinous", [45, 2, 5]),
        ] {
            assert_eq!(parts.map(|part| count(&neck, part, label)), expected, "{label}");
        }
        assert_eq!(neck.rows.len(), 933);
        let elbow = LabelTable::of(Region::Elbow).unwrap();
        assert_eq!(count(&elbow, Part::Train, "Soft tissue swelling"), 244);
        assert_eq!(elbow.rows.len(), 2740);
    }

    #[test]
    fn normal_means_no_other_label() {
        for region in [Region::Neck, Region::Elbow] {
            let table = LabelTable::of(region).unwrap();
            let normal = table.labels.len() - 1;
            assert_eq!(table.labels[normal], "normal");
            for (index, (_, set)) in table.rows.iter().enumerate() {
                assert!(!set.is_empty());
                assert_eq!(set.contains(&normal), table.is_normal(index));
            }
        }
    }
}
