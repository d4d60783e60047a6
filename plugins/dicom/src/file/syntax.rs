//! Transfer syntaxes (DICOM PS3.5, annex A, and PS3.6, annex A).

use super::elements::Encoding;

/// How pixels are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Native,
    Rle,
    /// Baseline, extended and lossless; the stream says which.
    Jpeg,
    JpegLs,
    Jpeg2000,
}

/// One transfer syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Syntax {
    pub(crate) encoding: Encoding,
    pub(crate) codec: Codec,
    /// Everything behind the file's meta information is deflated.
    pub(crate) deflated: bool,
}

impl Syntax {
    /// The syntax of a UID, if it is known.
    pub(crate) fn of(uid: &str) -> Option<Self> {
        let native = |encoding| Self { encoding, codec: Codec::Native, deflated: false };
        let compressed = |codec| Self { encoding: Encoding::EXPLICIT_LITTLE, codec, deflated: false };
        Some(match uid {
            "1.2.840.10008.1.2" => native(Encoding::IMPLICIT_LITTLE),
            "1.2.840.10008.1.2.1" => native(Encoding::EXPLICIT_LITTLE),
            "1.2.840.10008.1.2.2" => native(Encoding::EXPLICIT_BIG),
            "1.2.840.10008.1.2.1.99" => Self { deflated: true, ..native(Encoding::EXPLICIT_LITTLE) },
            "1.2.840.10008.1.2.5" => compressed(Codec::Rle),
            "1.2.840.10008.1.2.4.50"
            | "1.2.840.10008.1.2.4.51"
            | "1.2.840.10008.1.2.4.57"
            | "1.2.840.10008.1.2.4.70" => compressed(Codec::Jpeg),
            "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => compressed(Codec::JpegLs),
            "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => compressed(Codec::Jpeg2000),
            _ => return None,
        })
    }
}
