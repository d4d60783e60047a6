//! The only place that prints: results on standard output, everything else on standard error.

#![expect(clippy::print_stderr, reason = "messages for people end here")]

use std::io::{ErrorKind, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, presets};
use serde::Serialize;
use serde_json::{Map, Value};

use super::args::{Color, Format, GlobalArgs};
use crate::error::{Error, Exit, Result};

/// Colours that mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Good news.
    Good,
    /// Worth a look.
    Warning,
    /// Bad news.
    Bad,
    /// Names and headings.
    Strong,
    /// Of less interest.
    Faint,
}

/// Where results and messages go, and how they look.
#[derive(Debug, Clone)]
pub struct Output {
    format: Format,
    quiet: bool,
    progress: bool,
    color_out: bool,
    color_err: bool,
}

/// A result in rows and columns. Numbers are right-aligned; null is an empty cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Output {
    /// Decides from the flags, the environment and the streams.
    pub fn new(global: &GlobalArgs) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = |terminal: bool| match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !is_set("NO_COLOR") && !is_dumb,
        };
        let terminal = std::io::stderr().is_terminal();
        Self {
            format: global.format,
            quiet: global.quiet,
            progress: terminal && !global.no_progress && !global.quiet && !is_dumb,
            color_out: color(std::io::stdout().is_terminal()),
            color_err: color(terminal),
        }
    }

    /// How results are wanted.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether progress bars may be drawn (on standard error).
    pub fn progress(&self) -> bool {
        self.progress
    }

    /// Colours a part of a result.
    pub fn paint(&self, style: Style, text: &str) -> String {
        paint(self.color_out, style, text)
    }

    /// Prints a result as it is.
    ///
    /// # Errors
    ///
    /// Fails if standard output cannot be written to (E0454). A reader that went away is no failure.
    pub fn text(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let message = format!("cannot write to standard output: {error}");
                Err(Error::new(Exit::Environment, "E0454", message).help("is the disk full?"))
            }
            _ => Ok(()),
        }
    }

    /// Prints a result as one JSON document.
    ///
    /// # Errors
    ///
    /// As [`Output::text`].
    pub fn json<T: Serialize + ?Sized>(&self, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Error::new(Exit::Bug, "E0100", format!("cannot write JSON: {error}")))?;
        self.text(&(text + "\n"))
    }

    /// Prints a table in the format that is wanted.
    ///
    /// # Errors
    ///
    /// As [`Output::text`].
    pub fn table(&self, table: &Table) -> Result<()> {
        self.text(&table.render(self.format, std::io::stdout().is_terminal()))
    }

    /// Tells what is going on, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            eprintln!("{} {text}", paint(self.color_err, Style::Faint, "note:"));
        }
    }

    /// Warns.
    pub fn warn(&self, text: &str) {
        eprintln!("{} {text}", paint(self.color_err, Style::Warning, "warning:"));
    }

    /// Reports an error and its companions.
    pub fn error(&self, error: &Error) {
        eprint!("{}", render_error(error, self.color_err));
    }
}

fn paint(color: bool, style: Style, text: &str) -> String {
    let code = match style {
        Style::Good => "32",
        Style::Warning => "33",
        Style::Bad => "1;31",
        Style::Strong => "1",
        Style::Faint => "2",
    };
    if color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Writes an error as users meet it: code, message, help; a count if there are several.
fn render_error(error: &Error, color: bool) -> String {
    let errors = error.clone().flatten();
    let mut text = String::new();
    for error in &errors {
        let label = paint(color, Style::Bad, &format!("error[{}]", error.code));
        text += &format!("{label}: {}\n", error.message);
        for line in error.help.iter().flat_map(|help| help.lines()) {
            text += &format!("  {} {line}\n", paint(color, Style::Strong, "help:"));
        }
    }
    if errors.len() > 1 {
        text += &format!("{} errors; `nashost explain {}` tells more\n", errors.len(), error.code);
    }
    text
}

impl Table {
    /// Makes an empty table.
    pub fn new(columns: &[&'static str]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row: one value per column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Value>) {
        let cells: Vec<Value> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "one cell per column");
        self.rows.push(cells);
    }

    /// Writes the table; `fit` breaks long cells so that it fits the terminal.
    fn render(&self, format: Format, fit: bool) -> String {
        match format {
            Format::Json => self.as_json(),
            Format::Csv => self.as_csv(),
            Format::Table => self.as_text(false, fit),
            Format::Md => self.as_text(true, false),
            Format::Latex => self.as_latex(),
        }
    }

    fn as_json(&self) -> String {
        let names = || self.columns.iter().map(|name| (*name).to_owned());
        let rows = self.rows.iter().map(|row| names().zip(row.iter().cloned()).collect::<Map<_, _>>());
        let rows: Value = rows.map(Value::Object).collect();
        format!("{rows:#}\n")
    }

    fn as_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let rows = self.rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>());
        let header = self.columns.iter().map(|name| (*name).to_owned()).collect();
        for record in std::iter::once(header).chain(rows) {
            writer.write_record(&record).expect("rows are as long as the header, and memory takes all");
        }
        let bytes = writer.into_inner().expect("memory takes all");
        String::from_utf8(bytes).expect("the cells were text")
    }

    /// A `tabular` with the rules of the package booktabs.
    fn as_latex(&self) -> String {
        let line = |cells: Vec<String>| cells.join(" & ") + r" \\" + "\n";
        let columns: String =
            (0..self.columns.len()).map(|i| if self.is_numeric(i) { 'r' } else { 'l' }).collect();
        let header = line(self.columns.iter().map(|name| latex(name)).collect());
        let rows = self.rows.iter().map(|row| line(row.iter().map(|cell| latex(&plain(cell))).collect()));
        let rows: String = rows.collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{header}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n"
        )
    }

    /// Whether every cell of a column that is not empty is a number, and there is one.
    fn is_numeric(&self, index: usize) -> bool {
        let mut cells = self.rows.iter().map(|row| &row[index]).filter(|cell| !cell.is_null()).peekable();
        cells.peek().is_some() && cells.all(Value::is_number)
    }

    fn as_text(&self, markdown: bool, fit: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(if markdown { presets::ASCII_MARKDOWN } else { presets::NOTHING })
            .set_header(&self.columns);
        if fit {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.add_rows(self.rows.iter().map(|row| row.iter().map(plain).collect::<Vec<_>>()));
        for index in 0..self.columns.len() {
            if let Some(column) = table.column_mut(index).filter(|_| !markdown) {
                column.set_padding((0, 1));
            }
            if let Some(column) = table.column_mut(index).filter(|_| self.is_numeric(index)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }
}

/// A cell without JSON's quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A text with LaTeX's special characters escaped.
fn latex(text: &str) -> String {
    let escape = |c: char| match c {
        '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{c}"),
        '\\' => r"\textbackslash{}".to_owned(),
        '~' => r"\textasciitilde{}".to_owned(),
        '^' => r"\textasciicircum{}".to_owned(),
        '±' => r"$\pm$".to_owned(),
        'δ' => r"$\delta$".to_owned(),
        'ρ' => r"$\rho$".to_owned(),
        'τ' => r"$\tau$".to_owned(),
        '−' => "$-$".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["name", "params"]);
        table.row([json!("resnet50"), json!(23_508_032)]);
        table.row([json!("a, \"b\""), Value::Null]);
        table
    }

    #[test]
    fn a_table_has_five_forms() {
        let csv = "name,params\nresnet50,23508032\n\"a, \"\"b\"\"\",\n";
        assert_eq!(table().render(Format::Csv, false), csv);
        let json: Value = serde_json::from_str(&table().render(Format::Json, false)).unwrap();
        assert_eq!(json[0], json!({"name": "resnet50", "params": 23_508_032}));
        assert_eq!(json[1]["params"], Value::Null);
        let md = table().render(Format::Md, false);
        assert!(md.lines().all(|line| line.starts_with('|') && line.ends_with('|')), "{md}");
        let latex = table().render(Format::Latex, false);
        assert!(
            latex.starts_with("\\begin{tabular}{lr}\n\\toprule\nname & params \\\\\n\\midrule\n"),
            "{latex}"
        );
        assert_eq!(super::latex("a_b & 5 % ± x"), r"a\_b \& 5 \% $\pm$ x");
        let text = table().render(Format::Table, false);
        let ends: Vec<usize> = text.lines().take(2).map(str::len).collect();
        assert_eq!(ends[0], ends[1], "numbers are right-aligned: {text}");
        assert!(text.starts_with("name"), "no space before the first column: {text}");
    }

    #[test]
    fn an_error_has_code_message_help_and_count() {
        let first = Error::new(Exit::Usage, "E0203", "a.toml:14: unknown key `x`").help("did you mean `y`?");
        assert_eq!(
            render_error(&first, false),
            "error[E0203]: a.toml:14: unknown key `x`\n  help: did you mean `y`?\n"
        );
        let both = Error::all([first, Error::new(Exit::Usage, "E0207", "no")]).unwrap();
        let text = render_error(&both, false);
        assert!(text.ends_with("error[E0207]: no\n2 errors; `nashost explain E0203` tells more\n"), "{text}");
        assert!(render_error(&both, true).contains("\x1b[1;31merror[E0203]\x1b[0m"));
    }
}
