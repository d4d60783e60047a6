use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use nashost_plugin_api::{
    dataset::Target,
    seed::{derive_seed, rng},
};
use proptest::prelude::*;
use rand::{Rng as _, seq::SliceRandom as _};

use super::*;
use crate::data::testing::record;

const FRACTIONS: [f64; 3] = [0.8, 0.1, 0.1];

/// Groups of one to three images with four labels of falling frequency.
fn dataset(groups: usize, seed: u64) -> Vec<Record> {
    let mut rng = rng(derive_seed(seed, "dataset"));
    let mut records = Vec::new();
    for group in 0..groups {
        for image in 0..rng.random_range(1..=3) {
            let codes = [0.5, 0.2, 0.1, 0.05].map(|share| i8::from(rng.random_bool(share)));
            records.push(record(&format!("g{group}i{image}"), &format!("g{group}"), None, &codes));
        }
    }
    records
}

fn positives(records: &[Record], parts: &[Part], part: Part, label: usize) -> f64 {
    let of_part = records.iter().zip(parts).filter(|(_, of)| **of == part);
    of_part.filter(|(record, _)| record.targets[label] == Target::Positive).count() as f64
}

/// Mean over parts and labels of |positives in the part / all positives − fraction|.
fn imbalance(records: &[Record], parts: &[Part]) -> f64 {
    let mut sum = 0.0;
    for label in 0..4 {
        let all: f64 = PARTS.iter().map(|&part| positives(records, parts, part, label)).sum();
        for (part, fraction) in PARTS.into_iter().zip(FRACTIONS) {
            sum += (positives(records, parts, part, label) / all - fraction).abs();
        }
    }
    sum / 12.0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn groups_stay_together_and_labels_are_spread(groups in 60usize..400, seed: u64) {
        let records = dataset(groups, seed);
        let split = Split::stratified(&records, FRACTIONS, seed).unwrap();
        prop_assert_eq!(split.parts.len(), records.len());
        let mut of_group: BTreeMap<&str, BTreeSet<Part>> = BTreeMap::new();
        for (record, part) in records.iter().zip(&split.parts) {
            of_group.entry(&record.group).or_default().insert(*part);
        }
        prop_assert!(of_group.values().all(|parts| parts.len() == 1));
        for (part, fraction) in PARTS.into_iter().zip(FRACTIONS) {
            // One group of three images, and 5 % because a group brings all its labels at once.
            let images = split.parts.iter().filter(|of| **of == part).count() as f64;
            let wanted = fraction * records.len() as f64;
            prop_assert!((images - wanted).abs() <= 3.0 + 0.05 * wanted, "{images} images, {wanted} wanted");
            for label in 0..4 {
                let all: f64 = PARTS.iter().map(|&p| positives(&records, &split.parts, p, label)).sum();
                let found = positives(&records, &split.parts, part, label);
                let wanted = fraction * all;
                prop_assert!((found - wanted).abs() <= 3.0 + 0.05 * wanted, "{found} positives, {wanted} wanted");
            }
        }
    }

    #[test]
    fn the_order_of_the_records_does_not_matter(seed: u64) {
        let records = dataset(80, seed);
        let mut shuffled = records.clone();
        shuffled.shuffle(&mut rng(seed));
        let [a, b] = [&records, &shuffled].map(|r| Split::stratified(r, FRACTIONS, 7).unwrap());
        prop_assert_eq!(a.hash, b.hash);
    }
}

#[test]
fn stratified_is_better_than_a_random_grouped_split() {
    let (mut stratified, mut random) = (0.0, 0.0);
    for seed in 0..20 {
        let records = dataset(200, seed);
        stratified += imbalance(&records, &Split::stratified(&records, FRACTIONS, seed).unwrap().parts);
        let mut rng = rng(derive_seed(seed, "random"));
        let draw = |rng: &mut _| match rand::Rng::random_range(rng, 0.0..1.0) {
            d if d < 0.8 => Part::Train,
            d if d < 0.9 => Part::Val,
            _ => Part::Test,
        };
        let parts: Vec<Part> = (0..200).map(|_| draw(&mut rng)).collect();
        let group = |record: &Record| record.group[1..].parse::<usize>().unwrap();
        random += imbalance(&records, &records.iter().map(|r| parts[group(r)]).collect::<Vec<_>>());
    }
    // Measured about 0.008 against 0.03; a factor of two leaves room for other seeds.
    assert!(stratified < random / 2.0, "{} against {}", stratified / 20.0, random / 20.0);
}

#[test]
fn seeds_repeat_and_differ() {
    let records = dataset(100, 1);
    let split = |seed| Split::stratified(&records, FRACTIONS, seed).unwrap();
    assert_eq!(split(1), split(1));
    assert_ne!(split(1).hash, split(2).hash);
}

#[test]
fn empty_parts_and_wrong_fractions_are_refused() {
    let few: Vec<_> = (0..4).map(|i| record(&format!("i{i}"), &format!("g{}", i / 2), None, &[1])).collect();
    let error = Split::stratified(&few, FRACTIONS, 0).unwrap_err();
    assert_eq!(error.code, "E0304");
    assert!(error.message.starts_with("no image for the part "), "{error}");
    for fractions in [[0.8, 0.2, 0.0], [0.8, 0.1, 0.2], [f64::NAN, 0.5, 0.5]] {
        let error = Split::stratified(&dataset(50, 0), fractions, 0).unwrap_err();
        assert!(error.message.contains("three positive numbers"), "{error}");
    }
}

#[test]
fn given_splits_must_be_complete() {
    let given = |parts: &[Option<Part>]| {
        let records: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(i, part)| record(&i.to_string(), &i.to_string(), *part, &[1]))
            .collect();
        Split::as_given(&records)
    };
    let [train, val, test] = PARTS.map(Some);
    assert_eq!(given(&[train, val, test]).unwrap().parts, PARTS);
    assert_eq!(given(&[None, None]).unwrap_err().message, "the dataset prescribes no split");
    let partly = given(&[train, None, val, test]).unwrap_err();
    assert_eq!(partly.message, "the dataset prescribes no part for 1 image");
    assert_eq!(given(&[train, train]).unwrap_err().message, "no image for the part val and the part test");
}

#[test]
fn the_hash_is_over_sorted_lines() {
    let records = [("b", Part::Val), ("a", Part::Train), ("c", Part::Test)]
        .map(|(id, part)| record(id, id, Some(part), &[1]));
    let split = Split::as_given(&records).unwrap();
    assert_eq!(split.hash, sha256("a\ttrain\nb\tval\nc\ttest\n"));
}

#[test]
fn files_are_read_back_and_matched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("split.json");
    let mut records = dataset(60, 5);
    let split = Split::stratified(&records, FRACTIONS, 5).unwrap();
    let file = SplitFile::new(&split, &records);
    file.write(&path).unwrap();
    let read = SplitFile::read(&path).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.apply(&records).unwrap(), split);

    let removed = records.remove(0);
    records.push(record("new", "new", None, &[0; 4]));
    let other = (1..split.parts.len()).find(|&i| split.parts[i] != split.parts[3]).unwrap();
    records[2].group = "same".into();
    records[other - 1].group = "same".into();
    let error = read.apply(&records).unwrap_err();
    assert_eq!((error.code, error.exit), ("E0306", Exit::Identity));
    assert!(error.message.contains("image \"new\" is not in the split file"), "{error}");
    assert!(error.message.contains(&format!("id \"{}\" is not in the dataset", removed.id)), "{error}");
    assert!(error.message.contains("of group \"same\" is in "), "{error}");
}

#[test]
fn edited_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("split.json");
    let records = dataset(60, 5);
    SplitFile::new(&Split::stratified(&records, FRACTIONS, 5).unwrap(), &records).write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, reason) in [
        ("\"g0i0\"", "\"other\"", "edited or damaged"),
        ("\"schema\": 1", "\"schema\": 2", "format 2 is not 1"),
        ("\"val\"", "\"valid\"", "unknown field `valid`"),
    ] {
        assert!(text.contains(from));
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = SplitFile::read(&path).unwrap_err();
        assert_eq!(error.code, "E0305");
        assert!(error.message.contains(reason), "{error}");
    }
    let unwritable = SplitFile::new(&Split::stratified(&records, FRACTIONS, 5).unwrap(), &records)
        .write(&folder.path().join("no/such/split.json"));
    assert_eq!(unwritable.unwrap_err().exit, Exit::Environment);
}
