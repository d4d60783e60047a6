//! What the arrays of an npz file claim to hold, looked at before memory is set aside for it.

use std::{fs::File, io::Read, path::Path};

use zip::ZipArchive;

/// Arrays up to this many bytes are read whatever they were packed to.
const SMALL: u64 = 64 << 20;
/// Larger ones must have been packed to no less than this part of their size. Images come to a half or so; bytes
/// that are all the same come to a thousandth.
const LEAST_PART: u64 = 200;
/// A header of the format's first version is shorter.
const LONGEST_HEADER: u64 = 1 << 16;

/// Refuses the array `name` of the npz file `path` if its header claims more than the file can hold.
pub(super) fn check(path: &Path, name: &str) -> Result<(), String> {
    let length = path.metadata().map_err(|e| e.to_string())?.len();
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut zip = ZipArchive::new(file).map_err(|e| e.to_string())?;
    // What is missing, the reader says better.
    let Ok(mut entry) = zip.by_name(&format!("{name}.npy")) else { return Ok(()) };
    let packed = entry.compressed_size().min(length);
    let size = entry.size();
    if size > SMALL && size / LEAST_PART > packed {
        return Err(format!("{name} is refused: {packed} bytes that claim to be {size} are no images"));
    }
    let Some(elements) = elements(&mut entry) else { return Ok(()) };
    if elements > u128::from(size) {
        return Err(format!("{name} is refused: its header claims {elements} values in {size} bytes"));
    }
    Ok(())
}

/// Returns the number of values that the header of an npy file claims; `None` if it has none that can be read.
fn elements(entry: &mut impl Read) -> Option<u128> {
    let mut start = [0; 10];
    entry.read_exact(&mut start).ok()?;
    let mut header = Vec::new();
    entry.take(LONGEST_HEADER).read_to_end(&mut header).ok()?;
    let text = String::from_utf8_lossy(&header);
    let (_, shape) = text.split_once("'shape'")?;
    let (_, shape) = shape.split_once('(')?;
    let (shape, _) = shape.split_once(')')?;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    // A side that is no number is the reader's to refuse.
    sides
        .map(|side| side.parse::<u64>().ok())
        .try_fold(1_u128, |product, side| Some(product.saturating_mul(u128::from(side?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(header: &str) -> Option<u128> {
        let mut bytes = b"\x93NUMPY\x01\x00\x00\x00".to_vec();
        bytes.extend_from_slice(header.as_bytes());
        elements(&mut &*bytes)
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        let header =
            |shape: &str| format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}   \n");
        assert_eq!(claimed(&header("(4, 28, 28)")), Some(4 * 28 * 28));
        assert_eq!(claimed(&header("(5,)")), Some(5));
        assert_eq!(claimed(&header("()")), Some(1));
        let most = u64::MAX;
        assert_eq!(claimed(&header(&format!("({most}, {most}, {most})"))), Some(u128::MAX));
        assert_eq!(claimed(&header("(4, x)")), None);
        assert_eq!(claimed("nothing"), None);
    }
}
