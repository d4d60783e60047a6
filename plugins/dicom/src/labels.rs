//! The table of labels.
//!
//! Messages name columns, labels and lines, and never a key: keys are ids of patients and images.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use csv::StringRecord;
use nashost_plugin_api::{
    dataset::{Part, Target},
    problems::Problems,
};

use crate::{
    config::{self, DicomConfig},
    near::did_you_mean,
};

/// Bytes of a column's name at most: each wrong value quotes it.
const LONGEST_NAME: usize = 200;

/// The table, read and checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labels {
    /// Names, in the order of the targets.
    pub(crate) names: Vec<String>,
    /// In the order of the table.
    pub(crate) rows: Vec<Row>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) line: u64,
    pub(crate) split: Option<Part>,
    pub(crate) targets: Vec<Target>,
}

/// Positions of the columns.
struct Columns {
    key: usize,
    split: Option<usize>,
    labels: Vec<usize>,
}

impl Labels {
    /// Reads the table of `config`, and adds everything that is wrong with it to `problems`.
    pub(crate) fn read(config: &DicomConfig, problems: &mut Problems) -> Option<Self> {
        let file = config.csv.display();
        let bytes = fs::read(config.root.join(&config.csv))
            .map_err(|error| problems.add(format!("{file}: cannot be read: {error}")))
            .ok()?;
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text);
        let names: Vec<String> = match csv.headers() {
            Ok(header) => header.iter().map(str::to_owned).collect(),
            Err(_) => {
                problems.add(format!("{file}:1: is not UTF-8"));
                return None;
            }
        };
        let columns = Columns::find(config, &names, problems)?;
        let mut lines = HashMap::new();
        let mut rows = Vec::new();
        for record in csv.records() {
            // The error's own text would quote the row.
            let Ok(record) = record else {
                problems.add(format!("{file}:{}: cannot be read as UTF-8", rows.len() + 2));
                continue;
            };
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != names.len() {
                problems.add(format!("{file}:{line}: {} values for {} columns", record.len(), names.len()));
                continue;
            }
            let key = record[columns.key].to_owned();
            if key.is_empty() {
                problems.add(format!("{file}:{line}: column \"{}\" is blank", names[columns.key]));
                continue;
            }
            if let Some(first) = lines.insert(key.clone(), line) {
                problems.add(format!("{file}:{line}: has the same {} as line {first}", names[columns.key]));
            }
            let place = format!("{file}:{line}");
            let targets = targets(&place, &columns, &names, &record, problems);
            let split =
                columns.split.and_then(|column| part(&place, &names[column], &record[column], problems));
            rows.push(Row { key, line, split, targets });
        }
        if rows.is_empty() {
            problems.add(format!("{file}: no rows, only a header"));
        }
        let names: Vec<_> = columns.labels.iter().map(|&i| names[i].clone()).collect();
        Some(Self { names, rows })
    }

    /// The label that means "no other finding", if there is one.
    pub(crate) fn normal(&self, config: &DicomConfig) -> Option<String> {
        self.names.iter().find(|name| name.eq_ignore_ascii_case(&config.normal)).cloned()
    }
}

impl Columns {
    fn find(config: &DicomConfig, names: &[String], problems: &mut Problems) -> Option<Self> {
        let file = config.csv.display();
        let mut found = true;
        let mut seen = HashSet::new();
        for (i, name) in names.iter().enumerate() {
            if name.is_empty() {
                problems.add(format!("{file}:1: column {} has no name", i + 1));
                found = false;
            } else if name.len() > LONGEST_NAME {
                problems.add(format!(
                    "{file}:1: the name of column {} has {} bytes; {LONGEST_NAME} are the most",
                    i + 1,
                    name.len()
                ));
                found = false;
            } else if !seen.insert(name.as_str()) {
                problems.add(format!("{file}:1: two columns are named \"{name}\""));
                found = false;
            }
        }
        let mut find = |name: &str, what: &str| {
            let position = position(names, name);
            if position.is_none() {
                let hint = if names.len() == 1 && names[0].contains([';', '\t']) {
                    "; columns must be separated by commas".to_owned()
                } else {
                    did_you_mean(name, names.iter().map(String::as_str))
                };
                problems.add(format!("{file}:1: no column \"{name}\" for {what}{hint}"));
                found = false;
            }
            position
        };
        let key = find(config.key_column(), "the key");
        let split = config.split.as_ref().and_then(|name| find(name, "the split"));
        let labels: Vec<_> = if config.labels.is_empty() {
            let ignored: Vec<_> = config.ignore.iter().filter_map(|name| find(name, "`ignore`")).collect();
            (0..names.len()).filter(|i| ![key, split].contains(&Some(*i)) && !ignored.contains(i)).collect()
        } else {
            config.labels.iter().filter_map(|name| find(name, "a label")).collect()
        };
        if found && labels.is_empty() {
            problems.add(format!("{file}:1: no column is left for the labels"));
            found = false;
        }
        let label_names: Vec<_> = labels.iter().map(|&i| names[i].clone()).collect();
        let normal = &config.normal;
        if position(&label_names, normal).is_none() && *normal != config::normal() && !normal.is_empty() {
            let hint = did_you_mean(normal, label_names.iter().map(String::as_str));
            problems.add(format!("{file}:1: no label \"{normal}\" for `normal`{hint}"));
            found = false;
        }
        key.filter(|_| found).map(|key| Self { key, split, labels })
    }
}

/// Position of a name, whatever its case; an exact match goes first.
fn position(names: &[String], name: &str) -> Option<usize> {
    let exact = names.iter().position(|other| other == name);
    exact.or_else(|| names.iter().position(|other| other.eq_ignore_ascii_case(name)))
}

/// Reads the labels of a row: 0, 1, or blank for not assessed.
fn targets(
    place: &str,
    columns: &Columns,
    names: &[String],
    row: &StringRecord,
    problems: &mut Problems,
) -> Vec<Target> {
    let mut target = |&column: &usize| match &row[column] {
        "0" => Target::Negative,
        "1" => Target::Positive,
        "" => Target::NotAssessed,
        _ => {
            // The value is not quoted: a column that is no label may hold anything.
            problems.add(format!("{place}: column \"{}\" is not 0, 1 or blank", names[column]));
            Target::NotAssessed
        }
    };
    columns.labels.iter().map(&mut target).collect()
}

fn part(place: &str, column: &str, value: &str, problems: &mut Problems) -> Option<Part> {
    match value.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" => Some(Part::Val),
        "test" => Some(Part::Test),
        _ => {
            problems.add(format!("{place}: column \"{column}\" is not train, val or test"));
            None
        }
    }
}
