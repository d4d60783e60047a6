//! Everything that can be wrong with a dataset.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nashost_plugin_api::dataset::{DatasetInfo, Part, Record, Target};
use nashost_survey::{Look, twins};

use super::{
    CheckReport, ImageSource, LabelCount, Problem, Progress, Split, catalogue::count, load::ONE_GREY,
    look::look_at_all, report::part_name,
};
use crate::error::{Error, Result};

/// Checks a dataset as a run would that divides it by `split`: its records, their parts, and every image.
///
/// # Errors
///
/// Fails if the dataset cannot be described or listed; all other problems are in the report, also why `split` fails.
pub fn check(
    source: &dyn ImageSource,
    split: impl FnOnce(&[Record]) -> Result<Split>,
    progress: Progress<'_>,
) -> Result<CheckReport> {
    let info = source.info()?;
    let records = source.records()?;
    let mut problems = check_records(&info, &records);
    let parts: Vec<_> = match split(&records) {
        Ok(split) => {
            let parts: Vec<_> = split.parts.into_iter().map(Some).collect();
            problems.extend(check_parts(&info, &records, &parts));
            parts
        }
        Err(error) => {
            problems.push(as_problem(error));
            records.iter().map(|record| record.split).collect()
        }
    };
    problems.extend(check_images(source, &records, &parts, progress));
    problems.sort_by_key(|problem| problem.severity);
    let groups: BTreeSet<_> = records.iter().map(|record| &record.group).collect();
    Ok(CheckReport {
        images: records.len(),
        groups: groups.len(),
        counts: label_counts(&info, &records, &parts),
        problems,
    })
}

/// What a run would refuse, with what to try.
fn as_problem(error: Error) -> Problem {
    let help = error.help.map(|help| format!("; {help}")).unwrap_or_default();
    Problem::error(error.message + &help)
}

/// Checks what can be seen without a split and without pixels.
pub(super) fn check_records(info: &DatasetInfo, records: &[Record]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if records.is_empty() {
        problems.push(Problem::error("the dataset has no images"));
    }
    if info.labels.is_empty() {
        problems.push(Problem::error("the dataset has no labels"));
    }
    if !matches!(info.channels, 1 | 3) {
        problems.push(Problem::error(format!("{} channels, neither 1 nor 3", info.channels)));
    }
    let mut names = BTreeSet::new();
    for label in info.labels.iter().filter(|&label| !names.insert(label)) {
        problems.push(Problem::error(format!("two labels are named \"{label}\"")));
    }
    let normal = info.normal_label.as_ref().map(|normal| (normal, position(&info.labels, normal)));
    if let Some((normal, None)) = normal {
        problems.push(Problem::error(format!("normal label \"{normal}\" is none of the labels")));
    }
    let mut ids: HashMap<&str, usize> = HashMap::new();
    let mut nothing = Vec::new();
    for (index, record) in records.iter().enumerate() {
        let id = &record.id;
        if let Some(first) = ids.insert(id, index) {
            let message = format!("id \"{id}\" stands for images {} and {}", first + 1, index + 1);
            problems.push(Problem::error(message));
        }
        if record.targets.len() != info.labels.len() {
            let [targets, labels] = [(record.targets.len(), "target"), (info.labels.len(), "label")]
                .map(|(n, noun)| count(n, noun));
            problems.push(Problem::error(format!("image \"{id}\" has {targets} for {labels}")));
        } else if let Some((normal, Some(at))) = normal {
            match check_normal(record, at) {
                Normality::Consistent => {}
                Normality::Finding(finding) => {
                    let finding = &info.labels[finding];
                    let message = format!("image \"{id}\" is both \"{normal}\" and \"{finding}\"");
                    problems.push(Problem::error(message));
                }
                Normality::Nothing => nothing.push(id),
            }
        }
    }
    if let (Some(first), Some((normal, _))) = (nothing.first(), normal) {
        problems.push(Problem::warning(format!(
            "{} without any finding, yet not \"{normal}\"; the first is \"{first}\"",
            count(nothing.len(), "image")
        )));
    }
    problems
}

fn position(labels: &[String], label: &str) -> Option<usize> {
    labels.iter().position(|other| other == label)
}

/// How the normal label of an image goes with its findings.
enum Normality {
    Consistent,
    /// Normal, and yet the finding of this position.
    Finding(usize),
    /// Not normal, and yet all findings are negative.
    Nothing,
}

/// Compares the normal label at `normal` with the findings.
fn check_normal(record: &Record, normal: usize) -> Normality {
    let others = || record.targets.iter().enumerate().filter(|(i, _)| *i != normal);
    match record.targets[normal] {
        Target::Positive => others()
            .find(|(_, target)| **target == Target::Positive)
            .map_or(Normality::Consistent, |(finding, _)| Normality::Finding(finding)),
        Target::Negative if others().all(|(_, target)| *target == Target::Negative) => Normality::Nothing,
        _ => Normality::Consistent,
    }
}

/// Checks a split: parts without images, groups in two parts, labels of one class.
///
/// A label of one class cannot be learned in the training part (error) and not be measured in the
/// others (warning).
pub(super) fn check_parts(info: &DatasetInfo, records: &[Record], parts: &[Option<Part>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let without = parts.iter().filter(|part| part.is_none()).count();
    if without > 0 {
        problems.push(Problem::error(format!("{} without a part of the split", count(without, "image"))));
    }
    let mut of_group: BTreeMap<&str, BTreeSet<Part>> = BTreeMap::new();
    for (record, part) in records.iter().zip(parts) {
        of_group.entry(&record.group).or_default().extend(part);
    }
    for (group, parts) in of_group.iter().filter(|(_, parts)| parts.len() > 1) {
        let parts: Vec<_> = parts.iter().map(|part| part_name(*part)).collect();
        problems.push(Problem::error(format!("group \"{group}\" lies in {}", parts.join(" and "))));
    }
    for part in [Part::Train, Part::Val, Part::Test] {
        if !parts.contains(&Some(part)) {
            problems.push(Problem::error(format!("part {} has no images", part_name(part))));
        }
    }
    for label in label_counts(info, records, parts) {
        let Some(part) = label.part else { continue };
        let missing = match label {
            LabelCount { positive: 0, negative: 0, .. } => "is not assessed on any image",
            LabelCount { positive: 0, .. } => "has no positive image",
            LabelCount { negative: 0, .. } => "has no negative image",
            _ => continue,
        };
        let message = format!("label \"{}\" {missing} of part {}", label.label, part_name(part));
        problems.push(if part == Part::Train { Problem::error(message) } else { Problem::warning(message) });
    }
    problems
}

/// Counts targets by label and part; parts without images are left out.
fn label_counts(info: &DatasetInfo, records: &[Record], parts: &[Option<Part>]) -> Vec<LabelCount> {
    let mut counts = Vec::new();
    for (i, label) in info.labels.iter().enumerate() {
        let mut by_part: BTreeMap<Option<Part>, [usize; 3]> = BTreeMap::new();
        for (record, part) in records.iter().zip(parts) {
            let slot = match record.targets.get(i) {
                Some(Target::Positive) => 0,
                Some(Target::Negative) => 1,
                Some(Target::NotAssessed) => 2,
                None => continue,
            };
            by_part.entry(*part).or_default()[slot] += 1;
        }
        counts.extend(by_part.into_iter().map(|(part, [positive, negative, not_assessed])| LabelCount {
            label: label.clone(),
            part,
            positive,
            negative,
            not_assessed,
        }));
    }
    counts
}

/// Decodes every image: unreadable ones, and a training part without contrast, are errors; equal ones, and nearly
/// equal ones, of different groups are warnings.
fn check_images(
    source: &dyn ImageSource,
    records: &[Record],
    parts: &[Option<Part>],
    progress: Progress<'_>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let looks =
        look_at_all(source, records.len(), progress).into_iter().zip(records).map(|(look, record)| {
            look.map_err(|reason| problems.push(Problem::error(format!("image \"{}\": {reason}", record.id))))
                .ok()
        });
    let looks: Vec<_> = looks.collect();
    if is_one_grey(&looks, parts) {
        problems.push(Problem::error(ONE_GREY));
    }
    problems.extend(twins(records, &looks).into_iter().map(|twins| {
        let [first, second] = [twins.first, twins.second].map(|index| &records[index].id);
        let how = match twins.equal {
            true => "equal".to_owned(),
            false => format!("nearly equal (correlation {:.4})", twins.correlation),
        };
        let labels = if twins.contradict { ", with other labels" } else { "" };
        Problem::warning(format!("images \"{first}\" and \"{second}\" of different groups are {how}{labels}"))
    }));
    problems
}

/// Whether all images of the training part are of one and the same grey.
fn is_one_grey(looks: &[Option<Look>], parts: &[Option<Part>]) -> bool {
    let training = looks.iter().zip(parts).filter(|(_, part)| **part == Some(Part::Train));
    let mut shades = training.map(|(look, _)| look.as_ref().and_then(Look::shade));
    shades.next().flatten().is_some_and(|first| shades.all(|shade| shade == Some(first)))
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::PixelType;

    use super::*;
    use crate::data::Severity;
    use crate::data::testing::{MemorySource, damaged, info, record};

    fn messages(problems: &[Problem], severity: Severity) -> Vec<&str> {
        problems.iter().filter(|p| p.severity == severity).map(|p| p.message.as_str()).collect()
    }

    #[test]
    fn records_are_checked_without_pixels() {
        let records = [
            record("a", "a", None, &[1, 1]),
            record("a", "b", None, &[0, 0]),
            record("c", "c", None, &[0]),
            record("d", "d", None, &[-1, 0]),
        ];
        let problems = check_records(&info(&["finding", "normal"]), &records);
        assert_eq!(
            messages(&problems, Severity::Error),
            [
                "image \"a\" is both \"normal\" and \"finding\"",
                "id \"a\" stands for images 1 and 2",
                "image \"c\" has 1 target for 2 labels",
            ]
        );
        assert_eq!(
            messages(&problems, Severity::Warning),
            ["1 image without any finding, yet not \"normal\"; the first is \"a\""]
        );
        let empty = check_records(&info(&["x", "x"]), &[]);
        let expected = ["the dataset has no images", "two labels are named \"x\""];
        assert_eq!(messages(&empty, Severity::Error), expected);
    }

    #[test]
    fn splits_are_checked_for_leaks_empty_parts_and_one_class() {
        let records = [
            record("a", "p", None, &[1, 0, 1]),
            record("b", "p", None, &[0, 0, 0]),
            record("c", "q", None, &[0, 1, -1]),
        ];
        let parts = [Some(Part::Train), Some(Part::Val), Some(Part::Train)];
        let problems = check_parts(&info(&["x", "y", "z"]), &records, &parts);
        assert_eq!(
            messages(&problems, Severity::Error),
            [
                "group \"p\" lies in train and val",
                "part test has no images",
                "label \"z\" has no negative image of part train",
            ]
        );
        assert_eq!(messages(&problems, Severity::Warning).len(), 3);
        let partly = check_parts(&info(&["x", "y", "z"]), &records, &[Some(Part::Train), None, None]);
        assert_eq!(partly[0].message, "2 images without a part of the split");
    }

    #[test]
    fn the_report_counts_labels_and_lists_bad_images() {
        let mut source = MemorySource::new(16);
        source.pixels[2] = Err(damaged("i2.png is truncated"));
        source.pixels[5].as_mut().unwrap().data.pop();
        source.pixels[7] = source.pixels[6].clone();
        let report = check(&source, Split::as_given, &|_, _| {}).unwrap();
        assert!(report.has_errors());
        assert_eq!((report.images, report.groups), (16, 16));
        assert_eq!(report.counts.len(), 3);
        assert_eq!((report.counts[0].positive, report.counts[0].negative), (4, 4));
        assert_eq!(
            messages(&report.problems, Severity::Error),
            [
                "image \"i2\": i2.png is truncated",
                "image \"i5\": 99 bytes for 10 rows, 10 columns, 1 channel",
            ]
        );
        let equal = "images \"i6\" and \"i7\" of different groups are equal, with other labels";
        assert_eq!(messages(&report.problems, Severity::Warning), [equal]);
        let text = report.to_string();
        assert!(text.starts_with("16 images, 1 label, 16 groups\n"), "{text}");
        assert!(text.contains("error: image \"i2\": i2.png is truncated\n"), "{text}");
        assert_eq!(serde_json::to_value(&report).unwrap()["counts"][0]["part"], "train");
        assert_eq!(source.pixels[0].as_ref().unwrap().dtype, PixelType::U8);
    }

    #[test]
    fn the_split_of_a_run_is_checked_not_that_of_the_dataset() {
        let source = MemorySource::new(16);
        let other = |records: &[Record]| {
            let mut split = Split::as_given(records)?;
            split.parts[0] = Part::Test;
            Ok(split)
        };
        let report = check(&source, other, &|_, _| {}).unwrap();
        assert_eq!((report.counts[0].positive, report.counts[0].negative), (3, 4));
        let fractions = |records: &[Record]| Split::stratified(records, [0.5, 0.5, 0.5], 1);
        let report = check(&source, fractions, &|_, _| {}).unwrap();
        let refused = "split fractions [0.5, 0.5, 0.5] are not three positive numbers with sum 1";
        assert_eq!(messages(&report.problems, Severity::Error), [refused]);
    }

    #[test]
    fn training_images_of_one_grey_are_an_error() {
        let mut source = MemorySource::new(16);
        let fill = |source: &mut MemorySource, shade: u8| {
            for i in (0..16).filter(|i| i % 4 < 2) {
                source.pixels[i].as_mut().unwrap().data.fill(shade);
            }
        };
        fill(&mut source, 9);
        let errors = |source: &MemorySource| {
            let report = check(source, Split::as_given, &|_, _| {}).unwrap();
            messages(&report.problems, Severity::Error).join("\n")
        };
        assert_eq!(errors(&source), ONE_GREY);
        source.pixels[0].as_mut().unwrap().data.fill(10);
        assert_eq!(errors(&source), "", "two greys can be normalised");
    }
}
