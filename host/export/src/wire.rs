//! The wire format of protocol buffers, as far as it is written here.
//!
//! A hand-written writer of one page, because a derive would bring a second set of procedural macros into
//! every build.

/// Fields of a message, encoded.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<u8>);

/// Wire types.
const VARINT: u64 = 0;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Fields {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// An integer; negative ones take ten bytes.
    pub(crate) fn int(&mut self, field: u64, value: i64) {
        self.tag(field, VARINT);
        self.varint(value.cast_unsigned());
    }

    pub(crate) fn float(&mut self, field: u64, value: f32) {
        self.tag(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
    }

    pub(crate) fn bytes(&mut self, field: u64, value: &[u8]) {
        self.tag(field, LENGTH);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    pub(crate) fn message(&mut self, field: u64, value: Self) {
        self.bytes(field, &value.0);
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what is written here: fields with their numbers, in order.
#[cfg(test)]
pub(crate) fn read(mut bytes: &[u8]) -> Vec<(u64, Value<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (&first, rest) = bytes.split_first().expect("a whole varint");
            *bytes = rest;
            value |= u64::from(first & 0x7F) << shift;
            if first < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            VARINT => Value::Int(varint(&mut bytes).cast_signed()),
            LENGTH => {
                let length = varint(&mut bytes) as usize;
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            FOUR_BYTES => {
                let (value, rest) = bytes.split_first_chunk().expect("four bytes");
                bytes = rest;
                Value::Float(f32::from_le_bytes(*value))
            }
            other => panic!("wire type {other}"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

/// A value that was read.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Int(i64),
    Float(f32),
    Bytes(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the format's own documentation: 150 in field 1, "testing" in field 2.
    #[test]
    fn bytes_are_those_of_the_documentation() {
        let mut fields = Fields::default();
        fields.int(1, 150);
        fields.bytes(2, b"testing");
        assert_eq!(fields.into_bytes(), b"\x08\x96\x01\x12\x07testing");
    }

    #[test]
    fn values_come_back() {
        let mut inner = Fields::default();
        inner.int(1, -1);
        inner.float(20, 0.1);
        let mut fields = Fields::default();
        fields.int(3, i64::MAX);
        fields.message(15, inner);
        let bytes = fields.into_bytes();
        let read_back = read(&bytes);
        assert_eq!(read_back[0], (3, Value::Int(i64::MAX)));
        let (15, Value::Bytes(inner)) = read_back[1] else { panic!("{read_back:?}") };
        assert_eq!(read(inner), [(1, Value::Int(-1)), (20, Value::Float(0.1))]);
    }
}
