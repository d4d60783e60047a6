use std::fs::File;

use nashost_plugin_api::dataset::Target;
use ndarray::{Array2, Array3, Array4};
use ndarray_npy::NpzWriter;
use tempfile::TempDir;

use super::*;

/// Writes an npz file with the given arrays.
fn npz(name: &str, fill: impl FnOnce(&mut NpzWriter<File>)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut writer = NpzWriter::new(File::create(&path).unwrap());
    fill(&mut writer);
    writer.finish().unwrap();
    (folder, path)
}

fn open(path: &Path) -> PluginResult<Medmnist> {
    Medmnist::create(MedmnistConfig { path: path.to_owned(), labels: vec![] })
}

fn grey(images: usize) -> Array3<u8> {
    Array3::from_shape_fn((images, 2, 3), |(i, y, x)| (100 * i + 10 * y + x) as u8)
}

#[test]
fn binary_grey_set_with_its_split() {
    let (_folder, path) = npz("pneumoniamnist_28.npz", |npz| {
        for (part, images, labels) in [("train", 2, vec![0u8, 1]), ("val", 1, vec![1]), ("test", 1, vec![0])]
        {
            npz.add_array(format!("{part}_images"), &grey(images)).unwrap();
            npz.add_array(format!("{part}_labels"), &Array2::from_shape_vec((images, 1), labels).unwrap())
                .unwrap();
        }
    });
    let set = open(&path).unwrap();
    let info = set.describe().unwrap();
    assert_eq!((info.labels, info.channels), (vec!["pneumonia".to_owned()], 1));
    let records = set.records().unwrap();
    let brief: Vec<_> = records.iter().map(|r| (r.id.as_str(), r.split.unwrap(), r.targets[0])).collect();
    assert_eq!(
        brief,
        [
            ("train_00000", Part::Train, Target::Negative),
            ("train_00001", Part::Train, Target::Positive),
            ("val_00000", Part::Val, Target::Positive),
            ("test_00000", Part::Test, Target::Negative),
        ]
    );
    let pixels = set.pixels(1).unwrap();
    assert_eq!((pixels.height, pixels.width, pixels.data), (2, 3, vec![100, 101, 102, 110, 111, 112]));
    assert_eq!(set.pixels(3).unwrap().data[0], 0);
    assert_eq!(set.pixels(4).unwrap_err().to_string(), "image 4 of 4");
}

#[test]
fn classes_become_one_label_each_and_colour_is_kept() {
    let (_folder, path) = npz("colour.npz", |npz| {
        let images = Array4::<u8>::from_shape_fn((3, 2, 2, 3), |(i, _, _, c)| (10 * i + c) as u8);
        for part in ["train", "val", "test"] {
            npz.add_array(format!("{part}_images"), &images).unwrap();
            npz.add_array(format!("{part}_labels"), &ndarray::arr2(&[[2i64], [0], [1]])).unwrap();
        }
    });
    let set = open(&path).unwrap();
    let info = set.describe().unwrap();
    assert_eq!((info.labels.len(), info.labels[2].as_str(), info.channels), (3, "label_2", 3));
    assert_eq!(set.records().unwrap()[0].targets.iter().map(|t| t.code()).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(set.pixels(2).unwrap().data[..3], [20, 21, 22]);
}

#[test]
fn several_columns_are_several_labels() {
    let (_folder, path) = npz("multi.npz", |npz| {
        for part in ["train", "val", "test"] {
            npz.add_array(format!("{part}_images"), &grey(2)).unwrap();
            npz.add_array(format!("{part}_labels"), &ndarray::arr2(&[[1u8, 0, 1], [0, 0, 0]])).unwrap();
        }
    });
    let set = open(&path).unwrap();
    assert_eq!(set.records().unwrap()[4].targets.iter().map(|t| t.code()).collect::<Vec<_>>(), [1, 0, 1]);
    let labels = vec!["a".to_owned(); 2];
    let error = Medmnist::create(MedmnistConfig { path, labels }).unwrap_err().to_string();
    assert!(error.starts_with("labels: 2 names for the 3 labels"), "{error}");
}

#[test]
fn every_wrong_array_is_named() {
    let (_folder, path) = npz("wrong.npz", |npz| {
        npz.add_array("train_images", &ndarray::arr2(&[[1u8, 2]])).unwrap();
        npz.add_array("train_labels", &ndarray::arr2(&[[1.5f32]])).unwrap();
        npz.add_array("val_images", &grey(2)).unwrap();
        npz.add_array("val_labels", &ndarray::arr2(&[[1u8]])).unwrap();
    });
    let error = open(&path).unwrap_err().to_string();
    for (line, part) in error.lines().zip([
        "train_images has shape [1, 2], not N×H×W or N×H×W×3",
        "train_labels cannot be read",
        "val_images holds 2 images, val_labels 1 rows",
        "test_images",
        "test_labels",
    ]) {
        assert!(line.starts_with(part), "{line}");
    }
    assert_eq!(error.lines().count(), 5, "{error}");
}

#[test]
fn labels_out_of_range_and_foreign_files_are_refused() {
    let (folder, path) = npz("range.npz", |npz| {
        for part in ["train", "val", "test"] {
            npz.add_array(format!("{part}_images"), &grey(1)).unwrap();
            npz.add_array(format!("{part}_labels"), &ndarray::arr2(&[[1i64, -1]])).unwrap();
        }
    });
    let error = open(&path).unwrap_err().to_string();
    assert_eq!(error.lines().next().unwrap(), "train_labels[0, 1] is -1, not 0 or 1");
    assert_eq!(error.lines().count(), 3);
    let text = folder.path().join("text.npz");
    std::fs::write(&text, "hello").unwrap();
    assert!(open(&text).unwrap_err().to_string().contains("is not an npz file"));
    assert!(open(&folder.path().join("none.npz")).unwrap_err().to_string().contains("cannot be read"));
}

/// Needs `NASHOST_TEST_DATA`, a folder with `pneumoniamnist_28.npz`.
#[test]
fn pneumoniamnist_itself() {
    let Some(folder) = std::env::var_os("NASHOST_TEST_DATA") else {
        use std::io::Write as _;
        writeln!(std::io::stderr(), "skipped: NASHOST_TEST_DATA is not set").unwrap();
        return;
    };
    let set = open(&Path::new(&folder).join("pneumoniamnist_28.npz")).unwrap();
    let records = set.records().unwrap();
    let count = |part| records.iter().filter(|r| r.split == Some(part)).count();
    assert_eq!([Part::Train, Part::Val, Part::Test].map(count), [4708, 524, 624]);
    let positive = |part| {
        let of_part = records.iter().filter(|r| r.split == Some(part));
        of_part.filter(|r| r.targets == [Target::Positive]).count()
    };
    assert_eq!([Part::Train, Part::Val, Part::Test].map(positive), [3494, 389, 390]);
    let pixels = set.pixels(records.len() - 1).unwrap();
    assert_eq!((pixels.height, pixels.width, pixels.channels), (28, 28, 1));
    assert!(pixels.data.iter().any(|&v| v != pixels.data[0]));
}

/// Content of an npy file whose header claims `shape`.
fn npy(shape: &str, descr: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    header += &" ".repeat(63 - (header.len() + 10) % 64);
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// What is said of a file with these images and labels in each part.
fn refusal(images: &[u8], labels: &[u8]) -> String {
    refusal_of_entries(".npy", images, labels)
}

/// The same, with another ending of the entries' names.
fn refusal_of_entries(ending: &str, images: &[u8], labels: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npz");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for part in ["train", "val", "test"] {
        for (name, content) in [("images", images), ("labels", labels)] {
            zip.start_file(format!("{part}_{name}{ending}"), zip::write::SimpleFileOptions::default())
                .unwrap();
            std::io::Write::write_all(&mut zip, content).unwrap();
        }
    }
    zip.finish().unwrap();
    open(&path).unwrap_err().to_string()
}

#[test]
fn arrays_that_claim_more_than_they_hold_are_refused() {
    let (images, labels) = (npy("(2, 2, 2)", "|u1", &[0; 8]), npy("(2, 1)", "|u1", &[0, 1]));
    let huge = npy("(1000000000000, 28, 28)", "|u1", &[0; 8]);
    let said = refusal(&huge, &labels);
    assert!(said.contains("train_images is refused: its header claims 784000000000000 values"), "{said}");
    let wide = npy("(2, 1000000000000)", "|u1", &[0, 1]);
    let said = refusal(&images, &wide);
    assert!(said.contains("test_labels is refused: its header claims 2000000000000 values"), "{said}");
}

#[test]
fn a_small_file_that_unpacks_to_much_is_refused() {
    let bomb = npy("(100000000, 1, 1)", "|u1", &vec![0; 100_000_000]);
    let labels = npy("(2, 1)", "|u1", &[0, 1]);
    let said = refusal(&bomb, &labels);
    assert!(said.contains("val_images is refused") && said.contains("are no data"), "{said}");
}

#[test]
fn class_numbers_without_bound_are_refused() {
    let images = npy("(2, 2, 2)", "|u1", &[0; 8]);
    let classes: Vec<u8> =
        [0_i64, 1_000_000_000_000_000].iter().flat_map(|class| class.to_le_bytes()).collect();
    let said = refusal(&images, &npy("(2, 1)", "<i8", &classes));
    assert!(said.contains("train_labels[1, 0] is 1000000000000000, not 0 to 9999"), "{said}");
}

/// The reader takes an entry without the ending, and before one with it, so it must not go unchecked.
#[test]
fn entries_without_the_ending_are_refused() {
    let huge = npy("(1000000000000, 28, 28)", "|u1", &[0; 8]);
    let said = refusal_of_entries("", &huge, &npy("(2, 1)", "|u1", &[0, 1]));
    assert!(said.contains("train_images is refused: it stands there without the ending `.npy`"), "{said}");
}

/// The reader knows Python's grammar, in which a shape can be written in more ways than the check reads.
#[test]
fn headers_that_only_python_understands_are_refused() {
    let labels = npy("(2, 1)", "|u1", &[0, 1]);
    let said = refusal(&npy("(0xFFFFFFFFFF, 28, 28)", "|u1", &[0; 8]), &labels);
    assert!(said.contains("train_images is refused: it does not begin as numpy's arrays do"), "{said}");
}

/// A megabyte of zeros packs to a kilobyte, and each of them would become a record.
#[test]
fn labels_that_unpack_from_nothing_are_refused() {
    let images = npy("(2, 2, 2)", "|u1", &[0; 8]);
    let said = refusal(&images, &npy("(5000000, 1)", "|u1", &vec![0; 5_000_000]));
    assert!(said.contains("train_labels is refused") && said.contains("are no data"), "{said}");
}

#[test]
fn more_images_and_labels_than_memory_holds_are_refused() {
    // Packed images of one pixel, and one class number that makes ten thousand labels of each image.
    let rows = 30_000;
    let images = npy(&format!("({rows}, 1, 1)"), "|u1", &vec![0; rows]);
    let mut classes: Vec<u8> = vec![0; 2 * rows];
    classes[..2].copy_from_slice(&9999_i16.to_le_bytes());
    let labels: Vec<u8> = classes.chunks(2).flat_map(|pair| [pair[0], pair[1], 0, 0]).collect();
    let said = refusal(&images, &npy(&format!("({rows}, 1)"), "<i4", &labels));
    assert!(said.contains("90000 images with 10000 labels are too many"), "{said}");
}
