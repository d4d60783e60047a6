//! Which files there are, whose they are, and which row of the table is theirs.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Component as PathPart, Path, PathBuf},
};

use nashost_plugin_api::{dataset::Record, problems::Problems};
use rayon::prelude::*;

use crate::{
    config::{DicomConfig, Group, Join, Unmatched},
    file::{DataSet, FileError, Tag, has_mark, with_header},
    header::Identity,
    labels::{Labels, Row},
    pseudonym::Salt,
};

/// (0004,1220), (0004,1430) and (0004,1500) of a DICOMDIR.
const DIRECTORY: Tag = 0x0004_1220;
const RECORD_TYPE: Tag = 0x0004_1430;
const REFERENCED_FILE: Tag = 0x0004_1500;

/// All images, with their labels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Index {
    pub(crate) labels: Vec<String>,
    pub(crate) normal: Option<String>,
    pub(crate) images: Vec<Image>,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Image {
    pub(crate) record: Record,
    pub(crate) path: PathBuf,
    /// Line of its labels.
    pub(crate) line: u64,
}

/// Names of things in records and messages: their own, or pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names(pub(crate) Option<Salt>);

impl Names {
    fn name(&self, kind: &str, id: &str) -> String {
        self.0.as_ref().map_or_else(|| id.to_owned(), |salt| salt.name(kind, id))
    }

    /// A file, for messages: folders and files are often named after patients.
    pub(crate) fn file(&self, path: &Path) -> String {
        match &self.0 {
            None => format!("file \"{}\"", path.display()),
            Some(salt) => salt.name("file", &path.to_string_lossy()),
        }
    }
}

/// A file with pixel data.
struct Found {
    /// Relative to the root.
    path: PathBuf,
    identity: Identity,
}

impl Index {
    /// Reads the table and all headers.
    ///
    /// # Errors
    ///
    /// Fails with every problem of the table and of the files.
    pub(crate) fn read(config: &DicomConfig, names: &Names) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let labels = Labels::read(config, &mut problems);
        let files = files(config, names, labels.as_ref(), &mut problems);
        let found = headers(config, names, files, &mut problems);
        let Some(labels) = labels else { return Err(problems) };
        let images = join(config, names, &labels, found, &mut problems);
        problems.or(Self { normal: labels.normal(config), labels: labels.names, images })
    }
}

/// Paths relative to the root, each once, sorted unless the table lists them.
fn files(
    config: &DicomConfig,
    names: &Names,
    labels: Option<&Labels>,
    problems: &mut Problems,
) -> Vec<PathBuf> {
    if config.join == Join::File {
        let rows = labels.map(|labels| labels.rows.as_slice()).unwrap_or_default();
        let csv = config.csv.display();
        let named = |row: &Row| match inside(&config.root, Path::new(&row.key)) {
            Ok(path) => Some(path),
            Err(reason) => {
                problems.add(format!("{csv}:{}: the file {reason}", row.line));
                None
            }
        };
        return rows.iter().filter_map(named).collect();
    }
    let listed = match &config.dicomdir {
        Some(dicomdir) => directory(&config.root, dicomdir, names, problems),
        None => walk(&config.root).map_err(|error| format!("root: cannot be listed: {error}")),
    };
    let mut files = listed.unwrap_or_else(|problem| {
        problems.add(problem);
        Vec::new()
    });
    files.sort();
    files.dedup();
    files
}

/// Checks that a path names a file below `root`, links resolved, and tidies it.
fn inside(root: &Path, path: &Path) -> Result<PathBuf, &'static str> {
    if !path.components().all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir)) {
        return Err("lies outside the root folder");
    }
    let full = root.join(path);
    if !full.is_file() {
        return Err("does not exist");
    }
    match (full.canonicalize(), root.canonicalize()) {
        (Ok(full), Ok(root)) if full.starts_with(&root) => Ok(path.components().collect()),
        _ => Err("lies outside the root folder"),
    }
}

/// All files below `root` that carry the mark of DICOM or the ending `.dcm`. Links are not followed, so
/// there are no loops and no ways out.
fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let named = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("dcm"));
                if named || has_mark(&path)? {
                    files.push(path.strip_prefix(root).map(Path::to_owned).unwrap_or(path));
                }
            }
        }
    }
    Ok(files)
}

/// The images that a DICOMDIR lists (PS3.3, annex F).
fn directory(
    root: &Path,
    dicomdir: &Path,
    names: &Names,
    problems: &mut Problems,
) -> Result<Vec<PathBuf>, String> {
    let wrong = |error: FileError| format!("dicomdir: {} {error}", dicomdir.display());
    let base = dicomdir.parent().unwrap_or(Path::new(""));
    let data = inside(root, dicomdir)
        .map_err(|reason| format!("dicomdir: {} {reason}", dicomdir.display()))
        .and_then(|path| DataSet::read(&root.join(path)).map_err(wrong))?;
    let records = data.elements().and_then(|elements| elements.items(DIRECTORY)).map_err(wrong)?;
    let mut files = Vec::new();
    for record in records.iter().filter(|record| record.text(RECORD_TYPE).as_deref() == Some("IMAGE")) {
        let Some(file) = record.text(REFERENCED_FILE) else { continue };
        let path = base.join(file.split('\\').collect::<PathBuf>());
        match inside(root, &path) {
            Ok(path) => files.push(path),
            Err(reason) => problems.add(format!("dicomdir: {} {reason}", names.file(&path))),
        }
    }
    Ok(files)
}

/// Reads headers in parallel. What a folder holds besides images (directories, reports, presentation
/// states) is left out; a file that the table lists must be an image. A file whose header cannot be read belongs to
/// no row.
fn headers(config: &DicomConfig, names: &Names, files: Vec<PathBuf>, problems: &mut Problems) -> Vec<Found> {
    let look = |path: &PathBuf| {
        with_header(&config.root.join(path), |elements, pixels| {
            (Identity::of(elements, &config.attributes), pixels)
        })
    };
    let looked: Vec<_> = files.par_iter().map(look).collect();
    let mut found = Vec::new();
    let mut left_out = Vec::new();
    for (path, looked) in files.into_iter().zip(looked) {
        match looked {
            Ok((identity, true)) => found.push(Found { path, identity }),
            Ok((_, false)) if config.join != Join::File => {}
            Ok((_, false)) => problems.add(format!("{} has no pixel data", names.file(&path))),
            Err(error) => {
                let problem = format!("{} {error}", names.file(&path));
                if config.join != Join::File && config.unmatched == Unmatched::Skip {
                    left_out.push(problem);
                } else {
                    problems.add(problem);
                }
            }
        }
    }
    if let Some(first) = left_out.first() {
        tracing::warn!("left out: {} files whose headers cannot be read; the first: {first}", left_out.len());
    }
    found
}

fn key(join: Join, found: &Found) -> Option<&str> {
    match join {
        Join::Sop => found.identity.sop.as_deref(),
        Join::Accession => found.identity.accession.as_deref(),
        Join::Study => found.identity.study.as_deref(),
        Join::Patient => found.identity.patient.as_deref(),
        Join::File => found.path.to_str(),
    }
}

/// Gives every file its row.
fn join(
    config: &DicomConfig,
    names: &Names,
    labels: &Labels,
    found: Vec<Found>,
    problems: &mut Problems,
) -> Vec<Image> {
    let csv = config.csv.display();
    let tidy = |key: &str| match config.join {
        Join::File => Path::new(key).components().collect::<PathBuf>().to_string_lossy().into_owned(),
        _ => key.to_owned(),
    };
    let rows: HashMap<String, usize> =
        labels.rows.iter().enumerate().map(|(i, row)| (tidy(&row.key), i)).collect();
    let mut used = vec![false; labels.rows.len()];
    let mut images = Vec::new();
    let mut alone = Vec::new();
    let mut sops: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut burnt_in = 0;
    for file in found {
        let name = names.file(&file.path);
        let Some(&row) = key(config.join, &file).and_then(|key| rows.get(key)) else {
            alone.push(name);
            continue;
        };
        used[row] = true;
        let row = &labels.rows[row];
        let Identity { sop, study, patient, attributes, burnt_in: burnt, .. } = file.identity;
        burnt_in += usize::from(burnt);
        let group = match config.group {
            Group::Patient => patient.ok_or("patient id; `group = \"study\"` needs none"),
            Group::Study => study.ok_or("study instance UID"),
        };
        let (Some(sop), Ok(group)) = (&sop, &group) else {
            let what = group.err().unwrap_or("SOP instance UID");
            problems.add(format!("{name} ({csv}:{}) has no {what}", row.line));
            continue;
        };
        if let Some(first) = sops.insert(sop.clone(), file.path.clone()) {
            problems.add(format!("{name} and {} have the same SOP instance UID", names.file(&first)));
        }
        let kind = if config.group == Group::Patient { "patient" } else { "study" };
        let record = Record {
            id: names.name("image", sop),
            group: names.name(kind, group),
            split: row.split,
            targets: row.targets.clone(),
            attributes,
        };
        images.push(Image { record, path: config.root.join(file.path), line: row.line });
    }
    let unused: Vec<_> = labels.rows.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row).collect();
    let mut unmatched = Vec::new();
    if let Some(first) = alone.first() {
        unmatched.push(format!("{} of the images have no row in {csv}; the first is {first}", alone.len()));
    }
    // Files that do not exist were told already.
    if let Some(first) = unused.first().filter(|_| config.join != Join::File) {
        unmatched.push(format!(
            "{} rows of {csv} have no image; the first is line {}",
            unused.len(),
            first.line
        ));
    }
    for message in unmatched {
        match config.unmatched {
            Unmatched::Refuse => {
                problems.add(format!("{message}; `unmatched = \"skip\"` leaves them out"));
            }
            Unmatched::Skip => tracing::warn!("left out: {message}"),
        }
    }
    if burnt_in > 0 {
        tracing::warn!(
            "{burnt_in} of {} images say that text is burnt into their pixels, which may name patients; \
             pseudonyms do not remove it",
            images.len()
        );
    }
    images
}
