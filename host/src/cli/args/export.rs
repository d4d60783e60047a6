//! Arguments of `export` and `predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub use crate::export::Format as ExportFormat;

/// What an exported model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportInput {
    /// Pixels from 0 to 1; the model normalises them.
    Pixels,
    /// Values that the caller has normalised.
    Normalised,
}

/// Arguments of `export`: writes a trained network for other programs.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// A trial of the run, such as T0001; `best` is the best on the validation part.
    #[arg(long, env = "NASHOST_TRIAL", default_value = "best", value_name = "TRIAL")]
    pub trial: String,
    /// What to write.
    #[arg(long = "as", env = "NASHOST_AS", value_enum, value_name = "FORMAT")]
    pub kind: ExportFormat,
    /// What the model takes; safetensors come without a model, so there it is always `normalised`.
    #[arg(long, env = "NASHOST_INPUT", value_enum, default_value = "pixels")]
    pub input: ExportInput,
    /// The file to write; for safetensors, the folder.
    #[arg(long, value_name = "PATH")]
    pub to: PathBuf,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}

/// Arguments of `predict`: scores images with a trained network.
#[derive(Debug, Clone, Args)]
pub struct PredictArgs {
    /// A run: its folder, its name, the end of its name, or `latest`.
    pub run: String,
    /// A folder of images, or a CSV file that names them.
    pub images: PathBuf,
    /// A trial of the run, such as T0001; `best` is the best on the validation part.
    #[arg(long, env = "NASHOST_TRIAL", default_value = "best", value_name = "TRIAL")]
    pub trial: String,
    /// Column of the CSV file that names the images.
    #[arg(long, env = "NASHOST_COLUMN", default_value = "image", value_name = "NAME")]
    pub column: String,
    /// auto, cpu, cuda or cuda:N.
    #[arg(long, env = "NASHOST_DEVICE", default_value = "auto", value_name = "DEVICE")]
    pub device: String,
    /// The CSV file to write.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// Folder that runs are in.
    #[arg(long, env = "NASHOST_OUT", default_value = "runs", value_name = "DIR")]
    pub out: PathBuf,
}
