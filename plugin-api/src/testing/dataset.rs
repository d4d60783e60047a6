//! Rules for datasets.

use std::collections::BTreeSet;

use super::{
    Bench,
    bench::{Trouble, broken, on_four_threads},
};
use crate::{
    abi::foreign::{CallError, CallErrorKind, ForeignDataset},
    dataset::{DatasetInfo, Pixels, Record},
};

/// Images that are decoded, spread over the whole set.
const IMAGES: usize = 64;

/// Tries every rule on datasets that `make` creates.
pub fn dataset_rules(bench: &mut Bench<'_>, make: &dyn Fn() -> Result<ForeignDataset, CallError>) {
    let mut known: Option<(DatasetInfo, Vec<Record>)> = None;
    bench.rule("records", || {
        let dataset = make()?;
        let (info, records) = (dataset.describe()?, dataset.records()?);
        check(&info, &records)?;
        let detail = format!("{} images, {} labels", records.len(), info.labels.len());
        known = Some((info, records));
        Ok(detail)
    });
    let known = || known.as_ref().ok_or(Trouble::NotTried("it has no valid records".to_owned()));
    bench.rule("stable", || {
        let (info, records) = known()?;
        let (first, second) = (make()?, make()?);
        if second.describe()? != *info || second.records()? != *records || first.stamp()? != second.stamp()? {
            return broken("another instance answers another description, other records or another stamp");
        }
        Ok("two instances".to_owned())
    });
    let chosen = |records: &[Record]| {
        let step = records.len().div_ceil(IMAGES).max(1);
        (0..records.len()).step_by(step).collect::<Vec<_>>()
    };
    bench.rule("pixels", || {
        let (info, records) = known()?;
        let dataset = make()?;
        let mut masks = 0;
        for index in chosen(records) {
            let pixels = dataset.pixels(index)?;
            if pixels.channels != info.channels || pixels.width == 0 {
                let Pixels { height, width, channels, .. } = pixels;
                return broken(format!(
                    "image {index} is {height}×{width}×{channels}, and {} channels were announced",
                    info.channels
                ));
            }
            for label in 0..info.labels.len() {
                let Some(mask) = dataset.mask(index, label)? else { continue };
                masks += 1;
                let size = |p: &Pixels| (p.height, p.width);
                if size(&mask) != size(&pixels) || mask.channels != 1 {
                    return broken(format!("the mask of label {label} on image {index} has another size"));
                }
            }
        }
        Ok(format!("{} images, {masks} masks", chosen(records).len()))
    });
    bench.rule("threads", || {
        let (_, records) = known()?;
        let dataset = make()?;
        let indices = chosen(records);
        let work = || indices.iter().map(|&index| dataset.pixels(index)).collect::<Result<Vec<_>, _>>();
        on_four_threads(&work()?, work)
    });
    bench.rule("nonsense", || {
        let (info, records) = known()?;
        let dataset = make()?;
        for index in [records.len(), usize::MAX] {
            match dataset.pixels(index) {
                Ok(_) => return broken(format!("it has an image {index} of {}", records.len())),
                Err(error) => no_panic(error)?,
            }
        }
        for (index, label) in [(records.len(), 0), (0, info.labels.len())] {
            if let Err(error) = dataset.mask(index, label) {
                no_panic(error)?;
            }
        }
        Ok("two images and two masks".to_owned())
    });
}

fn no_panic(error: CallError) -> Result<(), Trouble> {
    match error.kind {
        CallErrorKind::Panicked | CallErrorKind::Poisoned => broken(error.to_string()),
        _ => Ok(()),
    }
}

fn check(info: &DatasetInfo, records: &[Record]) -> Result<(), Trouble> {
    if records.is_empty() || info.labels.is_empty() {
        return broken(format!("{} images and {} labels", records.len(), info.labels.len()));
    }
    if !matches!(info.channels, 1 | 3) {
        return broken(format!("{} channels, where 1 and 3 are possible", info.channels));
    }
    if info.labels.iter().collect::<BTreeSet<_>>().len() != info.labels.len() {
        return broken("two labels have one name");
    }
    if let Some(label) = info.normal_label.as_ref().filter(|label| !info.labels.contains(label)) {
        return broken(format!("the normal label `{label}` is none of the labels"));
    }
    let mut ids = BTreeSet::new();
    for (index, record) in records.iter().enumerate() {
        if !ids.insert(&record.id) {
            return broken(format!("two images have the id of image {index}"));
        }
        if record.id.is_empty() || record.group.is_empty() {
            return broken(format!("image {index} has no id or no group"));
        }
        if record.targets.len() != info.labels.len() {
            let (targets, labels) = (record.targets.len(), info.labels.len());
            return broken(format!("image {index} has {targets} targets for {labels} labels"));
        }
    }
    Ok(())
}
