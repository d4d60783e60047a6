//! Everything that can be said of a dataset in numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use nashost_plugin_api::dataset::{DatasetInfo, Part, Record, Target};
use serde::Serialize;

use crate::{BINS, Look, twins};

/// The parts of a split, in their order.
const PARTS: [Part; 3] = [Part::Train, Part::Val, Part::Test];

/// A dataset, every image of which was looked at.
#[derive(Debug, Clone, Copy)]
pub struct Looked<'a> {
    /// What it says of itself.
    pub info: &'a DatasetInfo,
    /// One per image.
    pub records: &'a [Record],
    /// Part of each image.
    pub parts: &'a [Part],
    /// Look of each image; `None` if it cannot be decoded.
    pub looks: &'a [Option<Look>],
}

/// What `nashost data stats` tells. It names no image and no patient unless asked to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Survey {
    /// Number of images.
    pub images: usize,
    /// Number of patients.
    pub patients: usize,
    /// Images that cannot be decoded.
    pub unreadable: Vec<String>,
    /// Images that show nothing: all shades are nearly the same.
    pub flat: Vec<String>,
    /// Images and patients of each part of the split.
    pub parts: Vec<PartCount>,
    /// Targets by label and part, in that order.
    pub labels: Vec<LabelCount>,
    /// Sizes of the images, the most frequent first.
    pub sizes: Vec<Size>,
    /// Intensities of each part.
    pub intensities: Vec<Intensity>,
    /// Labels that exclude each other and stand together; none if the dataset has no normal label.
    pub contradictions: Option<Contradictions>,
    /// Pictures that different patients share.
    pub twins: Vec<Twin>,
}

/// Images and patients of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartCount {
    /// Part.
    pub part: Part,
    /// Images.
    pub images: usize,
    /// Patients.
    pub patients: usize,
    /// Images of the patient with the most.
    pub most_of_one_patient: usize,
}

/// Targets of one label in one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LabelCount {
    /// Label.
    pub label: String,
    /// Part.
    pub part: Part,
    /// Images with the finding.
    pub positive: usize,
    /// Images without it.
    pub negative: usize,
    /// Images where nobody looked.
    pub not_assessed: usize,
    /// Patients with the finding on some image.
    pub patients: usize,
}

/// Images of one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Bits of a value: 8 or 16.
    pub bits: u32,
    /// How many there are.
    pub images: usize,
}

/// Intensities of a part, before normalisation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Intensity {
    /// Part.
    pub part: Part,
    /// Share of the pixels in each of 64 equal intervals from black to white, every pixel counted alike.
    pub histogram: Vec<f64>,
    /// Mean, of a range of 1, to half an interval.
    pub mean: f64,
}

/// Images with the normal label and a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contradictions {
    /// The normal label.
    pub normal: String,
    /// Images that are normal and have each finding.
    pub with: BTreeMap<String, usize>,
    /// Images that are not normal, and yet all findings are absent.
    pub nothing: usize,
}

/// A picture under two names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Twin {
    /// The earlier image.
    pub first: String,
    /// The later image.
    pub second: String,
    /// Parts of the two.
    pub parts: [Part; 2],
    /// Whether all pixels are equal.
    pub equal: bool,
    /// Correlation of the intensities.
    pub correlation: f32,
    /// Whether a label is present on one and absent on the other.
    pub contradict: bool,
    /// Indices of the two.
    #[serde(skip)]
    pub(crate) indices: [usize; 2],
}

impl Survey {
    /// Brings together what is known of the images. With `show_ids` images are called by their ids, else by their
    /// number in the dataset, from 1.
    pub fn new(looked: &Looked<'_>, show_ids: bool) -> Self {
        let Looked { info, records, parts, looks } = *looked;
        let name = |index: usize| {
            if show_ids { records[index].id.clone() } else { format!("image {}", index + 1) }
        };
        let named = |keep: &dyn Fn(&Option<Look>) -> bool| {
            (0..looks.len()).filter(|index| keep(&looks[*index])).map(name).collect()
        };
        let in_part = |part: Part| (0..records.len()).filter(move |index| parts[*index] == part);
        let twins = twins(records, looks).into_iter().map(|twins| Twin {
            first: name(twins.first),
            second: name(twins.second),
            parts: [parts[twins.first], parts[twins.second]],
            equal: twins.equal,
            correlation: twins.correlation,
            contradict: twins.contradict,
            indices: [twins.first, twins.second],
        });
        Self {
            images: records.len(),
            patients: records.iter().map(|record| &record.group).collect::<BTreeSet<_>>().len(),
            unreadable: named(&|look| look.is_none()),
            flat: named(&|look| look.as_ref().is_some_and(|look| look.picture.is_none())),
            parts: PARTS.map(|part| part_count(part, in_part(part).map(|i| &records[i]))).into(),
            labels: label_counts(info, |part| in_part(part).map(|index| &records[index]).collect()),
            sizes: sizes(looks.iter().flatten()),
            intensities: PARTS
                .into_iter()
                .filter_map(|part| intensity(part, in_part(part).filter_map(|index| looks[index].as_ref())))
                .collect(),
            contradictions: contradictions(info, records),
            twins: twins.collect(),
        }
    }

    /// What to look at first, in sentences without names.
    pub fn findings(&self) -> Vec<String> {
        let mut findings = Vec::new();
        let mut tell = |number: usize, what: &str| {
            if number > 0 {
                let noun = if number == 1 { "image" } else { "images" };
                findings.push(format!("{number} {noun} {what}"));
            }
        };
        tell(self.unreadable.len(), "cannot be decoded; `nashost data check` says why");
        tell(self.flat.len(), "without contrast: nothing can be seen");
        let twins = |keep: fn(&&Twin) -> bool| self.twins.iter().filter(keep).count();
        tell(twins(|twin| twin.equal), "equal to one of another patient");
        tell(twins(|twin| !twin.equal), "nearly equal to one of another patient");
        tell(twins(|twin| twin.parts[0] != twin.parts[1]), "with a twin in another part of the split");
        tell(twins(|twin| twin.contradict), "with other labels than the twin");
        if let Some(Contradictions { normal, with, nothing }) = &self.contradictions {
            for (label, images) in with {
                tell(*images, &format!("both \"{normal}\" and \"{label}\""));
            }
            tell(*nothing, &format!("without any finding, yet not \"{normal}\""));
        }
        findings
    }
}

fn part_count<'a>(part: Part, records: impl Iterator<Item = &'a Record>) -> PartCount {
    let mut of_patient: BTreeMap<&str, usize> = BTreeMap::new();
    records.for_each(|record| *of_patient.entry(&record.group).or_default() += 1);
    PartCount {
        part,
        images: of_patient.values().sum(),
        patients: of_patient.len(),
        most_of_one_patient: of_patient.values().max().copied().unwrap_or(0),
    }
}

fn label_counts<'a>(info: &DatasetInfo, in_part: impl Fn(Part) -> Vec<&'a Record>) -> Vec<LabelCount> {
    let parts = PARTS.map(|part| (part, in_part(part)));
    let count = |(at, label): (usize, &String)| {
        parts.each_ref().map(|(part, records)| {
            let with =
                |target: Target| records.iter().filter(move |record| record.targets.get(at) == Some(&target));
            let patients: BTreeSet<&str> = with(Target::Positive).map(|record| &*record.group).collect();
            LabelCount {
                label: label.clone(),
                part: *part,
                positive: with(Target::Positive).count(),
                negative: with(Target::Negative).count(),
                not_assessed: with(Target::NotAssessed).count(),
                patients: patients.len(),
            }
        })
    };
    info.labels.iter().enumerate().flat_map(count).collect()
}

fn sizes<'a>(looks: impl Iterator<Item = &'a Look>) -> Vec<Size> {
    let mut sizes: BTreeMap<(usize, usize, u32), usize> = BTreeMap::new();
    looks.for_each(|look| *sizes.entry((look.height, look.width, look.bits)).or_default() += 1);
    let size = |((height, width, bits), images)| Size { height, width, bits, images };
    let mut sizes: Vec<Size> = sizes.into_iter().map(size).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.images));
    sizes
}

fn intensity<'a>(part: Part, looks: impl Iterator<Item = &'a Look>) -> Option<Intensity> {
    let mut sums = [0_u64; BINS];
    looks.for_each(|look| sums.iter_mut().zip(&look.histogram).for_each(|(sum, n)| *sum += n));
    let all: u64 = sums.iter().sum();
    let histogram: Vec<f64> = sums.iter().map(|n| *n as f64 / all as f64).collect();
    let centre = |bin: usize| (bin as f64 + 0.5) / BINS as f64;
    let mean = histogram.iter().enumerate().map(|(bin, share)| centre(bin) * share).sum();
    (all > 0).then_some(Intensity { part, histogram, mean })
}

fn contradictions(info: &DatasetInfo, records: &[Record]) -> Option<Contradictions> {
    let normal = info.normal_label.as_ref()?;
    let at = info.labels.iter().position(|label| label == normal)?;
    let others: Vec<Range<usize>> = vec![0..at, at + 1..info.labels.len()];
    let others = || others.iter().cloned().flatten();
    let is = |record: &Record, label: usize, target: Target| record.targets.get(label) == Some(&target);
    let both = |label: usize| {
        records
            .iter()
            .filter(|record| is(record, at, Target::Positive) && is(record, label, Target::Positive))
            .count()
    };
    let nothing = |record: &&Record| {
        is(record, at, Target::Negative) && others().all(|label| is(record, label, Target::Negative))
    };
    Some(Contradictions {
        normal: normal.clone(),
        with: others()
            .map(|label| (info.labels[label].clone(), both(label)))
            .filter(|(_, n)| *n > 0)
            .collect(),
        nothing: records.iter().filter(nothing).count(),
    })
}
