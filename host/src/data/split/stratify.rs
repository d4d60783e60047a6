//! Iterative stratification (Sechidis et al. 2011) of whole groups.
//!
//! The published algorithm assigns single images. Here the unit is a group (patient) with the counts
//! of its images and of their positive labels:
//!
//! 1. For each part, the number of images still wanted, and of positives of each label, start at the
//!    part's fraction of all.
//! 2. Of the labels with positives in unassigned groups, take the one with the fewest.
//! 3. Its groups, large ones first (so that they find room) and by lot otherwise, go one by one to the
//!    part that wants most positives of that label; ties go to the part that wants most images, then
//!    to the part drawn by lot. Each assignment reduces what the part wants by all that the group has.
//! 4. Repeat from 2. Groups without positives go last, in the same order, to the part that wants most
//!    images.
//!
//! Sorting by positives instead of size would send the groups with few positives per image to the
//! small parts, which would then get too many images.

use std::collections::BTreeMap;

use nashost_plugin_api::{
    dataset::{Record, Target},
    seed::{Rng, derive_seed, rng},
};
use rand::{Rng as _, seq::SliceRandom as _};

/// What a group weighs.
struct Group {
    /// Positions of its records.
    members: Vec<usize>,
    /// Its positives of each label.
    positives: Vec<usize>,
}

/// What a part still wants.
#[derive(Clone)]
struct Want {
    images: f64,
    positives: Vec<f64>,
}

/// Returns the part of each record, by its position in `fractions`.
pub(super) fn stratify(records: &[Record], fractions: &[f64], seed: u64) -> Vec<usize> {
    let mut rng = rng(derive_seed(seed, "split"));
    let labels = records.iter().map(|record| record.targets.len()).max().unwrap_or(0);
    let mut groups = groups(records, labels);
    groups.shuffle(&mut rng);
    let mut left: Vec<usize> =
        (0..labels).map(|label| groups.iter().map(|group| group.positives[label]).sum()).collect();
    let want = |fraction: &f64| Want {
        images: fraction * records.len() as f64,
        positives: left.iter().map(|&positives| fraction * positives as f64).collect(),
    };
    let mut wants: Vec<Want> = fractions.iter().map(want).collect();
    let mut parts = vec![0; records.len()];
    // Stable: groups of equal size stay in the order that the lot gave them.
    groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
    let mut unassigned: Vec<usize> = (0..groups.len()).collect();
    while !unassigned.is_empty() {
        let rarest = (0..labels).filter(|&label| left[label] > 0).min_by_key(|&label| left[label]);
        let (batch, rest): (Vec<_>, Vec<_>) = unassigned
            .into_iter()
            .partition(|&group| rarest.is_none_or(|label| groups[group].positives[label] > 0));
        unassigned = rest;
        for group in batch {
            let group: &Group = &groups[group];
            let part = neediest(&wants, rarest, &mut rng);
            wants[part].images -= group.members.len() as f64;
            for (label, &positives) in group.positives.iter().enumerate() {
                wants[part].positives[label] -= positives as f64;
                left[label] -= positives;
            }
            group.members.iter().for_each(|&record| parts[record] = part);
        }
    }
    parts
}

/// Collects the groups in the order of their names, so that the order of the records is of no effect.
fn groups(records: &[Record], labels: usize) -> Vec<Group> {
    let mut by_name: BTreeMap<&str, Group> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        let group = by_name
            .entry(&record.group)
            .or_insert_with(|| Group { members: Vec::new(), positives: vec![0; labels] });
        group.members.push(index);
        for (label, target) in record.targets.iter().enumerate() {
            group.positives[label] += usize::from(*target == Target::Positive);
        }
    }
    by_name.into_values().collect()
}

/// The part that wants most positives of `label` (if given), then most images, then by lot.
fn neediest(wants: &[Want], label: Option<usize>, rng: &mut Rng) -> usize {
    let need = |part: usize| {
        let want: &Want = &wants[part];
        (label.map_or(0.0, |label| want.positives[label]), want.images)
    };
    let order = |a: usize, b: usize| {
        let (a, b) = (need(a), need(b));
        a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
    };
    let most = (1..wants.len()).fold(0, |most, part| if order(part, most).is_gt() { part } else { most });
    let tied: Vec<usize> = (0..wants.len()).filter(|&part| order(part, most).is_eq()).collect();
    tied[rng.random_range(0..tied.len())]
}
