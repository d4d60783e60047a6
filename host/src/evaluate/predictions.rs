//! Scores of a model beside the truth, in memory and as a file.

use std::path::Path;

use nashost_plugin_api::{dataset::Target, metric::Predictions};

use super::Truth;
use crate::{
    error::{Error, Exit, Result},
    run::atomic,
};

/// First line of a predictions file.
const HEADER: [&str; 4] = ["image_id", "label", "y", "p"];

/// Problems of a file that are spelt out.
const SHOWN_PROBLEMS: usize = 20;

/// The scores of one model on one part of a split. Row-major, images × labels, in 0…1.
#[derive(Debug, Clone, PartialEq)]
pub struct PredictionTable {
    truth: Truth,
    scores: Vec<f64>,
}

impl PredictionTable {
    /// Puts scores beside the truth.
    ///
    /// # Errors
    ///
    /// E0601 if the sizes do not fit; E0602 if a score is not a probability, with its image and label.
    pub fn new(truth: Truth, scores: Vec<f64>) -> Result<Self> {
        if scores.len() != truth.targets().len() {
            return Err(Error::new(
                Exit::Bug,
                "E0601",
                format!(
                    "scores do not fit: {} images × {} labels but {} scores",
                    truth.len(),
                    truth.labels().len(),
                    scores.len()
                ),
            ));
        }
        let mut bad = scores.iter().enumerate().filter(|(_, score)| !(0.0..=1.0).contains(*score));
        if let Some((at, score)) = bad.next() {
            let (image, label) = (at / truth.labels().len(), at % truth.labels().len());
            return Err(Error::new(
                Exit::No,
                "E0602",
                format!(
                    "score of image `{}`, label `{}` is {score}, not a probability ({} such scores)",
                    truth.ids()[image],
                    truth.labels()[label],
                    1 + bad.count()
                ),
            )
            .help("the network has diverged; try a smaller `train.lr`"));
        }
        Ok(Self { truth, scores })
    }

    /// What is true.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Images × labels, row-major.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The table as metrics take it, with one threshold per label.
    pub fn view<'a>(&'a self, thresholds: &'a [f64]) -> Predictions<'a> {
        Predictions {
            labels: self.truth.labels().len(),
            scores: &self.scores,
            targets: self.truth.targets(),
            thresholds,
        }
    }

    /// Writes `path` as CSV (RFC 4180), one row per image and label: `image_id,label,y,p`, `y` empty
    /// where the label was not assessed. Patients are not written. The file is replaced in one step
    /// or not at all.
    ///
    /// # Errors
    ///
    /// E0603 if it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(
                Exit::Environment,
                "E0603",
                format!("cannot write predictions {}: {why}", path.display()),
            )
            .help("check that the folder exists, may be written to and has space left")
        };
        let csv = self.to_csv().map_err(|why| failed(&why))?;
        atomic::write(path, &csv).map_err(|why| failed(&why))
    }

    fn to_csv(&self) -> csv::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER)?;
        let labels = self.truth.labels();
        let rows = self.truth.rows().zip(self.scores.chunks_exact(labels.len()));
        for (id, (targets, scores)) in self.truth.ids().iter().zip(rows) {
            for ((label, &target), score) in labels.iter().zip(targets).zip(scores) {
                // `Debug` of a float is the shortest text that reads back as the same number.
                writer.write_record([id.as_str(), label, spell(target), &format!("{score:?}")])?;
            }
        }
        writer.into_inner().map_err(|error| error.into_error().into())
    }

    /// Reads what [`PredictionTable::write`] wrote. The file does not name patients: `group_of` gives
    /// the patient of an image id.
    ///
    /// # Errors
    ///
    /// E0604 if the file cannot be read; E0605 with all problems and their lines if it is malformed.
    pub fn read(path: &Path, group_of: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|why| {
            Error::new(
                Exit::Environment,
                "E0604",
                format!("cannot read predictions {}: {why}", path.display()),
            )
        })?;
        let parsed = Parsed::of(&text, group_of);
        let table = if parsed.problems.is_empty() { parsed.into_table() } else { Err(parsed.problems) };
        table.map_err(|problems| {
            let shown = problems.iter().take(SHOWN_PROBLEMS).map(|problem| format!("\n  {problem}"));
            let more = problems.len().saturating_sub(SHOWN_PROBLEMS);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            Error::new(
                Exit::Usage,
                "E0605",
                format!("malformed predictions {}:{}{more}", path.display(), shown.collect::<String>()),
            )
            .help(
                "the columns are image_id,label,y,p; y is 0, 1 or empty; every image lists every label once",
            )
        })
    }
}

fn spell(target: Target) -> &'static str {
    match target {
        Target::Negative => "0",
        Target::Positive => "1",
        Target::NotAssessed => "",
    }
}

/// Rows of a file as they come, and what is wrong with them.
#[derive(Default)]
struct Parsed {
    labels: Vec<String>,
    ids: Vec<String>,
    groups: Vec<String>,
    targets: Vec<Target>,
    scores: Vec<f64>,
    problems: Vec<String>,
}

impl Parsed {
    fn of(text: &str, group_of: impl Fn(&str) -> Option<String>) -> Self {
        let mut parsed = Self::default();
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut records = reader.records();
        match records.next() {
            Some(Ok(header)) if header.iter().eq(HEADER) => {}
            _ => {
                parsed.problems.push(format!("line 1: the header is not {}", HEADER.join(",")));
                return parsed;
            }
        }
        // Position of the row among the labels of its image.
        let mut position = 0;
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    parsed.problems.push(error.to_string());
                    continue;
                }
            };
            let line = record.position().map_or(0, csv::Position::line);
            let [id, label, y, p] = match record.iter().collect::<Vec<_>>().try_into() {
                Ok(fields) => fields,
                Err(fields) => {
                    let fields: Vec<&str> = fields;
                    parsed.problems.push(format!("line {line}: {} columns instead of 4", fields.len()));
                    continue;
                }
            };
            let first_image = parsed.ids.is_empty() || (parsed.ids.len() == 1 && parsed.ids[0] == id);
            if parsed.ids.last().is_none_or(|last| last != id) {
                parsed.start_image(id, line, position, &group_of);
                position = 0;
            }
            if first_image {
                parsed.labels.push(label.to_owned());
            } else if parsed.labels.get(position).is_none_or(|expected| expected != label) {
                let expected = parsed.labels.get(position).map_or("another image", String::as_str);
                parsed.problems.push(format!("line {line}: label `{label}`, expected `{expected}`"));
            }
            position += 1;
            parsed.push_values(line, y, p);
        }
        parsed.end_image("the end", position);
        parsed
    }

    fn start_image(
        &mut self,
        id: &str,
        line: u64,
        position: usize,
        group_of: impl Fn(&str) -> Option<String>,
    ) {
        self.end_image(&format!("line {line}"), position);
        let group = group_of(id);
        if group.is_none() {
            self.problems.push(format!("line {line}: unknown image `{id}`"));
        }
        self.ids.push(id.to_owned());
        self.groups.push(group.unwrap_or_default());
    }

    fn end_image(&mut self, place: &str, position: usize) {
        if let Some(id) = self.ids.last()
            && position < self.labels.len()
        {
            let missing = &self.labels[position..];
            self.problems.push(format!("{place}: image `{id}` lacks `{}`", missing.join("`, `")));
        }
    }

    fn push_values(&mut self, line: u64, y: &str, p: &str) {
        match y {
            "0" => self.targets.push(Target::Negative),
            "1" => self.targets.push(Target::Positive),
            "" => self.targets.push(Target::NotAssessed),
            _ => self.problems.push(format!("line {line}: y is `{y}`, not 0, 1 or empty")),
        }
        match p.parse::<f64>() {
            Ok(score) if (0.0..=1.0).contains(&score) => self.scores.push(score),
            _ => self.problems.push(format!("line {line}: p is `{p}`, not a number in 0…1")),
        }
    }

    /// # Errors
    ///
    /// Fails if an image or a label comes twice.
    fn into_table(self) -> std::result::Result<PredictionTable, Vec<String>> {
        Truth::new(self.labels, self.ids, self.groups, self.targets)
            .and_then(|truth| PredictionTable::new(truth, self.scores))
            .map_err(|error| vec![error.message])
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::Target::{Negative, NotAssessed, Positive};

    use super::*;

    fn table() -> PredictionTable {
        let names = |all: &[&str]| all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let truth = Truth::new(
            names(&["Fracture", "Swelling, \"soft\""]),
            names(&["a,1", "b\n2", "c"]),
            names(&["p", "q", "p"]),
            vec![Positive, NotAssessed, Negative, Positive, NotAssessed, Negative],
        );
        PredictionTable::new(truth.unwrap(), vec![0.1 + 0.2, 1.0, 0.0, 5e-324, 1.0 / 3.0, 1e-7]).unwrap()
    }

    fn group(id: &str) -> Option<String> {
        Some(if id == "b\n2" { "q" } else { "p" }.to_owned())
    }

    #[test]
    fn files_bring_every_bit_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("T0001_test.csv");
        table().write(&path).unwrap();
        assert_eq!(PredictionTable::read(&path, group).unwrap(), table());
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("image_id,label,y,p\n\"a,1\",Fracture,1,0.30000000000000004\n"), "{text}");
        assert!(text.contains("\"Swelling, \"\"soft\"\"\",,1.0\n"), "{text}");
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let error = table().write(&path).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0603", Exit::Environment));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let error = table().write(&folder.path().join("missing/x.csv")).unwrap_err();
        assert_eq!(error.code, "E0603");
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.csv");
        let text = "image_id,label,y,p\na,A,1,0.5\na,B,2,0.5\nb,A,1,NaN\nc,B,1,0.5\nc,A,1\n";
        std::fs::write(&path, text).unwrap();
        let known = |id: &str| (id != "c").then(|| "p".to_owned());
        let error = PredictionTable::read(&path, known).unwrap_err();
        assert_eq!(error.code, "E0605");
        for part in [
            "line 3: y is `2`",
            "line 4: p is `NaN`",
            "line 5: image `b` lacks `B`",
            "line 5: unknown image `c`",
            "line 5: label `B`, expected `A`",
            "line 6: 3 columns instead of 4",
        ] {
            assert!(error.message.contains(part), "{part}: {error}");
        }

        std::fs::write(&path, "id,label\n").unwrap();
        assert!(PredictionTable::read(&path, group).unwrap_err().message.contains("line 1: the header"));
        std::fs::write(&path, "image_id,label,y,p\na,A,1,0.5\nb,A,1,0.5\na,A,1,0.5\n").unwrap();
        assert!(PredictionTable::read(&path, group).unwrap_err().message.contains("image `a` comes twice"));
        assert_eq!(PredictionTable::read(&folder.path().join("none"), group).unwrap_err().code, "E0604");
    }

    #[test]
    fn a_diverged_network_is_named_by_image_and_label() {
        let truth = table().truth().clone();
        let error = PredictionTable::new(truth.clone(), vec![0.0, 0.0, 0.0, f64::NAN, 0.0, 2.0]).unwrap_err();
        assert_eq!(error.code, "E0602");
        assert!(error.message.contains("image `b\n2`, label `Swelling, \"soft\"` is NaN"), "{error}");
        assert!(error.message.contains("2 such scores"), "{error}");
        assert_eq!(PredictionTable::new(truth, vec![0.0]).unwrap_err().code, "E0601");
    }
}
