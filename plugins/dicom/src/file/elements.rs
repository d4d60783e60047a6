//! Data elements (DICOM PS3.5, section 7), read from bytes in memory.
//!
//! Nothing is copied and every length is compared with the bytes that are there, so a file cannot make
//! the reader take more memory than it is long.

use std::collections::BTreeMap;

use super::FileError;

/// Group and element, `0xGGGGEEEE`.
pub(crate) type Tag = u32;

/// (7FE0,0010), where reading ends.
const PIXEL_DATA: Tag = 0x7FE0_0010;
const ITEM: Tag = 0xFFFE_E000;
const ITEM_END: Tag = 0xFFFE_E00D;
const SEQUENCE_END: Tag = 0xFFFE_E0DD;
const UNDEFINED: u32 = u32::MAX;
/// Sequences in sequences; real files have fewer than ten.
const MAX_DEPTH: usize = 32;

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Encoding {
    /// The value representation stands in the file.
    pub(crate) explicit: bool,
    pub(crate) big_endian: bool,
}

impl Encoding {
    pub(crate) const EXPLICIT_LITTLE: Self = Self { explicit: true, big_endian: false };
    pub(crate) const IMPLICIT_LITTLE: Self = Self { explicit: false, big_endian: false };
    pub(crate) const EXPLICIT_BIG: Self = Self { explicit: true, big_endian: true };

    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// The bytes of (7FE0,0010).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PixelBytes<'a> {
    /// Uncompressed; in 16-bit words (OW) or in bytes.
    Native { bytes: &'a [u8], words: bool },
    /// The basic offset table and the fragments behind it.
    Encapsulated { offsets: &'a [u8], fragments: Vec<&'a [u8]> },
}

/// The elements in front of the pixel data, by tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Elements<'a> {
    encoding: Encoding,
    values: BTreeMap<Tag, &'a [u8]>,
}

impl<'a> Elements<'a> {
    /// Reads elements up to the pixel data or the end, and returns what stands from the pixel data on.
    pub(crate) fn read(bytes: &'a [u8], encoding: Encoding) -> Result<(Self, Option<Cursor<'a>>), FileError> {
        let mut cursor = Cursor { rest: bytes, encoding };
        let mut elements = Self { encoding, values: BTreeMap::new() };
        while !cursor.rest.is_empty() {
            let start = cursor;
            let head = cursor.head()?;
            if head.tag == PIXEL_DATA {
                return Ok((elements, Some(start)));
            }
            let value = cursor.value(head, 0)?;
            elements.values.insert(head.tag, value);
        }
        Ok((elements, None))
    }

    /// Reads the elements of one group at the beginning, and returns what follows.
    pub(crate) fn read_group(
        bytes: &'a [u8],
        encoding: Encoding,
        group: u32,
    ) -> Result<(Self, &'a [u8]), FileError> {
        let mut cursor = Cursor { rest: bytes, encoding };
        let mut elements = Self { encoding, values: BTreeMap::new() };
        while cursor.peek_group() == Some(group) {
            let head = cursor.head()?;
            let value = cursor.value(head, 0)?;
            elements.values.insert(head.tag, value);
        }
        Ok((elements, cursor.rest))
    }

    /// Value bytes of an element; of a sequence, its items.
    pub(crate) fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        self.values.get(&tag).copied().filter(|value| !value.is_empty())
    }

    /// The first of an element's 16-bit numbers.
    pub(crate) fn u16(&self, tag: Tag) -> Option<u16> {
        self.bytes(tag)?.first_chunk().map(|bytes| self.encoding.u16(*bytes))
    }

    /// An element's text without padding; none if it is blank. Bytes that are not UTF-8 are read as
    /// Latin-1.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        let bytes = self.bytes(tag)?;
        let text = std::str::from_utf8(bytes)
            .map_or_else(|_| bytes.iter().map(|&byte| char::from(byte)).collect(), str::to_owned);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The first number of an element that holds numbers as text (DS, IS), if it can be read and is finite.
    pub(crate) fn number(&self, tag: Tag) -> Option<f64> {
        self.text(tag)?.split('\\').next()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The items of a sequence, each with its elements.
    pub(crate) fn items(&self, tag: Tag) -> Result<Vec<Self>, FileError> {
        let mut cursor = Cursor { rest: self.bytes(tag).unwrap_or_default(), encoding: self.encoding };
        let mut items = Vec::new();
        while !cursor.rest.is_empty() {
            let (tag, length) = cursor.item()?;
            if tag == SEQUENCE_END {
                break;
            }
            let body = if length == UNDEFINED {
                let start = cursor.rest;
                cursor.skip_item(0)?;
                // Without the delimiter.
                &start[..start.len() - cursor.rest.len() - 8]
            } else {
                cursor.take(length)?
            };
            items.push(Self::read(body, self.encoding)?.0);
        }
        Ok(items)
    }
}

/// Tag, whether the value may hold a sequence, and length.
#[derive(Debug, Clone, Copy)]
struct Head {
    tag: Tag,
    vr: Option<[u8; 2]>,
    length: u32,
}

/// A place between two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    encoding: Encoding,
}

impl<'a> Cursor<'a> {
    /// Reads the pixel data that start here.
    pub(crate) fn pixels(mut self) -> Result<PixelBytes<'a>, FileError> {
        let head = self.head()?;
        if head.length != UNDEFINED {
            // Without a value representation it is OW (PS3.5, annex A.1).
            let words = head.vr.is_none_or(|vr| vr == *b"OW");
            return Ok(PixelBytes::Native { bytes: self.take(head.length)?, words });
        }
        let mut items = Vec::new();
        loop {
            let (tag, length) = self.item()?;
            match tag {
                SEQUENCE_END => break,
                ITEM => items.push(self.take(length)?),
                _ => return Err(FileError::Structure("an unexpected element among the pixel fragments")),
            }
        }
        if items.is_empty() {
            return Err(FileError::Structure("compressed pixel data without an offset table"));
        }
        let fragments = items.split_off(1);
        Ok(PixelBytes::Encapsulated { offsets: items[0], fragments })
    }

    fn take(&mut self, length: u32) -> Result<&'a [u8], FileError> {
        let (taken, rest) = self.rest.split_at_checked(length as usize).ok_or(FileError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FileError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(FileError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn peek_group(&self) -> Option<u32> {
        self.rest.first_chunk().map(|bytes| self.encoding.u16(*bytes).into())
    }

    fn tag(&mut self) -> Result<Tag, FileError> {
        let group = self.encoding.u16(self.array()?);
        let element = self.encoding.u16(self.array()?);
        Ok(u32::from(group) << 16 | u32::from(element))
    }

    /// Tag and length of an item or a delimiter, which have no value representation.
    fn item(&mut self) -> Result<(Tag, u32), FileError> {
        let tag = self.tag()?;
        let length = self.encoding.u32(self.array()?);
        match tag {
            ITEM | ITEM_END | SEQUENCE_END => Ok((tag, length)),
            _ => Err(FileError::Structure("a sequence holds something that is no item")),
        }
    }

    fn head(&mut self) -> Result<Head, FileError> {
        let tag = self.tag()?;
        if tag >> 16 == 0xFFFE {
            return Err(FileError::Structure("an item outside of a sequence"));
        }
        if !self.encoding.explicit {
            return Ok(Head { tag, vr: None, length: self.encoding.u32(self.array()?) });
        }
        let vr: [u8; 2] = self.array()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            return Err(FileError::Structure("an element without a value representation"));
        }
        let length = match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
            | b"UV" => {
                self.array::<2>()?;
                self.encoding.u32(self.array()?)
            }
            _ => self.encoding.u16(self.array()?).into(),
        };
        Ok(Head { tag, vr: Some(vr), length })
    }

    fn value(&mut self, head: Head, depth: usize) -> Result<&'a [u8], FileError> {
        if head.length != UNDEFINED {
            return self.take(head.length);
        }
        let start = self.rest;
        let encoding = self.encoding;
        match head.vr.as_ref() {
            // PS3.5, 6.2.2: an unknown element of undefined length holds implicit little endian.
            Some(b"UN") => self.encoding = Encoding::IMPLICIT_LITTLE,
            Some(b"SQ") | None => {}
            Some(_) => {
                return Err(FileError::Structure("an element of undefined length that is no sequence"));
            }
        }
        self.skip_sequence(depth)?;
        self.encoding = encoding;
        Ok(&start[..start.len() - self.rest.len()])
    }

    fn skip_sequence(&mut self, depth: usize) -> Result<(), FileError> {
        if depth == MAX_DEPTH {
            return Err(FileError::Structure("sequences too deep in each other"));
        }
        loop {
            let (tag, length) = self.item()?;
            match (tag, length) {
                (SEQUENCE_END, _) => return Ok(()),
                (ITEM, UNDEFINED) => self.skip_item(depth)?,
                (ITEM, length) => {
                    self.take(length)?;
                }
                _ => return Err(FileError::Structure("the end of an item that did not begin")),
            }
        }
    }

    fn skip_item(&mut self, depth: usize) -> Result<(), FileError> {
        loop {
            let before = *self;
            if self.tag()? == ITEM_END {
                self.array::<4>()?;
                return Ok(());
            }
            *self = before;
            let head = self.head()?;
            self.value(head, depth + 1)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn implicit(elements: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, value) in elements {
            bytes.extend(((tag >> 16) as u16).to_le_bytes());
            bytes.extend((*tag as u16).to_le_bytes());
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend(*value);
        }
        bytes
    }

    /// A sequence of undefined length with `depth` sequences in it.
    fn nested(depth: usize) -> Vec<u8> {
        let undefined = [0xFF; 4];
        let start = [&[0x08, 0, 0x40, 0x11][..], &undefined, &[0xFE, 0xFF, 0, 0xE0], &undefined].concat();
        let end = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];
        [start.repeat(depth), end.repeat(depth)].concat()
    }

    #[test]
    fn texts_numbers_and_items_are_read() {
        let item = implicit(&[(0x0008_1155, b"1.2\0")]);
        let bytes = implicit(&[
            (0x0008_0060, b"CR"),
            (0x0008_0090, b"M\xFCller"),
            (0x0008_1140, &implicit(&[(ITEM, &item), (ITEM, &item)])),
            (0x0028_0010, &300u16.to_le_bytes()),
            (0x0028_1050, b"-2.5 \\?"),
            (0x0028_1051, b"?\\10"),
            (PIXEL_DATA, &[1, 2, 3, 4]),
        ]);
        let (elements, pixels) = Elements::read(&bytes, Encoding::IMPLICIT_LITTLE).unwrap();
        assert_eq!(elements.text(0x0008_0060).unwrap(), "CR");
        assert_eq!(elements.text(0x0008_0090).unwrap(), "Müller");
        assert_eq!(elements.u16(0x0028_0010), Some(300));
        assert_eq!(elements.number(0x0028_1050), Some(-2.5), "only the first is read");
        assert_eq!(elements.number(0x0028_1051), None);
        let items = elements.items(0x0008_1140).unwrap();
        assert_eq!(items.len(), 2);
        assert_eq!(items[1].text(0x0008_1155).unwrap(), "1.2");
        assert_eq!(
            pixels.unwrap().pixels().unwrap(),
            PixelBytes::Native { bytes: &[1, 2, 3, 4], words: true }
        );
    }

    #[test]
    fn nesting_is_skipped_and_bounded() {
        let bytes = [nested(5), implicit(&[(0x0010_0020, b"p1")])].concat();
        let (elements, _) = Elements::read(&bytes, Encoding::IMPLICIT_LITTLE).unwrap();
        assert_eq!(elements.text(0x0010_0020).unwrap(), "p1");
        assert_eq!(elements.items(0x0008_1140).unwrap().len(), 1);
        let deep = Elements::read(&nested(10_000), Encoding::IMPLICIT_LITTLE).unwrap_err();
        assert!(deep.to_string().contains("too deep"), "{deep}");
    }

    #[test]
    fn lengths_beyond_the_end_are_truncations() {
        let mut bytes = implicit(&[(0x0010_0020, b"p1")]);
        bytes[4..8].copy_from_slice(&0xFFFF_FFF0_u32.to_le_bytes());
        assert!(matches!(Elements::read(&bytes, Encoding::IMPLICIT_LITTLE), Err(FileError::Truncated)));
    }
}
