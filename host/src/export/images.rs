//! Images to be scored: a folder, or a table that names files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use nashost_plugin_api::dataset::{DatasetInfo, Pixels, Record};
use serde_json::json;

use crate::{
    data::ImageSource,
    error::{Error, Exit, Result},
    pipeline::PluginSource,
    plugin::Registry,
    run::{io_error, trial::ComponentRef},
};

/// The dataset that decodes image files: the same code that training on files uses.
const READER: &str = "csv-images";

/// Datasets whose pixels are those of image files: as decoded, or stored so. Others, `dicom` among them, make shades
/// of what is stored.
const AS_IN_FILES: [&str; 3] = [READER, "medmnist", "phantom"];

/// Refuses a run whose images image files do not hold: its network would be shown other shades than it was trained
/// on.
///
/// # Errors
///
/// Fails if `dataset`, that of the run, is no such dataset (E0926).
pub(crate) fn require_image_files(dataset: &str) -> Result<()> {
    if AS_IN_FILES.contains(&dataset) {
        return Ok(());
    }
    let message = format!(
        "the run's images come from the dataset `{dataset}`, and image files are decoded by `{READER}`, which may \
         give other shades than the network was trained on"
    );
    Err(Error::new(Exit::Usage, "E0926", message).help(
        "`nashost export --as onnx` writes the network with the run's normalisation; give it pixels that were \
         decoded as for the run",
    ))
}

/// Endings of the files that are taken from a folder.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "tif", "tiff"];

/// Image files, in the order of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageList {
    /// Names as the answer has them: paths relative to the folder, or as the table has them.
    pub(crate) names: Vec<String>,
    /// Where they are.
    paths: Vec<PathBuf>,
    /// Files of the folder whose names do not end as images' do.
    pub(crate) others: usize,
}

impl ImageList {
    /// Lists the images of `from`: all files below a folder with an image's ending, by name, or the files
    /// that the column `column` of a CSV file names, relative to that file's folder.
    ///
    /// # Errors
    ///
    /// Fails if there are none, or `from` cannot be read (E0924).
    pub(crate) fn read(from: &Path, column: &str) -> Result<Self> {
        let list = if from.is_dir() { Self::of_folder(from)? } else { Self::of_table(from, column)? };
        if list.names.is_empty() {
            return Err(unreadable(from, "it names no images")
                .help("images of a folder end in .png, .jpg, .jpeg, .tif or .tiff"));
        }
        Ok(list)
    }

    fn of_folder(folder: &Path) -> Result<Self> {
        let mut list = Self { names: Vec::new(), paths: Vec::new(), others: 0 };
        let mut files = Vec::new();
        collect(folder, &mut files)?;
        files.sort();
        for path in files {
            let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
            if ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())) {
                let below = path.strip_prefix(folder).unwrap_or(&path);
                list.names.push(below.to_string_lossy().into_owned());
                list.paths.push(path);
            } else {
                list.others += 1;
            }
        }
        Ok(list)
    }

    fn of_table(file: &Path, column: &str) -> Result<Self> {
        let bytes = fs::read(file).map_err(|cause| unreadable(file, &cause.to_string()))?;
        let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
        let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let header = csv.headers().map_err(|error| unreadable(file, &error.to_string()))?.clone();
        let at = header.iter().position(|name| name.eq_ignore_ascii_case(column)).ok_or_else(|| {
            let known: Vec<&str> = header.iter().collect();
            unreadable(file, &format!("it has no column `{column}`"))
                .help(format!("name the column of the files with --column: {}", known.join(", ")))
        })?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut list = Self { names: Vec::new(), paths: Vec::new(), others: 0 };
        for row in csv.records() {
            let row = row.map_err(|error| unreadable(file, &error.to_string()))?;
            list.names.push(row[at].to_owned());
            list.paths.push(folder.join(&row[at]));
        }
        Ok(list)
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// Opens the images for decoding to `channels` channels, by [`READER`]. Images that are not there are
    /// left for [`Files::pixels`](ImageSource::pixels) to tell.
    ///
    /// # Errors
    ///
    /// Fails if there is no reader or its list cannot be written.
    pub(crate) fn open(&self, registry: &Registry, channels: usize) -> Result<Files> {
        let mut places = Vec::with_capacity(self.paths.len());
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut rows = vec![[String::from("row"), String::from("path"), String::from("label")]];
        for path in &self.paths {
            // The reader takes paths below a root, and refuses its whole list for one that is wrong.
            let found = fs::canonicalize(path).map_err(|cause| cause.to_string());
            places.push(match found {
                Ok(path) if !path.is_file() => Err("it is no file".to_owned()),
                Ok(path) => match path.strip_prefix("/").unwrap_or(&path).to_str() {
                    // The reader trims cells.
                    Some(text) if text.trim() == text => {
                        rows.push([rows.len().to_string(), text.to_owned(), String::new()]);
                        Ok(rows.len() - 2)
                    }
                    _ => Err("its path begins or ends with a space, or is not UTF-8".to_owned()),
                },
                Err(why) => Err(why),
            });
        }
        let opened = rows.len() > 1;
        let folder = tempfile::tempdir().map_err(|e| io_error("write to", &std::env::temp_dir(), &e))?;
        let index = folder.path().join("index.csv");
        let written = rows.iter().try_for_each(|row| writer.write_record(row));
        let bytes = written.map_err(csv_error).and_then(|()| writer.into_inner().map_err(|e| e.into_error()));
        bytes
            .and_then(|bytes| fs::write(&index, bytes))
            .map_err(|cause| io_error("write", &index, &cause))?;
        let config = json!({
            "root": "/", "csv": index, "id": "row", "path": "path", "labels": ["label"], "channels": channels,
        });
        let reader = ComponentRef { id: READER.to_owned(), config };
        let source = opened.then(|| PluginSource::of(registry, &reader)).transpose()?;
        // The index is read on first use, and is gone afterwards.
        source.as_ref().map(ImageSource::info).transpose()?;
        Ok(Files { source, places })
    }
}

fn csv_error(error: csv::Error) -> std::io::Error {
    std::io::Error::other(error)
}

/// Images that are ready to be decoded.
pub(crate) struct Files {
    /// None if no image is there.
    source: Option<PluginSource>,
    /// Position in the source, or why there is none.
    places: Vec<std::result::Result<usize, String>>,
}

impl Files {
    fn source(&self) -> Result<&PluginSource> {
        self.source.as_ref().ok_or_else(|| Error::new(Exit::No, "E0925", "no image is there"))
    }
}

impl ImageSource for Files {
    fn info(&self) -> Result<DatasetInfo> {
        self.source()?.info()
    }

    fn records(&self) -> Result<Vec<Record>> {
        self.source()?.records()
    }

    fn stamp(&self) -> Result<String> {
        self.source()?.stamp()
    }

    fn pixels(&self, index: usize) -> Result<Pixels> {
        match &self.places[index] {
            Ok(place) => self.source()?.pixels(*place),
            Err(why) => Err(Error::new(Exit::No, "E0925", why.clone())),
        }
    }

    fn mask(&self, _: usize, _: usize) -> Result<Option<Pixels>> {
        Ok(None)
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|cause| unreadable(folder, &cause.to_string()))?;
    for entry in entries {
        let path = entry.map_err(|cause| unreadable(folder, &cause.to_string()))?.path();
        // A link to a folder may lead back.
        if path.is_dir() && !path.is_symlink() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn unreadable(path: &Path, why: &str) -> Error {
    Error::new(Exit::Usage, "E0924", format!("the images of {} cannot be listed: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_by_name_and_other_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.PNG", "a.jpeg", "b/x.tif", "notes.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let list = ImageList::read(folder.path(), "image").unwrap();
        assert_eq!(list.names, ["a.jpeg", "b/x.tif", "c.PNG"]);
        assert_eq!(list.others, 1);
        fs::create_dir(folder.path().join("empty")).unwrap();
        assert_eq!(ImageList::read(&folder.path().join("empty"), "image").unwrap_err().code, "E0924");
    }

    #[test]
    fn runs_on_other_than_image_files_are_refused() {
        for dataset in AS_IN_FILES {
            require_image_files(dataset).unwrap();
        }
        let error = require_image_files("dicom").unwrap_err();
        assert_eq!((error.code, error.exit), ("E0926", Exit::Usage));
        assert!(error.message.contains("the dataset `dicom`"), "{error}");
    }

    #[test]
    fn a_table_names_files_beside_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list.csv");
        fs::write(&file, "patient,Image\np,one.png\nq,sub/two.png\n").unwrap();
        let list = ImageList::read(&file, "image").unwrap();
        assert_eq!(list.names, ["one.png", "sub/two.png"]);
        assert_eq!(list.paths[1], folder.path().join("sub/two.png"));
        let error = ImageList::read(&file, "path").unwrap_err();
        assert!(error.help.unwrap().contains("patient, Image"));
        assert_eq!(ImageList::read(&folder.path().join("gone.csv"), "image").unwrap_err().code, "E0924");
    }
}
