//! Settings of the dataset.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of [`Dicom`](crate::Dicom).
///
/// Column names of the table match whatever their case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DicomConfig {
    /// Folder of the files, read with all folders in it. No file may lie outside.
    pub root: PathBuf,
    /// Table of the labels, relative to `root`.
    pub csv: PathBuf,
    /// What the table's key names.
    #[serde(default)]
    pub join: Join,
    /// Column of the key. Empty: that of `join`, such as `SOPInstanceUID`.
    #[serde(default)]
    pub key: String,
    /// A DICOMDIR, relative to `root`: only the images that it lists are taken.
    #[serde(default)]
    pub dicomdir: Option<PathBuf>,
    /// Column that says `train`, `val` or `test`.
    #[serde(default)]
    pub split: Option<String>,
    /// Columns of the labels, in order. Empty: all columns not named otherwise.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Columns to leave out where `labels` is empty.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// The label that means "no other finding", if there is such a label.
    #[serde(default = "normal")]
    pub normal: String,
    /// Images without a row, rows without an image, and files whose headers cannot be read.
    #[serde(default)]
    pub unmatched: Unmatched,
    /// Whose images stay together in one part of a split.
    #[serde(default)]
    pub group: Group,
    /// Facts from the headers that are carried along for reports by subgroup.
    #[serde(default = "attributes")]
    pub attributes: Vec<Attribute>,
    /// How stored values become shades of grey.
    #[serde(default)]
    pub intensity: Intensity,
    /// Lower and upper percentile of `intensity`, of all pixels that are no padding.
    #[serde(default = "percentiles")]
    pub percentiles: [f64; 2],
    /// Bits of a shade, 8 or 16.
    #[serde(default = "depth")]
    pub depth: u8,
    /// Images of several frames.
    #[serde(default)]
    pub frames: Frames,
    /// Replace the ids of images and patients by salted hashes, and keep names of files out of messages.
    #[serde(default = "pseudonymise")]
    pub pseudonymise: bool,
    /// File of the salt, which is made on first use. Absent: `nashost/pseudonym-salt` in the user's
    /// configuration folder.
    #[serde(default)]
    pub salt_file: Option<PathBuf>,
}

/// What the key of the table names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// One image, by its SOP instance UID.
    #[default]
    Sop,
    /// The images of an accession number.
    Accession,
    /// The images of a study, by its study instance UID.
    Study,
    /// The images of a patient id.
    Patient,
    /// One file, relative to `root`. Only these files are read.
    File,
}

impl Join {
    /// The column of this key, unless another is named.
    pub(crate) fn column(self) -> &'static str {
        match self {
            Self::Sop => "SOPInstanceUID",
            Self::Accession => "AccessionNumber",
            Self::Study => "StudyInstanceUID",
            Self::Patient => "PatientID",
            Self::File => "File",
        }
    }
}

/// What becomes of images without a row, of rows without an image, and of files whose headers cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// They are problems.
    #[default]
    Refuse,
    /// They are left out, and counted in a warning.
    Skip,
}

/// Whose images stay together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Those of a patient id.
    #[default]
    Patient,
    /// Those of a study, where patient ids were removed. Images of one patient may then be divided.
    Study,
}

/// A fact from the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// Image laterality, else that of the series.
    Laterality,
    /// View position.
    View,
    /// Body part examined.
    BodyPart,
    /// Patient's sex.
    Sex,
    /// Decade of the patient's age at the study, such as `30-39`; `90+` at the end.
    AgeBand,
    /// Manufacturer and model.
    Scanner,
    /// Modality, such as `CR` or `DX`.
    Modality,
    /// Whether the header says that text is burnt into the pixels.
    BurntIn,
}

impl Attribute {
    /// Name as in the settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Laterality => "laterality",
            Self::View => "view",
            Self::BodyPart => "body_part",
            Self::Sex => "sex",
            Self::AgeBand => "age_band",
            Self::Scanner => "scanner",
            Self::Modality => "modality",
            Self::BurntIn => "burnt_in",
        }
    }
}

/// How stored values become shades of grey.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Intensity {
    /// By the file's window; by `percentiles` where it has none.
    #[default]
    Auto,
    /// By the file's first window; files without one are refused.
    Window,
    /// From one percentile to the other.
    Percentile,
    /// From the least value that the stored bits can hold to the largest.
    Full,
}

/// Images of several frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
    /// They are refused.
    #[default]
    Refuse,
    /// The first is taken.
    First,
}

/// The name of the normal label, unless another is given.
pub(crate) fn normal() -> String {
    "normal".to_owned()
}

fn attributes() -> Vec<Attribute> {
    use Attribute::{AgeBand, BodyPart, Laterality, Scanner, Sex, View};
    vec![Laterality, View, BodyPart, Sex, AgeBand, Scanner]
}

fn percentiles() -> [f64; 2] {
    [0.5, 99.5]
}

fn depth() -> u8 {
    16
}

fn pseudonymise() -> bool {
    true
}

impl DicomConfig {
    /// The files of `root`, labelled by `csv` in it; every option at its default.
    pub fn new(root: impl Into<PathBuf>, csv: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            csv: csv.into(),
            join: Join::default(),
            key: String::new(),
            dicomdir: None,
            split: None,
            labels: Vec::new(),
            ignore: Vec::new(),
            normal: normal(),
            unmatched: Unmatched::default(),
            group: Group::default(),
            attributes: attributes(),
            intensity: Intensity::default(),
            percentiles: percentiles(),
            depth: depth(),
            frames: Frames::default(),
            pseudonymise: pseudonymise(),
            salt_file: None,
        }
    }

    /// Column of the key.
    pub(crate) fn key_column(&self) -> &str {
        if self.key.is_empty() { self.join.column() } else { &self.key }
    }

    /// Everything that is wrong with the settings themselves.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.root.is_dir() {
            problems.push(format!("root: \"{}\" is not a folder", self.root.display()));
        }
        if !matches!(self.depth, 8 | 16) {
            problems.push(format!("depth: {} is neither 8 nor 16", self.depth));
        }
        let [low, high] = self.percentiles;
        if !(0.0 <= low && low < high && high <= 100.0) {
            problems.push(format!("percentiles: {low} and {high} do not rise within 0 to 100"));
        }
        if self.dicomdir.is_some() && self.join == Join::File {
            problems.push("dicomdir: with `join = \"file\"` the table lists the files".to_owned());
        }
        problems
    }
}
