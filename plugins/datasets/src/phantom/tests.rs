use std::collections::{BTreeMap, BTreeSet};

use nashost_plugin_api::dataset::{Part, Target};

use super::*;

fn phantom(region: Region) -> Phantom {
    Phantom::create(PhantomConfig { region, ..PhantomConfig::default() }).unwrap()
}

#[test]
fn splits_and_patients() {
    for (region, sizes) in [(Region::Neck, [746, 93, 94]), (Region::Elbow, [2378, 193, 169])] {
        let records = phantom(region).records().unwrap();
        let count = |part| records.iter().filter(|r| r.split == Some(part)).count();
        assert_eq!([Part::Train, Part::Val, Part::Test].map(count), sizes);
        assert_eq!(records.iter().map(|r| &r.id).collect::<BTreeSet<_>>().len(), records.len());
        let mut parts: BTreeMap<&str, BTreeSet<Option<Part>>> = BTreeMap::new();
        for record in &records {
            parts.entry(&record.group).or_default().insert(record.split);
        }
        assert!(parts.values().all(|parts| parts.len() == 1), "a patient lies in two parts");
        assert!(parts.len() < records.len());
    }
}

#[test]
fn a_patient_keeps_attributes_and_changes_view() {
    let records = phantom(Region::Elbow).records().unwrap();
    let mut images: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in &records {
        images.entry(&record.group).or_default().push(record);
    }
    for pair in images.values().filter(|images| images.len() == 2) {
        for name in ["scanner", "sex", "age_band"] {
            assert_eq!(pair[0].attributes[name], pair[1].attributes[name]);
        }
        assert_ne!(pair[0].attributes["view"], pair[1].attributes["view"]);
    }
    let lateral = records.iter().filter(|r| r.attributes["view"] == "lateral").count() as f64;
    assert!((lateral / records.len() as f64 - 0.5).abs() < 0.05);
}

#[test]
fn no_split_if_asked() {
    let none = PhantomConfig { split: PhantomSplit::None, ..PhantomConfig::default() };
    let records = Phantom::create(none).unwrap().records().unwrap();
    assert_eq!(records.len(), 933);
    assert!(records.iter().all(|r| r.split.is_none()));
}

#[test]
fn trivial_baselines_are_those_of_the_study() {
    for (region, label, accuracy, macro_f1) in
        [(Region::Neck, "Alignment", 37.234, 30.414), (Region::Elbow, "supracondylar", 27.811, 17.707)]
    {
        let phantom = phantom(region);
        let labels = phantom.describe().unwrap().labels;
        let records = phantom.records().unwrap();
        let test: Vec<_> = records.iter().filter(|r| r.split == Some(Part::Test)).collect();
        let n = test.len() as f64;
        let alone = |r: &&&Record| {
            r.targets.iter().zip(&labels).all(|(t, name)| (*t == Target::Positive) == (name == label))
        };
        let subset = test.iter().filter(alone).count() as f64 / n * 100.0;
        assert!((subset - accuracy).abs() < 5e-4, "{subset}");
        let f1 = |label| {
            let positives = test.iter().filter(|r| r.targets[label] == Target::Positive).count() as f64;
            2.0 * positives / (positives + n)
        };
        let mean = (0..labels.len()).map(f1).sum::<f64>() / labels.len() as f64 * 100.0;
        assert!((mean - macro_f1).abs() < 5e-4, "{mean}");
    }
}

#[test]
fn images_repeat_and_follow_the_seed() {
    let first = phantom(Region::Neck);
    let again = phantom(Region::Neck);
    // In another order, so that nothing can depend on what was drawn before.
    let ahead: Vec<_> = (0..6).map(|i| first.pixels(i).unwrap()).collect();
    let back: Vec<_> = (0..6).rev().map(|i| again.pixels(i).unwrap()).collect();
    assert!(ahead.iter().eq(back.iter().rev()));
    let other = Phantom::create(PhantomConfig { seed: 1, ..PhantomConfig::default() }).unwrap();
    assert_ne!(other.pixels(0).unwrap(), ahead[0]);
    assert_eq!(other.records().unwrap()[0].targets, first.records().unwrap()[0].targets);
    assert_ne!(other.stamp().unwrap(), first.stamp().unwrap());
    assert!(first.pixels(933).is_err());
}

#[test]
fn grey_values_are_near_those_of_the_study() {
    // Mean and standard deviation of the study's normalisation; the mean over every tenth training
    // image strays by less than 0.01 from that over all.
    for (region, mean, std) in [(Region::Neck, 0.372, 0.180), (Region::Elbow, 0.190, 0.253)] {
        let phantom = phantom(region);
        let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
        let mut sizes = BTreeSet::new();
        for index in (0..746).step_by(10) {
            let pixels = phantom.pixels(index).unwrap();
            assert_eq!(pixels.data.len(), pixels.height * pixels.width);
            sizes.insert((pixels.height, pixels.width));
            for value in pixels.data {
                let value = f64::from(value) / 255.0;
                n += 1.0;
                sum += value;
                squares += value * value;
            }
        }
        let found = sum / n;
        assert!((found - mean).abs() < 0.02, "{region:?} mean {found}");
        let found = (squares / n - found * found).sqrt();
        assert!((found - std).abs() < 0.02, "{region:?} std {found}");
        assert!(sizes.len() > 50, "sizes vary");
    }
}

#[test]
fn every_finding_has_a_mask_and_nothing_else_has() {
    for region in [Region::Neck, Region::Elbow] {
        let phantom = phantom(region);
        let records = phantom.records().unwrap();
        let normal = records[0].targets.len() - 1;
        for (index, record) in records.iter().enumerate().step_by(7) {
            for (label, target) in record.targets.iter().enumerate() {
                let mask = phantom.mask(index, label).unwrap();
                let expected = label != normal && *target == Target::Positive;
                assert_eq!(mask.is_some(), expected, "{region:?} image {index} label {label}");
                if let Some(mask) = mask {
                    let share = mask.data.iter().filter(|&&v| v > 0).count() as f64 / mask.data.len() as f64;
                    assert!((0.0005..0.35).contains(&share), "{region:?} {index} {label}: {share}");
                }
            }
        }
        assert!(phantom.mask(0, normal + 1).is_err());
    }
}

#[test]
fn the_sign_is_where_the_mask_says() {
    let view = View { height: 200, width: 200, zoom: 1.0, angle: 0.0, shift: [0.0; 2], blur: 0.0 };
    for (region, normal) in [(Region::Neck, 7), (Region::Elbow, 13)] {
        for label in 0..normal {
            // Mean change of a pixel inside and outside the mask, over patients with and without the
            // finding.
            let (mut change, mut pixels) = ([0.0; 2], [0.0; 2]);
            for patient in 0..20 {
                let [with, without] = [label, normal].map(|label| match region {
                    Region::Neck => neck::scene(&[label], &mut rng(patient)),
                    Region::Elbow => elbow::scene(&[label], patient % 2 == 0, &mut rng(patient)),
                });
                let mask = view.mask(&with, label);
                for ((a, b), lesion) in view.render(&with).iter().zip(view.render(&without)).zip(mask) {
                    let side = usize::from(lesion == 0);
                    change[side] += (a - b).abs();
                    pixels[side] += 1.0;
                }
            }
            let [inside, outside] = [0, 1].map(|side| change[side] / pixels[side]);
            assert!(inside > 2.0 * outside, "{region:?} label {label}: {inside} inside, {outside} outside");
        }
    }
}

#[test]
fn sizes_out_of_range_are_refused() {
    let error = Phantom::create(PhantomConfig { size: 8, ..PhantomConfig::default() }).unwrap_err();
    assert_eq!(error.to_string(), "size 8 is not between 32 and 4096 pixels");
}
