//! Reading and checking the arrays of an npz file.

use std::{fs::File, path::Path};

use nashost_plugin_api::{
    dataset::{Part, Target},
    problems::Problems,
};
use ndarray::{Array2, ArrayD, OwnedRepr};
use ndarray_npy::{NpzReader, ReadNpzError, ReadableElement};

use super::{claims, part_name};

/// The arrays of a set, checked.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1 or 3.
    pub(super) channels: usize,
    /// Number of labels; one per class if there are classes.
    pub(super) labels: usize,
    /// Training, validation and test part.
    pub(super) parts: Vec<ArchivePart>,
}

/// One part of the split.
#[derive(Debug)]
pub(super) struct ArchivePart {
    pub(super) part: Part,
    /// Images × rows × columns × channels.
    pub(super) pixels: Vec<u8>,
    /// One row per image.
    pub(super) targets: Vec<Vec<Target>>,
}

/// Images as in the file: N×H×W or N×H×W×3.
type Images = ArrayD<u8>;

impl Archive {
    /// Reads `path`.
    ///
    /// # Errors
    ///
    /// Fails with every missing, ill-typed or ill-shaped array, and with labels that are neither
    /// 0 and 1 nor class numbers.
    pub(super) fn read(path: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let name = path.display();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                problems.add(format!("\"{name}\" cannot be read: {error}"));
                return Err(problems);
            }
        };
        let mut npz = match NpzReader::new(file) {
            Ok(npz) => npz,
            Err(error) => {
                problems.add(format!("\"{name}\" is not an npz file: {error}"));
                return Err(problems);
            }
        };
        let mut raw = Vec::new();
        for part in [Part::Train, Part::Val, Part::Test] {
            let part_name = part_name(part);
            let (images_name, labels_name) = (format!("{part_name}_images"), format!("{part_name}_labels"));
            let images = claims::check(path, &images_name, claims::SMALL_IMAGES)
                .and_then(|()| images(&mut npz, &images_name));
            let labels = claims::check(path, &labels_name, claims::SMALL_LABELS)
                .and_then(|()| labels(&mut npz, &labels_name));
            match (images, labels) {
                (Ok(images), Ok(labels)) => {
                    if images.shape()[0] != labels.nrows() {
                        problems.add(format!(
                            "{part_name}_images holds {} images, {part_name}_labels {} rows",
                            images.shape()[0],
                            labels.nrows()
                        ));
                    }
                    raw.push((part, images, labels));
                }
                (images, labels) => {
                    [images.err(), labels.err()].into_iter().flatten().for_each(|e| problems.add(e));
                }
            }
        }
        check_shapes(&raw, &mut problems);
        problems.clone().or(())?;
        let coding = Coding::of(&raw, &mut problems);
        let images: usize = raw.iter().map(|(_, images, _)| images.shape()[0]).sum();
        if images > MOST_IMAGES || images.saturating_mul(coding.labels()) > MOST_TARGETS {
            problems.add(format!(
                "{images} images with {} labels are too many: {MOST_IMAGES} images and {MOST_TARGETS} values of \
                 labels are the most",
                coding.labels()
            ));
            return Err(problems);
        }
        let shape = raw[0].1.shape();
        let (height, width, channels) = (shape[1], shape[2], shape.get(3).copied().unwrap_or(1));
        let parts = raw
            .into_iter()
            .map(|(part, images, labels)| ArchivePart {
                part,
                // Arrays may be stored column-major.
                pixels: images.as_standard_layout().into_owned().into_raw_vec_and_offset().0,
                targets: labels.rows().into_iter().map(|row| coding.targets(row.iter().copied())).collect(),
            })
            .collect();
        problems.or(Self { height, width, channels, labels: coding.labels(), parts })
    }
}

fn images(npz: &mut NpzReader<File>, name: &str) -> Result<Images, String> {
    let images: Images = array(npz, name)?;
    match *images.shape() {
        [_, _, _] | [_, _, _, 3] => Ok(images),
        ref shape => Err(format!("{name} has shape {shape:?}, not N×H×W or N×H×W×3")),
    }
}

/// Reads labels of any integer type as a matrix; a vector is one column.
fn labels(npz: &mut NpzReader<File>, name: &str) -> Result<Array2<i64>, String> {
    let labels = array::<u8>(npz, name)
        .map(|labels| labels.mapv(i64::from))
        .or_else(|_| array::<i8>(npz, name).map(|labels| labels.mapv(i64::from)))
        .or_else(|_| array::<i32>(npz, name).map(|labels| labels.mapv(i64::from)))
        .or_else(|_| array::<i64>(npz, name))?;
    let shape = labels.shape().to_vec();
    let (rows, columns) = match shape[..] {
        [rows] => (rows, 1),
        [rows, columns] => (rows, columns),
        _ => return Err(format!("{name} has shape {shape:?}, not N×L")),
    };
    let values = labels.iter().copied().collect();
    Array2::from_shape_vec((rows, columns), values).map_err(|error| format!("{name}: {error}"))
}

fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> Result<ArrayD<T>, String> {
    npz.by_name::<OwnedRepr<T>, _>(name).map_err(|error| match error {
        ReadNpzError::Npy(error) => format!("{name} cannot be read: {error}"),
        error => format!("{name}: {error}"),
    })
}

/// Compares the parts with the first one.
fn check_shapes(raw: &[(Part, Images, Array2<i64>)], problems: &mut Problems) {
    let Some((first_part, first_images, first_labels)) = raw.first() else { return };
    for (part, images, labels) in raw {
        let (part, first) = (part_name(*part), part_name(*first_part));
        if images.is_empty() {
            problems.add(format!("{part}_images is empty"));
        }
        if images.shape()[1..] != first_images.shape()[1..] {
            problems.add(format!(
                "{part}_images holds images of shape {:?}, {first}_images of shape {:?}",
                &images.shape()[1..],
                &first_images.shape()[1..]
            ));
        }
        if labels.ncols() != first_labels.ncols() || labels.ncols() == 0 {
            problems.add(format!(
                "{part}_labels has {} columns, {first}_labels {}",
                labels.ncols(),
                first_labels.ncols()
            ));
        }
    }
}

/// Most images of a set; the largest of MedMNIST has 236,386. An image of one pixel costs a byte in the file, and a
/// record in memory.
const MOST_IMAGES: usize = 1 << 22;
/// Most values of labels of all images: with classes, one byte in the file becomes as many as there are classes.
const MOST_TARGETS: usize = 1 << 27;
/// Most classes of a set; each becomes a label, of which every image has a value.
const MOST_CLASSES: i64 = 10_000;

/// What the numbers of the label arrays mean.
enum Coding {
    /// Columns of 0 and 1, one per label.
    Binary(usize),
    /// One column of class numbers below the given one.
    Classes(usize),
}

impl Coding {
    /// Looks at all label values.
    fn of(raw: &[(Part, Images, Array2<i64>)], problems: &mut Problems) -> Self {
        let columns = raw[0].2.ncols();
        let largest = raw.iter().flat_map(|(_, _, labels)| labels).max().copied().unwrap_or(0);
        let allowed = if columns == 1 { largest.clamp(1, MOST_CLASSES - 1) } else { 1 };
        for (part, _, labels) in raw {
            for ((row, column), value) in labels.indexed_iter() {
                if !(0..=allowed).contains(value) {
                    let part = part_name(*part);
                    let wanted = if allowed == 1 { "0 or 1".to_owned() } else { format!("0 to {allowed}") };
                    problems.add(format!("{part}_labels[{row}, {column}] is {value}, not {wanted}"));
                }
            }
        }
        match usize::try_from(largest.min(allowed)) {
            Ok(largest) if columns == 1 && largest > 1 => Self::Classes(largest + 1),
            _ => Self::Binary(columns),
        }
    }

    fn labels(&self) -> usize {
        match *self {
            Self::Binary(labels) | Self::Classes(labels) => labels,
        }
    }

    fn targets(&self, row: impl IntoIterator<Item = i64>) -> Vec<Target> {
        let target = |positive| if positive { Target::Positive } else { Target::Negative };
        let mut row = row.into_iter();
        match *self {
            Self::Binary(_) => row.map(|value| target(value == 1)).collect(),
            Self::Classes(classes) => {
                let class = row.next();
                (0..classes).map(|i| target(i64::try_from(i).ok() == class)).collect()
            }
        }
    }
}
