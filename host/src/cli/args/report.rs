//! Arguments of `report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is written about runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportKind {
    /// Figures and tables.
    #[default]
    Report,
    /// A model card, filled in as far as the runs know.
    ModelCard,
    /// A checklist for a paper, filled in likewise.
    Checklist,
    /// Learning curves for TensorBoard, as files.
    Tensorboard,
}

/// Arguments of `report`: writes about runs.
///
/// Without `--format`, one page of HTML is written to a file and its path is printed. With it, the result
/// is printed: `html` the page, `md`, `latex` and `csv` tables, `json` everything that the page shows.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Runs, side by side: their folders, names, ends of names, or `latest`.
    #[arg(default_value = "latest")]
    pub runs: Vec<String>,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
    /// File for the page (or folder for TensorBoard); in the folder of the run, or beside several runs,
    /// if left out.
    #[arg(long, env = "NASHOST_HTML", value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Prints this table alone, such as headline, per-label or confusion; for `--format csv`, headline if
    /// left out.
    #[arg(long, env = "NASHOST_TABLE", value_name = "NAME")]
    pub table: Option<String>,
    /// Pairwise comparisons of the methods, as a JSON file: a list, or what `compare --format json` prints;
    /// repeatable.
    #[arg(long, env = "NASHOST_COMPARISONS", value_name = "FILE")]
    pub comparisons: Vec<PathBuf>,
    /// What to write.
    #[arg(long, env = "NASHOST_KIND", value_enum, default_value_t, value_name = "KIND")]
    pub kind: ReportKind,
}
