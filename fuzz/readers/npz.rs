//! The npz files of `medmnist`.

use std::{
    fs,
    io::{Cursor, Write as _},
};

use nashost_datasets::medmnist::{Medmnist, MedmnistConfig};
use nashost_plugin_api::{component::Component as _, dataset::Dataset as _};
use ndarray::{Array2, Array3, Array4};
use ndarray_npy::WriteNpyExt as _;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// How each array in a file begins.
const MAGIC: &[u8] = b"\x93NUMPY";
const NAMES: [&str; 6] =
    ["train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"];

/// Takes the bytes for an npz file if they begin as one, else for its arrays, one behind the other: a changed
/// byte inside an archive would be found out by its checksum. The first byte says whether they are packed. Says whether it was taken.
pub(crate) fn read(data: &[u8]) -> bool {
    let memory = std::path::Path::new("/dev/shm");
    let file = if memory.is_dir() {
        tempfile::NamedTempFile::new_in(memory)
    } else {
        tempfile::NamedTempFile::new()
    };
    let file = file.expect("there is room for a file");
    if data.starts_with(b"PK") {
        fs::write(file.path(), data).expect("the file can be written");
    } else {
        fs::write(file.path(), archive(data)).expect("the file can be written");
    }
    let set = match Medmnist::create(MedmnistConfig { path: file.path().to_owned(), labels: vec![] }) {
        Ok(set) => set,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let info = set.describe().expect("a set that was read is described");
    let records = set.records().expect("and has records");
    assert!(records.iter().all(|record| record.targets.len() == info.labels.len()));
    for index in [0, records.len() - 1] {
        let pixels = set.pixels(index).expect("and each record has pixels");
        assert_eq!(pixels.data.len(), pixels.height * pixels.width * info.channels);
    }
    assert!(set.pixels(records.len()).is_err());
    true
}

fn archive(data: &[u8]) -> Vec<u8> {
    let (&kind, data) = data.split_first().unwrap_or((&0, data));
    let method = if kind % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
    let starts: Vec<usize> = data
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == MAGIC)
        .map(|(at, _)| at)
        .collect();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (i, name) in NAMES.into_iter().enumerate() {
        let Some(&start) = starts.get(i) else { break };
        let end = if i + 1 < NAMES.len() { starts.get(i + 1).copied() } else { None };
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).expect("names differ");
        zip.write_all(&data[start..end.unwrap_or(data.len())]).expect("memory takes it");
    }
    zip.finish().expect("memory takes it").into_inner()
}

/// Arrays of grey and of coloured images, with binary, several and class labels; one whole file.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let grey = |n: usize| Array3::from_shape_fn((n, 2, 3), |(i, y, x)| (100 * i + 10 * y + x) as u8);
    let colour = Array4::<u8>::from_shape_fn((3, 2, 2, 3), |(i, _, _, c)| (10 * i + c) as u8);
    let mut binary = vec![0];
    for n in [2, 1, 1] {
        grey(n).write_npy(&mut binary).expect("memory takes it");
        Array2::from_elem((n, 1), 1_u8).write_npy(&mut binary).expect("memory takes it");
    }
    let mut several = vec![1];
    let mut classes = vec![1];
    for _ in 0..3 {
        grey(2).write_npy(&mut several).expect("memory takes it");
        ndarray::arr2(&[[1_i8, 0, 1], [0, 0, 0]]).write_npy(&mut several).expect("memory takes it");
        colour.write_npy(&mut classes).expect("memory takes it");
        ndarray::arr2(&[[2_i64], [0], [1]]).write_npy(&mut classes).expect("memory takes it");
    }
    let whole = archive(&binary);
    vec![binary, several, classes, whole]
}
