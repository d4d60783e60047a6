//! Index files: columns, rows, and everything that can be wrong with them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Component as PathPart, Path, PathBuf},
};

use csv::StringRecord;
use nashost_plugin_api::{
    dataset::{Part, Record, Target},
    problems::Problems,
};

use super::CsvImagesConfig;
use crate::near::did_you_mean;

/// All index files of a dataset, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Index {
    /// Label names.
    pub(super) labels: Vec<String>,
    /// Position of the normal label.
    pub(super) normal: Option<usize>,
    /// In the order of the files.
    pub(super) rows: Vec<Row>,
    /// The index files.
    pub(super) files: Vec<PathBuf>,
}

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    pub(super) record: Record,
    /// Image file.
    pub(super) path: PathBuf,
    /// `file:line`, for messages.
    pub(super) place: String,
}

/// Bytes of a column's name at most: each wrong value quotes it.
const LONGEST_NAME: usize = 200;

/// Names of the study's index files.
const STUDY_FILES: [(&str, Part); 3] =
    [("train.csv", Part::Train), ("val.csv", Part::Val), ("test.csv", Part::Test)];

impl Index {
    /// Reads the index files of `config`.
    ///
    /// # Errors
    ///
    /// Fails with every problem of every file.
    pub(super) fn read(config: &CsvImagesConfig) -> Result<Self, Problems> {
        let files: Vec<(PathBuf, Option<Part>)> = match &config.csv {
            Some(csv) => vec![(config.root.join(csv), None)],
            None => STUDY_FILES.map(|(name, part)| (config.root.join(name), Some(part))).into(),
        };
        let mut reader = Reader {
            config,
            labels: None,
            rows: Vec::new(),
            places: HashMap::new(),
            problems: Problems::default(),
        };
        for (path, part) in &files {
            reader.read_file(path, *part);
        }
        let Reader { labels, rows, problems, .. } = reader;
        let labels = labels.map(|(_, labels)| labels).unwrap_or_default();
        let normal = labels.iter().position(|label| label.eq_ignore_ascii_case(&config.normal));
        problems.or(Self { labels, normal, rows, files: files.into_iter().map(|(path, _)| path).collect() })
    }
}

/// Positions of the columns in one file.
struct Columns {
    names: Vec<String>,
    id: usize,
    path: Option<usize>,
    group: Option<usize>,
    split: Option<usize>,
    labels: Vec<usize>,
    attributes: Vec<usize>,
    normal: Option<usize>,
}

struct Reader<'a> {
    config: &'a CsvImagesConfig,
    /// The first file's name and labels.
    labels: Option<(String, Vec<String>)>,
    rows: Vec<Row>,
    /// Where each id stands.
    places: HashMap<String, String>,
    problems: Problems,
}

impl Reader<'_> {
    fn read_file(&mut self, path: &Path, part: Option<Part>) {
        let name = path.strip_prefix(&self.config.root).unwrap_or(path).display().to_string();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.problems.add(format!("{name}: cannot be read: {error}")),
        };
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
        let header = match csv.headers() {
            Ok(header) if header.is_empty() => return self.problems.add(format!("{name}: file is empty")),
            Ok(header) => header.clone(),
            Err(error) => return self.problems.add(format!("{name}: {error}")),
        };
        let Some(columns) = self.columns(&name, &header) else { return };
        let before = self.rows.len();
        for row in csv.records() {
            match row {
                Ok(row) => {
                    let line = row.position().map_or(0, csv::Position::line);
                    self.read_row(format!("{name}:{line}"), &columns, &row, part);
                }
                Err(error) => self.problems.add(format!("{name}: {error}")),
            }
        }
        if csv.position().record() == 1 && self.rows.len() == before {
            self.problems.add(format!("{name}: no images, only a header"));
        }
    }

    /// Finds the columns of a file by name.
    fn columns(&mut self, file: &str, header: &StringRecord) -> Option<Columns> {
        let config = self.config;
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        for (i, name) in names.iter().enumerate() {
            if name.is_empty() {
                problems.push(format!("{file}:1: column {} has no name", i + 1));
            } else if name.len() > LONGEST_NAME {
                problems.push(format!(
                    "{file}:1: the name of column {} has {} bytes; {LONGEST_NAME} are the most",
                    i + 1,
                    name.len()
                ));
            } else if !seen.insert(name.as_str()) {
                problems.push(format!("{file}:1: two columns are named \"{name}\""));
            }
        }
        let mut find = |name: &str, what: &str| {
            let found = position(&names, name);
            if found.is_none() {
                let hint = if names.len() == 1 && names[0].contains([';', '\t']) {
                    "; columns must be separated by commas".to_owned()
                } else {
                    did_you_mean(name, names.iter().map(String::as_str))
                };
                problems.push(format!("{file}:1: no column \"{name}\" for {what}{hint}"));
            }
            found
        };
        let id = find(&config.id, "the ids");
        let mut option = |name: &Option<String>, what| name.as_ref().and_then(|name| find(name, what));
        let path = option(&config.path, "the paths");
        let group = option(&config.group, "the patients");
        let split = option(&config.split, "the split");
        let attributes: Vec<_> =
            config.attributes.iter().filter_map(|name| find(name, "an attribute")).collect();
        let labels: Vec<usize> = if config.labels.is_empty() {
            let named = [id, path, group, split];
            let ignored: Vec<_> = config.ignore.iter().filter_map(|name| position(&names, name)).collect();
            (0..names.len())
                .filter(|i| !named.contains(&Some(*i)) && !attributes.contains(i) && !ignored.contains(i))
                .collect()
        } else {
            config.labels.iter().filter_map(|name| find(name, "a label")).collect()
        };
        let label_names: Vec<String> = labels.iter().map(|&i| names[i].clone()).collect();
        if label_names.is_empty() && config.labels.is_empty() {
            problems.push(format!("{file}:1: no column is left for the labels"));
        }
        match &self.labels {
            Some((first, expected)) if *expected != label_names => problems
                .push(format!("{file}:1: labels {label_names:?} differ from those of {first}, {expected:?}")),
            Some(_) => {}
            None => self.labels = Some((file.to_owned(), label_names.clone())),
        }
        let normal = position(&label_names, &config.normal);
        if normal.is_none() && config.normal != super::normal() && !config.normal.is_empty() {
            let hint = did_you_mean(&config.normal, label_names.iter().map(String::as_str));
            problems.push(format!("{file}:1: no label \"{}\" for `normal`{hint}", config.normal));
        }
        let complete = problems.is_empty();
        problems.into_iter().for_each(|problem| self.problems.add(problem));
        let id = id.filter(|_| complete)?;
        Some(Columns { names, id, path, group, split, labels, attributes, normal })
    }

    fn read_row(&mut self, place: String, columns: &Columns, row: &StringRecord, part: Option<Part>) {
        if row.len() != columns.names.len() {
            return self.problems.add(format!(
                "{place}: {} values for {} columns",
                row.len(),
                columns.names.len()
            ));
        }
        let id = row[columns.id].to_owned();
        if id.is_empty() {
            return self.problems.add(format!("{place}: column \"{}\" is blank", columns.names[columns.id]));
        }
        if let Some(first) = self.places.insert(id.clone(), place.clone()) {
            self.problems.add(format!("{place}: id \"{id}\" stands already in {first}"));
        }
        let targets = self.targets(&place, columns, row);
        let group = match columns.group {
            Some(column) if row[column].is_empty() => {
                self.problems.add(format!("{place}: column \"{}\" is blank", columns.names[column]));
                id.clone()
            }
            Some(column) => row[column].to_owned(),
            None => id.clone(),
        };
        let split = match columns.split {
            Some(column) => self.part(&place, &columns.names[column], &row[column]),
            None => part,
        };
        let attributes: BTreeMap<_, _> =
            columns.attributes.iter().map(|&i| (columns.names[i].clone(), row[i].to_owned())).collect();
        if let Some(path) = self.image(&place, columns, row) {
            let record = Record { id, group, split, targets, attributes };
            self.rows.push(Row { record, path, place });
        }
    }

    /// Reads the labels of a row: 0, 1, or blank for not assessed.
    fn targets(&mut self, place: &str, columns: &Columns, row: &StringRecord) -> Vec<Target> {
        let mut targets = Vec::with_capacity(columns.labels.len());
        for &column in &columns.labels {
            targets.push(match &row[column] {
                "0" => Target::Negative,
                "1" => Target::Positive,
                "" => Target::NotAssessed,
                other => {
                    let name = &columns.names[column];
                    self.problems
                        .add(format!("{place}: column \"{name}\": value \"{other}\" is not 0, 1 or blank"));
                    Target::NotAssessed
                }
            });
        }
        if let Some(normal) = columns.normal.filter(|&normal| targets[normal] == Target::Positive) {
            for (i, _) in targets.iter().enumerate().filter(|&(i, t)| i != normal && *t == Target::Positive) {
                let [normal, finding] = [normal, i].map(|i| &columns.names[columns.labels[i]]);
                self.problems.add(format!("{place}: \"{normal}\" and \"{finding}\" are both 1"));
            }
        }
        targets
    }

    fn part(&mut self, place: &str, column: &str, value: &str) -> Option<Part> {
        match value.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "val" | "valid" | "validation" => Some(Part::Val),
            "test" => Some(Part::Test),
            _ => {
                self.problems.add(format!(
                    "{place}: column \"{column}\": value \"{value}\" is not train, val or test"
                ));
                None
            }
        }
    }

    /// Path of the image of a row, if it is a file inside the root.
    fn image(&mut self, place: &str, columns: &Columns, row: &StringRecord) -> Option<PathBuf> {
        let mut relative = row[columns.path.unwrap_or(columns.id)].to_owned();
        let extension = self.config.extension.trim_start_matches('.');
        if columns.path.is_none() && !extension.is_empty() {
            relative = format!("{relative}.{extension}");
        }
        let inside = Path::new(&relative)
            .components()
            .all(|part| matches!(part, PathPart::Normal(_) | PathPart::CurDir));
        if !inside {
            self.problems.add(format!("{place}: image \"{relative}\" lies outside the root folder"));
            return None;
        }
        let path = self.config.root.join(&relative);
        if !path.is_file() {
            self.problems.add(format!("{place}: image \"{relative}\" does not exist"));
            return None;
        }
        Some(path)
    }
}

/// Position of a name, whatever its case; an exact match goes first.
fn position(names: &[String], name: &str) -> Option<usize> {
    let exact = names.iter().position(|other| other == name);
    exact.or_else(|| names.iter().position(|other| other.eq_ignore_ascii_case(name)))
}
