//! Small pictures as PNG in data URLs.

use base64::{Engine as _, prelude::BASE64_STANDARD};

/// The picture of `rows` × `columns` pixels of four bytes each: red, green, blue, opacity. Nothing, if the
/// sizes do not fit.
pub(crate) fn url(rgba: &[u8], rows: usize, columns: usize) -> Option<String> {
    let (width, height) = (u32::try_from(columns).ok()?, u32::try_from(rows).ok()?);
    if rows.checked_mul(columns)?.checked_mul(4)? != rgba.len() {
        return None;
    }
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(rgba).ok()?;
    writer.finish().ok()?;
    Some(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes)))
}

/// Bytes from base64; nothing, if they are not `length` bytes.
pub(crate) fn bytes(text: &str, length: usize) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok().filter(|bytes| bytes.len() == length)
}

/// Grey values, opaque.
pub(crate) fn grey(values: &[u8]) -> Vec<u8> {
    values.iter().flat_map(|value| [*value, *value, *value, 255]).collect()
}

/// Values as heat: the larger, the more orange and the less transparent.
pub(crate) fn heat(values: &[u8]) -> Vec<u8> {
    values.iter().flat_map(|value| [255, 110, 0, (u16::from(*value) * 7 / 10) as u8]).collect()
}

/// The border of what is not 0 in a square of `side`, in a colour that grey images do not have.
pub(crate) fn outline(values: &[u8], side: usize) -> Vec<u8> {
    let on = |row: usize, column: usize| values[row * side + column] != 0;
    let is_edge = |row: usize, column: usize| {
        on(row, column)
            && (row == 0
                || column == 0
                || row + 1 == side
                || column + 1 == side
                || !on(row - 1, column)
                || !on(row + 1, column)
                || !on(row, column - 1)
                || !on(row, column + 1))
    };
    let places = (0..side).flat_map(|row| (0..side).map(move |column| (row, column)));
    places.flat_map(|(row, column)| if is_edge(row, column) { [0, 220, 255, 255] } else { [0; 4] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_reads_back_as_it_was() {
        let rgba = grey(&[0, 64, 128, 255, 7, 9]);
        let url = url(&rgba, 2, 3).unwrap();
        let png = BASE64_STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut back = vec![0; 24];
        let info = reader.next_frame(&mut back).unwrap();
        assert_eq!((info.width, info.height, back), (3, 2, rgba));
        assert_eq!(super::url(&[0; 4], 2, 2), None);
    }

    #[test]
    fn an_outline_is_the_border_alone() {
        let mut values = vec![1; 25];
        values[0] = 0;
        let edge: Vec<bool> = outline(&values, 5).chunks(4).map(|pixel| pixel[3] > 0).collect();
        let inside = edge.iter().enumerate().filter(|(_, edge)| !**edge).map(|(place, _)| place);
        assert_eq!(inside.collect::<Vec<_>>(), [0, 6, 7, 8, 11, 12, 13, 16, 17, 18]);
    }

    #[test]
    fn heat_grows_with_the_value() {
        let opacity: Vec<u8> = heat(&[0, 100, 255]).chunks(4).map(|pixel| pixel[3]).collect();
        assert!(opacity[0] == 0 && opacity[1] < opacity[2] && opacity[2] < 255);
    }
}
