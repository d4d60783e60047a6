//! What the arrays of an npz file claim to hold, looked at before memory is set aside for it.

use std::{fs::File, io::Read, path::Path};

use zip::ZipArchive;

/// Images up to this many bytes are read whatever they were packed to.
pub(super) const SMALL_IMAGES: u64 = 64 << 20;
/// Labels up to this many bytes are. They are fewer, and each takes more memory than its bytes in the file.
pub(super) const SMALL_LABELS: u64 = 4 << 20;
/// Larger ones must have been packed to no less than this part of their size. Images come to a half or so; bytes
/// that are all the same come to a thousandth.
const LEAST_PART: u64 = 200;
/// A header of the format's first version is shorter.
const LONGEST_HEADER: usize = 1 << 16;

/// Refuses the array `name` of the npz file `path` if its header claims more than the file can hold, or if it is
/// larger than `small` bytes and unpacks from next to nothing.
///
/// The header is read here by the letter, as numpy writes it. Python's own grammar, which the reader knows, can say
/// the same in a hundred ways, and each would be a way around this check.
pub(super) fn check(path: &Path, name: &str, small: u64) -> Result<(), String> {
    let length = path.metadata().map_err(|e| e.to_string())?.len();
    let file = File::open(path).map_err(|e| e.to_string())?;
    let mut zip = ZipArchive::new(file).map_err(|e| e.to_string())?;
    // The reader would take it without the ending, and before one with it.
    if zip.index_for_name(name).is_some() {
        return Err(format!("{name} is refused: it stands there without the ending `.npy`"));
    }
    // What is missing, the reader says better.
    let Ok(mut entry) = zip.by_name(&format!("{name}.npy")) else { return Ok(()) };
    let packed = entry.compressed_size().min(length);
    let size = entry.size();
    if size > small && size / LEAST_PART > packed {
        return Err(format!("{name} is refused: {packed} bytes that claim to be {size} are no data"));
    }
    let elements = elements(&mut entry)
        .ok_or_else(|| format!("{name} is refused: it does not begin as numpy's arrays do"))?;
    if elements > u128::from(size) {
        return Err(format!("{name} is refused: its header claims {elements} values in {size} bytes"));
    }
    Ok(())
}

/// Returns the number of values that the header of an npy file claims; `None` if it is not of version 1.0 and
/// exactly of numpy's form, `{'descr': '|u1', 'fortran_order': False, 'shape': (4, 28, 28), }`.
fn elements(entry: &mut impl Read) -> Option<u128> {
    let mut start = [0; 10];
    entry.read_exact(&mut start).ok()?;
    let length = start.strip_prefix(b"\x93NUMPY\x01\x00")?;
    let length = u16::from_le_bytes(*length.first_chunk()?).into();
    let mut header = Vec::with_capacity(LONGEST_HEADER.min(length));
    entry.take(length as u64).read_to_end(&mut header).ok()?;
    let text = str::from_utf8(&header).ok()?;
    let (kind, text) = text.strip_prefix("{'descr': '")?.split_once('\'')?;
    let plain = kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"<>=|".contains(&byte));
    let text = text.strip_prefix(", 'fortran_order': ")?;
    let text = text.strip_prefix("False").or_else(|| text.strip_prefix("True"))?;
    let (shape, end) = text.strip_prefix(", 'shape': (")?.split_once(')')?;
    // numpy leaves a comma at the end, other writers do not.
    if !plain || !matches!(end.trim_end_matches([' ', '\n']), ", }" | "}") {
        return None;
    }
    let sides = shape.strip_suffix(',').unwrap_or(shape);
    if sides.is_empty() {
        return Some(1);
    }
    sides.split(", ").try_fold(1_u128, |product, side| {
        let digits = side.bytes().all(|byte| byte.is_ascii_digit());
        let side = side.parse::<u64>().ok().filter(|_| digits)?;
        Some(product.saturating_mul(u128::from(side)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(header: &str) -> Option<u128> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        elements(&mut &*bytes)
    }

    fn header(shape: &str) -> String {
        format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}   \n")
    }

    #[test]
    fn headers_are_read_as_numpy_writes_them() {
        assert_eq!(claimed(&header("(4, 28, 28)")), Some(4 * 28 * 28));
        assert_eq!(claimed(&header("(5,)")), Some(5));
        assert_eq!(claimed(&header("()")), Some(1));
        assert_eq!(claimed(&header("(5,)").replace(", }", "}")), Some(5));
        let most = u64::MAX;
        assert_eq!(claimed(&header(&format!("({most}, {most}, {most})"))), Some(u128::MAX));
    }

    /// Each of these is a shape to Python's grammar, or may be, and is not read here: so it must be refused.
    #[test]
    fn other_ways_to_write_a_shape_are_no_way_around_the_check() {
        let honest = header("(4, 28, 28)");
        for wrong in [
            header("(4, x)"),
            header("(0xFFFFFFFFFF,)"),
            header("(1_000_000_000_000,)"),
            header("(+4,)"),
            header("(4,,)"),
            header("((4,),)"),
            honest.replace("'shape'", "\"shape\""),
            honest.replace("'shape'", "'sh\\x61pe'"),
            honest.replace(", }", ", 'shape': (1000000000000,), }"),
            honest.replace("'|u1'", "'|u1\\'"),
            honest.replace("'descr'", " 'descr'"),
            "nothing".to_owned(),
            "(".repeat(60_000),
        ] {
            assert_eq!(claimed(&wrong), None, "{wrong:.80}");
        }
        // Version 2.0 has a length of four bytes, for which the reader would set memory aside.
        assert_eq!(elements(&mut &b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr': "[..]), None);
    }
}
