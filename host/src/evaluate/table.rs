//! Result tables: methods and baselines against headline metrics.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use nashost_plugin_api::metric::{Direction, MetricReport, MetricValue, OutputInfo};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Exit, Result};

/// Metrics of a result table unless others are asked for.
pub const HEADLINE: [&str; 5] =
    ["subset_accuracy", "macro_f1", "macro_auroc", "macro_average_precision", "macro_balanced_accuracy"];

/// One line under the header, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Stands for an undefined value.
const UNDEFINED: &str = "–";

/// A result table. Rows keep the order they came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultTable {
    metrics: Vec<OutputInfo>,
    rows: Vec<ResultRow>,
}

/// What one method reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// Name of the method or baseline.
    pub method: String,
    /// Whether it looks at no image.
    pub baseline: bool,
    /// One per metric of the table.
    pub cells: Vec<ResultCell>,
}

/// One value of a result table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultCell {
    /// The value, or why there is none.
    #[serde(flatten)]
    pub value: MetricValue,
    /// Its 95 % interval, if there is one.
    pub ci95: Option<[f64; 2]>,
}

impl ResultTable {
    /// Builds an empty table of the overall metrics `names`, described in `outputs`.
    ///
    /// # Errors
    ///
    /// E0609 with every name that no metric answers.
    pub fn new<'a>(outputs: impl IntoIterator<Item = &'a OutputInfo>, names: &[&str]) -> Result<Self> {
        let overall: BTreeMap<&str, &OutputInfo> = outputs
            .into_iter()
            .filter(|output| !output.per_label)
            .map(|output| (output.name.as_str(), output))
            .collect();
        let unknown: Vec<String> = names
            .iter()
            .filter(|name| !overall.contains_key(**name))
            .map(|name| match nearest(name, overall.keys()) {
                Some(near) => format!("`{name}` (did you mean `{near}`?)"),
                None => format!("`{name}`"),
            })
            .collect();
        if !unknown.is_empty() {
            return Err(Error::new(
                Exit::Usage,
                "E0609",
                format!("no metric answers {} as a single value", unknown.join(", ")),
            )
            .help("`nashost plugin inspect metrics` lists the values"));
        }
        Ok(Self { metrics: names.iter().map(|name| overall[name].clone()).collect(), rows: Vec::new() })
    }

    /// Adds a row from what a method reached. A metric that is not in `report` is undefined.
    pub fn push(
        &mut self,
        method: impl Into<String>,
        baseline: bool,
        report: &MetricReport,
        intervals: &BTreeMap<String, [f64; 2]>,
    ) {
        let cell = |metric: &OutputInfo| ResultCell {
            value: (report.overall.get(&metric.name).cloned())
                .unwrap_or_else(|| MetricValue::undefined(0, "not computed")),
            ci95: intervals.get(&metric.name).copied(),
        };
        let cells = self.metrics.iter().map(cell).collect();
        self.rows.push(ResultRow { method: method.into(), baseline, cells });
    }

    /// The metrics, one per column.
    pub fn metrics(&self) -> &[OutputInfo] {
        &self.metrics
    }

    /// The rows.
    pub fn rows(&self) -> &[ResultRow] {
        &self.rows
    }

    /// Renders the table for a terminal, wrapped to `width` columns if given.
    pub fn to_terminal(&self, width: Option<u16>) -> String {
        let text = self.text();
        let mut table = Table::new();
        table.force_no_tty().load_style(STYLE).set_header(text.header).add_rows(text.rows);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        if let Some(width) = width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        format!("{}\n{}", table.trim_fmt(), text.footnotes)
    }

    /// Renders the table as GitHub-flavoured Markdown.
    pub fn to_markdown(&self) -> String {
        let text = self.text();
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut markdown = line(&text.header);
        markdown.push_str("|---");
        markdown.push_str(&"|---:".repeat(self.metrics.len()));
        markdown.push_str("|\n");
        markdown.extend(text.rows.iter().map(|row| line(row)));
        if !text.footnotes.is_empty() {
            markdown.push('\n');
            // A hard break keeps each footnote on its line.
            markdown.push_str(&text.footnotes.trim_end().replace('\n', "  \n"));
            markdown.push('\n');
        }
        markdown
    }

    /// Renders the table as CSV, one row per method and metric, undefined values empty.
    ///
    /// # Errors
    ///
    /// E0610 if a field cannot be written.
    pub fn to_csv(&self) -> Result<String> {
        let failed = |why: &dyn std::fmt::Display| {
            Error::new(Exit::Bug, "E0610", format!("cannot render the result table: {why}"))
        };
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = ["method", "baseline", "metric", "value", "ci95_low", "ci95_high", "support", "why"];
        writer.write_record(header).map_err(|why| failed(&why))?;
        for row in &self.rows {
            for (metric, cell) in self.metrics.iter().zip(&row.cells) {
                let number =
                    |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:?}"));
                let fields = [
                    row.method.clone(),
                    row.baseline.to_string(),
                    metric.name.clone(),
                    number(cell.value.value),
                    number(cell.ci95.map(|[low, _]| low)),
                    number(cell.ci95.map(|[_, high]| high)),
                    cell.value.support.to_string(),
                    cell.value.why.clone().unwrap_or_default(),
                ];
                writer.write_record(&fields).map_err(|why| failed(&why))?;
            }
        }
        let bytes = writer.into_inner().map_err(|why| failed(&why))?;
        String::from_utf8(bytes).map_err(|why| failed(&why))
    }

    /// Renders the table as one JSON document.
    ///
    /// # Errors
    ///
    /// E0610 if a value is not representable.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|why| Error::new(Exit::Bug, "E0610", format!("cannot render the result table: {why}")))
    }

    /// The cells as people read them.
    fn text(&self) -> Text {
        let arrow = |metric: &OutputInfo| match metric.direction {
            Direction::Higher => format!("{} ↑", metric.name),
            Direction::Lower => format!("{} ↓", metric.name),
        };
        let mut notes: Vec<&str> = Vec::new();
        let mut rows = Vec::new();
        for row in &self.rows {
            let name = if row.baseline { format!("({})", row.method) } else { row.method.clone() };
            let mut cells = vec![name];
            for cell in &row.cells {
                let mut text =
                    cell.value.value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{value:.3}"));
                if let Some([low, high]) = cell.ci95 {
                    text.push_str(&format!(" [{low:.3}, {high:.3}]"));
                }
                if let Some(why) = cell.value.why.as_deref() {
                    let place = notes.iter().position(|note| *note == why).unwrap_or_else(|| {
                        notes.push(why);
                        notes.len() - 1
                    });
                    text.push_str(&superscript(place + 1));
                }
                cells.push(text);
            }
            rows.push(cells);
        }
        let mut footnotes = String::new();
        if self.rows.iter().any(|row| row.baseline) {
            footnotes.push_str("(…) looks at no image.\n");
        }
        if self.rows.iter().flat_map(|row| &row.cells).any(|cell| cell.ci95.is_some()) {
            footnotes.push_str("[…] 95 % bootstrap interval over patients.\n");
        }
        for (number, note) in notes.iter().enumerate() {
            let mark = superscript(number + 1);
            footnotes.push_str(&format!("{mark} {note}\n"));
        }
        let header = std::iter::once("method".to_owned()).chain(self.metrics.iter().map(arrow)).collect();
        Text { header, rows, footnotes }
    }
}

struct Text {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    footnotes: String,
}

fn superscript(number: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number.to_string().bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect()
}

fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(name: &str, direction: Direction) -> OutputInfo {
        OutputInfo { name: name.to_owned(), direction, per_label: false, description: String::new() }
    }

    fn report(values: &[(&str, MetricValue)]) -> MetricReport {
        let overall = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        MetricReport { overall, ..MetricReport::default() }
    }

    fn table() -> ResultTable {
        let outputs = [output("macro_f1", Direction::Higher), output("hamming_loss", Direction::Lower)];
        let mut table = ResultTable::new(&outputs, &["macro_f1", "hamming_loss"]).unwrap();
        let partial = MetricValue {
            why: Some("leaves out A|B (no positives)".to_owned()),
            ..MetricValue::new(1.0 / 3.0, 7)
        };
        table.push(
            "zennas",
            false,
            &report(&[("macro_f1", partial), ("hamming_loss", MetricValue::new(0.1, 94))]),
            &BTreeMap::from([("macro_f1".to_owned(), [0.25, 0.5])]),
        );
        let undefined = MetricValue::undefined(0, "no image, at all");
        table.push("all-positive", true, &report(&[("macro_f1", undefined)]), &BTreeMap::new());
        table
    }

    #[test]
    fn markdown_has_footnotes_for_what_is_undefined() {
        let expected = "\
| method | macro_f1 ↑ | hamming_loss ↓ |
|---|---:|---:|
| zennas | 0.333 [0.250, 0.500]¹ | 0.100 |
| (all-positive) | –² | –³ |

(…) looks at no image.  
[…] 95 % bootstrap interval over patients.  
¹ leaves out A|B (no positives)  
² no image, at all  
³ not computed
";
        assert_eq!(table().to_markdown(), expected);
    }

    #[test]
    fn terminals_get_the_same_cells_within_their_width() {
        let wide = "\x20method                      macro_f1 ↑   hamming_loss ↓
─────────────────────────────────────────────────────────
 zennas           0.333 [0.250, 0.500]¹            0.100
 (all-positive)                      –²               –³
(…) looks at no image.
[…] 95 % bootstrap interval over patients.
¹ leaves out A|B (no positives)
² no image, at all
³ not computed
";
        assert_eq!(table().to_terminal(None), wide);
        let narrow = table().to_terminal(Some(40));
        let rows = narrow.lines().take_while(|line| !line.starts_with("(…)"));
        assert!(rows.map(|line| line.chars().count()).max().unwrap() <= 40, "{narrow}");
    }

    #[test]
    fn csv_has_one_fact_per_row_and_every_digit() {
        let expected = "\
method,baseline,metric,value,ci95_low,ci95_high,support,why
zennas,false,macro_f1,0.3333333333333333,0.25,0.5,7,leaves out A|B (no positives)
zennas,false,hamming_loss,0.1,,,94,
all-positive,true,macro_f1,,,,0,\"no image, at all\"
all-positive,true,hamming_loss,,,,0,not computed
";
        assert_eq!(table().to_csv().unwrap(), expected);
    }

    #[test]
    fn json_brings_the_table_back() {
        let table = table();
        let json = table.to_json().unwrap();
        assert_eq!(serde_json::from_str::<ResultTable>(&json).unwrap(), table);
        assert!(json.contains("\"value\": null"), "{json}");
    }

    #[test]
    fn unknown_metrics_are_all_named_with_a_guess() {
        let outputs = [output("macro_f1", Direction::Higher)];
        let error = ResultTable::new(&outputs, &["macro_fl", "macro_f1", "xyz"]).unwrap_err();
        assert_eq!(error.code, "E0609");
        assert!(error.message.contains("`macro_fl` (did you mean `macro_f1`?), `xyz`"), "{error}");
    }

    #[test]
    fn footnote_numbers_grow() {
        assert_eq!(superscript(10), "¹⁰");
    }
}
