//! The survey as text, as tables and as a page.

use std::fmt;

use nashost_plugin_api::dataset::{Part, Target};
use nashost_report::{Cell, Column, Contact, Histogram, Preview, Table};

use crate::{Looked, Size, Survey};

/// Sizes that are listed one by one.
const SIZES: usize = 8;
/// Twins that are listed, in a text and on a page.
const TWINS: usize = 20;
/// Images on a page.
const CONTACTS: usize = 60;
/// Shades of a bar in a terminal, from nothing to full.
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Name of a part as users write it.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Val => "val",
        Part::Test => "test",
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl Survey {
    /// Counts as tables: parts, labels, sizes.
    pub fn tables(&self) -> Vec<Table> {
        let number = |n: usize| Cell::Count(n as u64);
        let text = |text: &str| Cell::Text(text.to_owned());
        let parts = self.parts.iter().map(|p| {
            vec![text(part_name(p.part)), number(p.images), number(p.patients), number(p.most_of_one_patient)]
        });
        let labels = self.labels.iter().map(|l| {
            let counts = [l.positive, l.negative, l.not_assessed, l.patients].map(number);
            [text(&l.label), text(part_name(l.part))].into_iter().chain(counts).collect()
        });
        let mut sizes: Vec<_> = self
            .sizes
            .iter()
            .take(SIZES)
            .map(|s| {
                let size = format!("{} × {}", s.height, s.width);
                vec![Cell::Text(size), number(s.bits as usize), number(s.images)]
            })
            .collect();
        let rest = self.sizes.iter().skip(SIZES).map(|size| size.images).sum();
        if rest > 0 {
            let others = format!("{} others", self.sizes.len() - SIZES);
            sizes.push(vec![Cell::Text(others), Cell::Undefined(String::new()), number(rest)]);
        }
        vec![
            table(
                "parts",
                "Parts of the split",
                "Most of one patient: images of the patient with the most.",
                &["part"],
                &["images", "patients", "most of one patient"],
                parts.collect(),
            ),
            table(
                "labels",
                "Labels",
                "Patients: those with the finding on some image. Not assessed: nobody looked, so the label counts \
                 neither as present nor as absent.",
                &["label", "part"],
                &["positive", "negative", "not assessed", "patients"],
                labels.collect(),
            ),
            table("sizes", "Sizes", &self.ranges(), &["rows × columns"], &["bits", "images"], sizes),
        ]
    }
}

impl Survey {
    /// Least and greatest size, in a sentence.
    fn ranges(&self) -> String {
        let range = |side: fn(&Size) -> usize| {
            let sides = || self.sizes.iter().map(side);
            Some((sides().min()?, sides().max()?))
        };
        match (range(|size| size.height), range(|size| size.width)) {
            (Some((low, high)), Some((left, right))) => {
                format!("Rows from {low} to {high}, columns from {left} to {right}.")
            }
            _ => String::new(),
        }
    }
}

fn table(
    id: &'static str,
    title: &str,
    note: &str,
    words: &[&str],
    numbers: &[&str],
    rows: Vec<Vec<Cell>>,
) -> Table {
    let column = |numeric: bool| move |title: &&str| Column { title: (*title).to_owned(), numeric };
    let columns = words.iter().map(column(false)).chain(numbers.iter().map(column(true))).collect();
    Table { id, title: title.to_owned(), note: note.to_owned(), columns, rows }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", count(self.images, "image"), count(self.patients, "patient"))?;
        for table in self.tables() {
            writeln!(f)?;
            columns(f, &table)?;
        }
        writeln!(f, "{}", self.ranges())?;
        writeln!(f, "\nintensities, from black to white")?;
        for intensity in &self.intensities {
            let part = part_name(intensity.part);
            writeln!(f, "{part:5}  |{}|  mean {:.3}", bars(&intensity.histogram), intensity.mean)?;
        }
        for finding in self.findings() {
            writeln!(f, "warning: {finding}")?;
        }
        for twin in self.twins.iter().take(TWINS) {
            let [a, b] = twin.parts.map(part_name);
            let how =
                if twin.equal { "equal".to_owned() } else { format!("correlation {:.4}", twin.correlation) };
            let labels = if twin.contradict { ", other labels" } else { "" };
            writeln!(f, "  {} ({a}) and {} ({b}): {how}{labels}", twin.first, twin.second)?;
        }
        if self.twins.len() > TWINS {
            writeln!(f, "  and {} more", self.twins.len() - TWINS)?;
        }
        Ok(())
    }
}

/// Writes a table in columns: words to the left, numbers to the right.
fn columns(f: &mut fmt::Formatter<'_>, table: &Table) -> fmt::Result {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.clone(),
        Cell::Count(number) => number.to_string(),
        _ => "-".to_owned(),
    };
    let header = table.columns.iter().map(|column| column.title.clone()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(text).collect());
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let widths: Vec<usize> = (0..table.columns.len())
        .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).zip(&table.columns).map(|((cell, width), column)| {
            if column.numeric { format!("{cell:>width$}") } else { format!("{cell:width$}") }
        });
        writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A histogram as 32 bars; their heights are square roots, so that rare intensities are seen beside the
/// background.
fn bars(shares: &[f64]) -> String {
    let pairs: Vec<f64> = shares.chunks(2).map(|pair| pair.iter().sum::<f64>().sqrt()).collect();
    let most = pairs.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    pairs.iter().map(|height| BARS[(height / most * 8.0).ceil() as usize]).collect()
}

/// What is known of an image: its findings, or that there are none among those that somebody looked for.
fn findings(labels: &[String], targets: &[Target]) -> String {
    let found = labels.iter().zip(targets).filter(|(_, target)| **target == Target::Positive);
    let found: Vec<&str> = found.map(|(label, _)| &**label).collect();
    let assessed = targets.iter().filter(|target| **target != Target::NotAssessed).count();
    match assessed {
        _ if !found.is_empty() => found.join(", "),
        0 => "not assessed".to_owned(),
        all if all == targets.len() => "no finding".to_owned(),
        some => format!("no finding among {}", count(some, "assessed label")),
    }
}

/// Makes the page of a dataset, of which `survey` was made, with the same `show_ids`. `title` and `about` stand above
/// it.
pub fn preview(survey: &Survey, looked: &Looked<'_>, title: &str, about: &str, show_ids: bool) -> Preview {
    let Looked { info, records, parts, looks } = *looked;
    let contact = |index: usize| {
        let look = looks[index].as_ref()?;
        let id = if show_ids { format!("{} · ", records[index].id) } else { String::new() };
        let findings = findings(&info.labels, &records[index].targets);
        let size = format!("{} × {}", look.height, look.width);
        let caption = format!("{id}{}: {findings}; {size}", part_name(parts[index]));
        Some(Contact { png: look.png(), caption })
    };
    let step = records.len().div_ceil(CONTACTS).max(1);
    let twins = survey.twins.iter().take(TWINS);
    Preview {
        title: title.to_owned(),
        about: about.to_owned(),
        findings: survey.findings(),
        tables: survey.tables(),
        histograms: survey
            .intensities
            .iter()
            .map(|intensity| Histogram {
                name: part_name(intensity.part).to_owned(),
                shares: intensity.histogram.clone(),
            })
            .collect(),
        images: (0..records.len()).step_by(step).filter_map(contact).collect(),
        pairs: twins
            .filter_map(|twin| Some([contact(twin.indices[0])?, contact(twin.indices[1])?]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use nashost_plugin_api::dataset::{DatasetInfo, Record};

    use super::*;
    use crate::{
        Look,
        twins::tests::{look, phantom},
    };

    type Set = (DatasetInfo, Vec<Record>, Vec<Part>, Vec<Option<Look>>);

    fn looked((info, records, parts, looks): &Set) -> Looked<'_> {
        Looked { info, records, parts, looks }
    }

    /// Twelve phantom images, the last a copy of the first under another name, one unreadable.
    fn set() -> Set {
        let (mut records, pixels) = phantom(12);
        for (number, record) in records.iter_mut().enumerate() {
            record.id = format!("SECRET-{number}");
            record.group = format!("PATIENT-{}", number / 2);
            record.targets = vec![Target::Negative, Target::Negative, Target::NotAssessed];
            record.targets[number % 2] = Target::Positive;
        }
        records[3].targets[0] = Target::Positive;
        records[11].targets = vec![Target::Negative; 3];
        let mut looks: Vec<_> = pixels.iter().map(|pixels| Some(look(pixels))).collect();
        looks[11] = looks[0].clone();
        looks[5] = None;
        let info = DatasetInfo {
            labels: ["finding", "normal", "other"].map(str::to_owned).into(),
            normal_label: Some("normal".to_owned()),
            channels: 1,
            source: "drawn".to_owned(),
        };
        let parts = (0..12).map(|i| [Part::Train, Part::Val, Part::Test][i / 2 % 3]).collect();
        (info, records, parts, looks)
    }

    #[test]
    fn counts_are_those_of_the_records() {
        let set = set();
        let survey = Survey::new(&looked(&set), false);
        let value = serde_json::to_value(&survey).unwrap();
        assert_eq!((survey.images, survey.patients), (12, 6));
        assert_eq!(
            value["parts"][1],
            serde_json::json!({"part": "val", "images": 4, "patients": 2, "most_of_one_patient": 2})
        );
        let finding = &value["labels"][1];
        assert_eq!(finding["label"], "finding");
        assert_eq!(finding["part"], "val");
        assert_eq!([&finding["positive"], &finding["negative"], &finding["patients"]], [3, 1, 2]);
        assert_eq!(value["unreadable"], serde_json::json!(["image 6"]));
        assert_eq!(
            value["contradictions"],
            serde_json::json!({"normal": "normal", "with": {"finding": 1}, "nothing": 1})
        );
        let shares: f64 = survey.intensities[0].histogram.iter().sum();
        assert!((shares - 1.0).abs() < 1e-12);
        assert_eq!(survey.sizes.iter().map(|size| size.images).sum::<usize>(), 11);
        let twin = &survey.twins[0];
        assert_eq!(
            (&*twin.first, &*twin.second, twin.equal, twin.contradict),
            ("image 1", "image 12", true, true)
        );
        let text = survey.to_string();
        let rows = survey.sizes.iter().map(|size| size.height);
        let rows = format!("\nRows from {} to {}, columns", rows.clone().min().unwrap(), rows.max().unwrap());
        assert!(text.contains(&rows), "{text}");
        assert!(text.contains("warning: 1 image both \"normal\" and \"finding\"\n"), "{text}");
        assert!(text.contains("  image 1 (train) and image 12 (test): equal, other labels\n"), "{text}");
    }

    #[test]
    fn no_id_is_told_unless_asked() {
        let set = set();
        let outputs = |show: bool| {
            let survey = Survey::new(&looked(&set), show);
            let page = preview(&survey, &looked(&set), "Dataset", "drawn", show).html();
            [survey.to_string(), serde_json::to_string(&survey).unwrap(), page]
        };
        for output in outputs(false) {
            assert!(!output.contains("SECRET") && !output.contains("PATIENT"), "{output}");
        }
        for output in outputs(true) {
            assert!(output.contains("SECRET-0") && !output.contains("PATIENT"));
        }
    }

    #[test]
    fn the_page_shows_images_pairs_and_counts() {
        let set = set();
        let survey = Survey::new(&looked(&set), false);
        let page = preview(&survey, &looked(&set), "Dataset", "drawn", false);
        assert_eq!((page.images.len(), page.pairs.len(), page.histograms.len()), (11, 1, 3));
        let html = page.html();
        assert_eq!(html.matches("src=\"data:image/png;base64,iVBOR").count(), 13, "PNG files");
        assert!(
            html.contains("train: finding; ") && html.contains("1 image equal to one of another patient")
        );
    }

    #[test]
    fn what_nobody_looked_for_is_not_called_absent() {
        use Target::{Negative, NotAssessed, Positive};
        let labels = ["a", "b"].map(str::to_owned);
        for (targets, caption) in [
            ([Negative, Negative], "no finding"),
            ([Negative, NotAssessed], "no finding among 1 assessed label"),
            ([NotAssessed, NotAssessed], "not assessed"),
            ([NotAssessed, Positive], "b"),
        ] {
            assert_eq!(findings(&labels, &targets), caption);
        }
    }

    #[test]
    fn bars_show_what_is_rare() {
        let mut shares = [0.0; 64];
        shares[0] = 0.99;
        shares[40] = 0.01;
        let bars = bars(&shares);
        assert_eq!(
            (bars.chars().count(), bars.starts_with('█'), bars.chars().nth(20)),
            (32, true, Some('▁'))
        );
        assert_eq!(bars.trim_end().chars().count(), 21);
    }
}
