//! DICOM files made by tests, in explicit little endian.

use crate::file::Tag;

/// Writes single elements.
pub(crate) struct Element;

impl Element {
    fn write(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((tag >> 16) as u16).to_le_bytes());
        bytes.extend((tag as u16).to_le_bytes());
        bytes.extend(vr);
        if vr == b"OW" || vr == b"OB" || vr == b"SQ" {
            bytes.extend([0; 2]);
            bytes.extend((value.len() as u32).to_le_bytes());
        } else {
            bytes.extend((value.len() as u16).to_le_bytes());
        }
        bytes.extend(value);
        bytes
    }

    /// A text of even length.
    pub(crate) fn text(tag: Tag, value: &[u8]) -> Vec<u8> {
        let padded = [value, if value.len() % 2 == 1 { b" " } else { b"" }].concat();
        Self::write(tag, b"LO", &padded)
    }

    /// A 16-bit number.
    pub(crate) fn number(tag: Tag, value: u16) -> Vec<u8> {
        Self::write(tag, b"US", &value.to_le_bytes())
    }
}

/// A file of one grey image, whose elements can be changed before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) syntax: &'static str,
    pub(crate) sop: String,
    pub(crate) patient: String,
    /// By tag, in place of what the sample has.
    pub(crate) changes: Vec<(Tag, Vec<u8>)>,
    pub(crate) pixels: Vec<u16>,
}

impl Sample {
    /// An image of 2 × 3 pixels and 12 bit.
    pub(crate) fn new(sop: &str, patient: &str) -> Self {
        Self {
            syntax: "1.2.840.10008.1.2.1",
            sop: sop.to_owned(),
            patient: patient.to_owned(),
            changes: Vec::new(),
            pixels: vec![0, 819, 1638, 2457, 3276, 4095],
        }
    }

    pub(crate) fn with_text(mut self, tag: Tag, value: &str) -> Self {
        self.changes.push((tag, Element::text(tag, value.as_bytes())));
        self
    }

    pub(crate) fn with_number(mut self, tag: Tag, value: u16) -> Self {
        self.changes.push((tag, Element::number(tag, value)));
        self
    }

    pub(crate) fn without(mut self, tag: Tag) -> Self {
        self.changes.push((tag, Vec::new()));
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut elements: std::collections::BTreeMap<Tag, Vec<u8>> = [
            (0x0008_0018, self.sop.as_str()),
            (0x0008_0050, "ACC7"),
            (0x0010_0020, &self.patient),
            (0x0020_000D, "1.2.3.99"),
            (0x0028_0004, "MONOCHROME2"),
        ]
        .map(|(tag, text)| (tag, Element::text(tag, text.as_bytes())))
        .into();
        for (tag, number) in
            [(0x0028_0010, 2), (0x0028_0011, 3), (0x0028_0100, 16), (0x0028_0101, 12), (0x0028_0102, 11)]
        {
            elements.insert(tag, Element::number(tag, number));
        }
        elements.extend(self.changes.iter().cloned());
        let words: Vec<u8> = self.pixels.iter().flat_map(|value| value.to_le_bytes()).collect();
        elements.entry(0x7FE0_0010).or_insert_with(|| Element::write(0x7FE0_0010, b"OW", &words));
        let mut bytes = vec![0; 128];
        bytes.extend(b"DICM");
        bytes.extend(Element::text(0x0002_0010, self.syntax.as_bytes()));
        bytes.extend(elements.into_values().flatten());
        bytes
    }
}
