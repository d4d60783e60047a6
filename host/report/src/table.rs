//! Tables that have four forms: HTML, Markdown, LaTeX, CSV.

use maud::{Markup, html};

use crate::{data::Value, number};

/// A table of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Short name, for files and the command line.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// What readers need to understand it.
    pub note: String,
    /// Columns.
    pub columns: Vec<Column>,
    /// One cell per column each.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Heading.
    pub title: String,
    /// Whether its cells are numbers.
    pub numeric: bool,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A whole number.
    Count(u64),
    /// A number, shown with so many decimals.
    Number(f64, usize),
    /// A number, shown with a prefix such as M.
    Scaled(f64),
    /// A mean with its interval, and its deviation over seeds.
    Interval(Value),
    /// Nothing, for this reason, which may be empty.
    Undefined(String),
}

impl Cell {
    /// Makes a cell of a value that may be missing.
    pub(crate) fn number(value: Option<f64>, digits: usize) -> Self {
        value.map_or_else(|| Self::Undefined(String::new()), |value| Self::Number(value, digits))
    }

    /// Makes a cell of a value over seeds.
    pub(crate) fn value(value: Option<&Value>) -> Self {
        match value {
            Some(value) if value.mean.is_some() => Self::Interval(value.clone()),
            Some(value) => Self::Undefined(value.why.clone().unwrap_or_default()),
            None => Self::Undefined(String::new()),
        }
    }

    /// The cell as people read it.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => number::grouped(*count),
            Self::Number(value, digits) => number::fixed(*value, *digits),
            Self::Scaled(value) => number::scaled(*value),
            Self::Interval(value) => interval(value),
            Self::Undefined(_) => "–".to_owned(),
        }
    }

    /// The cell as programs read it; undefined is empty.
    fn raw(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Number(value, _) | Self::Scaled(value) => format!("{value:?}"),
            Self::Interval(value) => value.mean.map(|mean| format!("{mean:?}")).unwrap_or_default(),
            Self::Undefined(_) => String::new(),
        }
    }

    fn why(&self) -> Option<&str> {
        match self {
            Self::Undefined(why) => Some(why.as_str()).filter(|why| !why.is_empty()),
            Self::Interval(value) => value.why.as_deref(),
            _ => None,
        }
    }
}

/// `0.921 [0.884, 0.951] ± 0.012`, as far as there is something.
pub(crate) fn interval(value: &Value) -> String {
    let Some(mean) = value.mean else { return "–".to_owned() };
    let mut text = number::fixed(mean, 3);
    if let Some([low, high]) = value.ci95 {
        text += &format!(" [{}, {}]", number::fixed(low, 3), number::fixed(high, 3));
    }
    if let Some(sd) = value.sd {
        text += &format!(" ± {}", number::fixed(sd, 3));
    }
    text
}

impl Table {
    pub(crate) fn new(id: &'static str, title: impl Into<String>, note: impl Into<String>) -> Self {
        Self { id, title: title.into(), note: note.into(), columns: Vec::new(), rows: Vec::new() }
    }

    pub(crate) fn text_column(mut self, title: impl Into<String>) -> Self {
        self.columns.push(Column { title: title.into(), numeric: false });
        self
    }

    pub(crate) fn column(mut self, title: impl Into<String>) -> Self {
        self.columns.push(Column { title: title.into(), numeric: true });
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell per column in {}", self.id);
        self.rows.push(cells);
    }

    /// The table as a piece of HTML; all texts are escaped.
    pub fn html(&self) -> String {
        self.markup().into_string()
    }

    /// The table in HTML, in a box that scrolls by itself where the page is narrow.
    pub(crate) fn markup(&self) -> Markup {
        html! {
            div.scroll role="region" tabindex="0" aria-label=(self.title) {
                table {
                    @if !self.title.is_empty() { caption { (self.title) } }
                    thead { tr {
                        @for column in &self.columns {
                            th scope="col" class=[column.numeric.then_some("n")] { (column.title) }
                        }
                    } }
                    tbody { @for row in &self.rows { tr {
                        @for (index, (cell, column)) in row.iter().zip(&self.columns).enumerate() {
                            @if index == 0 {
                                th scope="row" { (cell.text()) }
                            } @else {
                                td class=[column.numeric.then_some("n")] title=[cell.why()] { (html_cell(cell)) }
                            }
                        }
                    } } }
                }
            }
            @if !self.note.is_empty() { p.note { (self.note) } }
        }
    }

    /// The table in Markdown (GFM), with its title and note.
    pub fn markdown(&self) -> String {
        let escape = |text: String| {
            text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
        };
        let line = |cells: Vec<String>| {
            format!("| {} |\n", cells.into_iter().map(escape).collect::<Vec<_>>().join(" | "))
        };
        let mut text = format!("### {}\n\n", escape(self.title.clone()));
        text += &line(self.columns.iter().map(|column| column.title.clone()).collect());
        let rules = self.columns.iter().map(|column| if column.numeric { "---:" } else { "---" });
        text += &format!("| {} |\n", rules.collect::<Vec<_>>().join(" | "));
        for row in &self.rows {
            text += &line(row.iter().map(Cell::text).collect());
        }
        if !self.note.is_empty() {
            text += &format!("\n{}\n", escape(self.note.clone()));
        }
        text
    }

    /// The table in LaTeX; it needs the package `booktabs`.
    pub fn latex(&self) -> String {
        let line = |cells: Vec<String>| {
            let cells: Vec<_> = cells.iter().map(|cell| latex(cell)).collect();
            format!("    {} \\\\\n", cells.join(" & "))
        };
        let columns: String = self.columns.iter().map(|c| if c.numeric { 'r' } else { 'l' }).collect();
        let mut text = "\\begin{table}\n  \\centering\n".to_owned();
        if !self.title.is_empty() {
            text += &format!("  \\caption{{{}}}\n", latex(&self.title));
        }
        text += &format!("  \\begin{{tabular}}{{{columns}}}\n    \\toprule\n");
        text += &line(self.columns.iter().map(|column| column.title.clone()).collect());
        text += "    \\midrule\n";
        for row in &self.rows {
            text += &line(row.iter().map(Cell::text).collect());
        }
        text += "    \\bottomrule\n  \\end{tabular}\n";
        if !self.note.is_empty() {
            text += &format!("  \\par\\footnotesize {}\n", latex(&self.note));
        }
        text + "\\end{table}\n"
    }

    /// The table in CSV (RFC 4180) with all digits. A column of means becomes four: mean, both ends of
    /// the interval, and the deviation over seeds. Undefined is empty.
    pub fn csv(&self) -> String {
        let is_interval =
            |index: usize| self.rows.iter().any(|row| matches!(row.get(index), Some(Cell::Interval(_))));
        let wide: Vec<bool> = (0..self.columns.len()).map(is_interval).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let header = self.columns.iter().zip(&wide).flat_map(|(column, wide)| {
            let name = snake(&column.title);
            let ends = ["_ci95_low", "_ci95_high", "_sd"].map(|end| format!("{name}{end}"));
            std::iter::once(name).chain(ends.into_iter().take(if *wide { 3 } else { 0 }))
        });
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&wide).flat_map(|(cell, wide)| {
                let (ci, sd) = match cell {
                    Cell::Interval(value) => (value.ci95, value.sd),
                    _ => (None, None),
                };
                let more = [ci.map(|ci| ci[0]), ci.map(|ci| ci[1]), sd];
                let more = more.map(|v| v.map(|v| format!("{v:?}")).unwrap_or_default());
                std::iter::once(cell.raw()).chain(more.into_iter().take(if *wide { 3 } else { 0 }))
            });
            cells.collect::<Vec<_>>()
        });
        for record in std::iter::once(header.collect()).chain(rows) {
            writer.write_record(&record).expect("rows are as long as the header, and memory takes all");
        }
        let bytes = writer.into_inner().expect("memory takes all");
        String::from_utf8(bytes).expect("the cells were text")
    }
}

fn html_cell(cell: &Cell) -> Markup {
    match cell {
        Cell::Interval(value) => html! {
            b { (number::fixed(value.mean.unwrap_or_default(), 3)) }
            @if let Some([low, high]) = value.ci95 {
                " " span.ci { (number::fixed(low, 3)) " – " (number::fixed(high, 3)) }
            }
            @if let Some(sd) = value.sd { " " span.sd { "± " (number::fixed(sd, 3)) } }
        },
        cell => html! { (cell.text()) },
    }
}

/// A column's title as the name of a CSV column.
fn snake(title: &str) -> String {
    let words = title.to_lowercase().replace('%', "percent");
    let words = words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

fn latex(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\textbackslash{}",
            '~' => escaped += "\\textasciitilde{}",
            '^' => escaped += "\\textasciicircum{}",
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '±' => escaped += "$\\pm$",
            '−' => escaped += "$-$",
            '–' => escaped += "--",
            '<' => escaped += "$<$",
            '>' => escaped += "$>$",
            '×' => escaped += "$\\times$",
            '\u{202f}' => escaped += "\\,",
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("t", "A & B", "95 % of <all>").text_column("Method").column("macro F1");
        let value = Value { mean: Some(0.5), ci95: Some([0.25, 0.75]), sd: Some(0.125), ..Value::default() };
        table.row([Cell::Text("a|<b>_1".to_owned()), Cell::value(Some(&value))]);
        let none = Value { why: Some("no \"positive\"".to_owned()), ..Value::default() };
        table.row([Cell::Text("c".to_owned()), Cell::value(Some(&none))]);
        table
    }

    #[test]
    fn every_form_has_the_same_numbers_and_escapes_its_own_way() {
        let html = table().html();
        assert!(html.contains("a|&lt;b&gt;_1") && !html.contains("<b>_1"), "{html}");
        assert!(html.contains("title=\"no &quot;positive&quot;\""), "{html}");
        let md = table().markdown();
        assert!(md.contains("| a\\|&lt;b>_1 | 0.500 [0.250, 0.750] ± 0.125 |\n"), "{md}");
        assert!(md.contains("| c | – |\n"), "undefined is not 0: {md}");
        let tex = table().latex();
        assert!(tex.contains("A \\& B") && tex.contains("a|$<$b$>$\\_1 & 0.500 [0.250, 0.750] $\\pm$ 0.125"));
        let csv = table().csv();
        assert_eq!(
            csv,
            "method,macro_f1,macro_f1_ci95_low,macro_f1_ci95_high,macro_f1_sd\n\
             a|<b>_1,0.5,0.25,0.75,0.125\nc,,,,\n"
        );
    }
}
