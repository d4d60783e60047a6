//! What the header of an image says: of its pixels, and of its patient.

use std::collections::BTreeMap;

use crate::{
    codec::Shape,
    config::Attribute,
    file::{Elements, Tag},
};

const STUDY_DATE: Tag = 0x0008_0020;
const SOP_INSTANCE: Tag = 0x0008_0018;
const ACCESSION: Tag = 0x0008_0050;
const MODALITY: Tag = 0x0008_0060;
const MANUFACTURER: Tag = 0x0008_0070;
const MODEL: Tag = 0x0008_1090;
const PATIENT_ID: Tag = 0x0010_0020;
const BIRTH_DATE: Tag = 0x0010_0030;
const SEX: Tag = 0x0010_0040;
const AGE: Tag = 0x0010_1010;
const BODY_PART: Tag = 0x0018_0015;
const VIEW: Tag = 0x0018_5101;
const STUDY_INSTANCE: Tag = 0x0020_000D;
const LATERALITY: Tag = 0x0020_0060;
const IMAGE_LATERALITY: Tag = 0x0020_0062;
const SAMPLES: Tag = 0x0028_0002;
const PHOTOMETRIC: Tag = 0x0028_0004;
const FRAMES: Tag = 0x0028_0008;
const ROWS: Tag = 0x0028_0010;
const COLUMNS: Tag = 0x0028_0011;
const ALLOCATED: Tag = 0x0028_0100;
const STORED: Tag = 0x0028_0101;
const HIGH_BIT: Tag = 0x0028_0102;
const REPRESENTATION: Tag = 0x0028_0103;
const PADDING: Tag = 0x0028_0120;
const PADDING_LIMIT: Tag = 0x0028_0121;
const BURNT_IN: Tag = 0x0028_0301;
const CENTER: Tag = 0x0028_1050;
const WIDTH: Tag = 0x0028_1051;
const INTERCEPT: Tag = 0x0028_1052;
const SLOPE: Tag = 0x0028_1053;
const VOI_FUNCTION: Tag = 0x0028_1056;
const MODALITY_LUT: Tag = 0x0028_3000;

/// Pixels of an image at most; the largest detectors have 30 million.
const MAX_PIXELS: usize = 1 << 26;

/// Who and what an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) sop: Option<String>,
    pub(crate) study: Option<String>,
    pub(crate) accession: Option<String>,
    pub(crate) patient: Option<String>,
    /// By name; blank ones are `unknown`.
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) burnt_in: bool,
}

impl Identity {
    pub(crate) fn of(elements: &Elements<'_>, attributes: &[Attribute]) -> Self {
        let burnt_in = elements.text(BURNT_IN);
        let value = |attribute: Attribute| match attribute {
            Attribute::Laterality => elements.text(IMAGE_LATERALITY).or_else(|| elements.text(LATERALITY)),
            Attribute::View => elements.text(VIEW),
            Attribute::BodyPart => elements.text(BODY_PART),
            Attribute::Sex => elements.text(SEX),
            Attribute::AgeBand => age(elements).map(age_band),
            Attribute::Scanner => {
                let names = [MANUFACTURER, MODEL].into_iter().filter_map(|tag| elements.text(tag));
                Some(names.collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty())
            }
            Attribute::Modality => elements.text(MODALITY),
            Attribute::BurntIn => burnt_in.clone().map(|answer| answer.to_lowercase()),
        };
        let named = |&attribute: &Attribute| {
            (attribute.name().to_owned(), value(attribute).unwrap_or_else(|| "unknown".to_owned()))
        };
        Self {
            sop: elements.text(SOP_INSTANCE),
            study: elements.text(STUDY_INSTANCE),
            accession: elements.text(ACCESSION),
            patient: elements.text(PATIENT_ID),
            attributes: attributes.iter().map(named).collect(),
            burnt_in: burnt_in.is_some_and(|answer| answer.eq_ignore_ascii_case("yes")),
        }
    }
}

/// Age in years at the study: as stated (AS, such as `034Y`), else from the dates.
fn age(elements: &Elements<'_>) -> Option<u32> {
    if let Some(text) = elements.text(AGE) {
        let (number, unit) = text.split_at_checked(text.len() - 1)?;
        let number: u32 = number.parse().ok()?;
        return match unit {
            "Y" => Some(number),
            "M" => Some(number / 12),
            "W" => Some(number / 52),
            "D" => Some(number / 365),
            _ => None,
        };
    }
    let date = |tag| elements.text(tag)?.get(..8)?.parse::<u32>().ok();
    // As YYYYMMDD, whole years are the difference's ten-thousands.
    Some(date(STUDY_DATE)?.checked_sub(date(BIRTH_DATE)?)? / 10_000)
}

fn age_band(years: u32) -> String {
    match years / 10 * 10 {
        90.. => "90+".to_owned(),
        decade => format!("{decade}-{}", decade + 9),
    }
}

/// Which end of the stored values is white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Photometric {
    /// MONOCHROME1: the least value is white.
    Inverted,
    /// MONOCHROME2: the least value is black.
    Upright,
}

/// Form of a window (PS3.3, C.11.2.1.2 and C.11.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WindowFunction {
    Linear,
    LinearExact,
    Sigmoid,
}

/// A window of rescaled values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    pub(crate) center: f64,
    pub(crate) width: f64,
    pub(crate) function: WindowFunction,
}

/// What it takes to show the pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PixelHeader {
    pub(crate) shape: Shape,
    pub(crate) frames: usize,
    pub(crate) photometric: Photometric,
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
    /// The first one, or why it cannot be used: not every intensity needs it.
    pub(crate) window: Result<Option<Window>, &'static str>,
    /// First and last stored value that mean "no image here".
    pub(crate) padding: Option<(i32, i32)>,
}

/// A header whose pixels cannot be shown rightly.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("says nothing of its {0}")]
    Missing(&'static str),
    #[error("has {0}, which is not supported: nashost reads grey images of 8 or 16 bit")]
    Unsupported(String),
    #[error("has an impossible header: {0}")]
    Impossible(String),
}

impl PixelHeader {
    pub(crate) fn of(elements: &Elements<'_>, big_endian: bool) -> Result<Self, HeaderError> {
        use HeaderError::{Impossible, Missing, Unsupported};
        let number = |tag, what| elements.u16(tag).ok_or(Missing(what));
        let (rows, columns) = (number(ROWS, "rows")?.into(), number(COLUMNS, "columns")?.into());
        if rows == 0 || columns == 0 || rows * columns > MAX_PIXELS {
            return Err(Impossible(format!("{rows} × {columns} pixels")));
        }
        let photometric = elements.text(PHOTOMETRIC).ok_or(Missing("photometric interpretation"))?;
        let photometric = match photometric.as_str() {
            "MONOCHROME1" => Photometric::Inverted,
            "MONOCHROME2" => Photometric::Upright,
            other => {
                let name: String = other.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                return Err(Unsupported(format!("the photometric interpretation {name}")));
            }
        };
        let samples = elements.u16(SAMPLES).unwrap_or(1);
        if samples != 1 {
            return Err(Unsupported(format!("{samples} samples per pixel")));
        }
        let allocated = number(ALLOCATED, "allocated bits")?;
        let stored = number(STORED, "stored bits")?;
        if !matches!(allocated, 8 | 16) {
            return Err(Unsupported(format!("{allocated} bits allocated")));
        }
        if stored == 0 || stored > allocated {
            return Err(Impossible(format!("{stored} stored of {allocated} allocated bits")));
        }
        let high = elements.u16(HIGH_BIT).unwrap_or(stored - 1);
        if high != stored - 1 {
            return Err(Unsupported(format!("{stored} stored bits below bit {high}")));
        }
        if elements.bytes(MODALITY_LUT).is_some() {
            return Err(Unsupported("a modality lookup table".to_owned()));
        }
        let signed = elements.u16(REPRESENTATION).unwrap_or(0) == 1;
        let (slope, intercept) = rescale(elements)?;
        Ok(Self {
            shape: Shape { rows, columns, allocated, stored, signed, big_endian },
            frames: frames(elements)?,
            photometric,
            slope,
            intercept,
            window: window(elements),
            padding: padding(elements, signed),
        })
    }
}

fn frames(elements: &Elements<'_>) -> Result<usize, HeaderError> {
    let Some(text) = elements.text(FRAMES) else { return Ok(1) };
    match text.parse() {
        Ok(frames) if frames > 0 => Ok(frames),
        _ => Err(HeaderError::Impossible("its number of frames".to_owned())),
    }
}

fn rescale(elements: &Elements<'_>) -> Result<(f64, f64), HeaderError> {
    let first = |tag, default: f64| match elements.bytes(tag) {
        None => Some(default),
        Some(_) => elements.number(tag),
    };
    match (first(SLOPE, 1.0), first(INTERCEPT, 0.0)) {
        (Some(slope), Some(intercept)) if slope != 0.0 => Ok((slope, intercept)),
        _ => Err(HeaderError::Impossible("its rescale slope or intercept".to_owned())),
    }
}

fn window(elements: &Elements<'_>) -> Result<Option<Window>, &'static str> {
    if elements.text(CENTER).is_none() && elements.text(WIDTH).is_none() {
        return Ok(None);
    }
    let (Some(center), Some(width)) = (elements.number(CENTER), elements.number(WIDTH)) else {
        return Err("its centre and width are not two numbers");
    };
    let function = match elements.text(VOI_FUNCTION).as_deref() {
        None | Some("LINEAR") => WindowFunction::Linear,
        Some("LINEAR_EXACT") => WindowFunction::LinearExact,
        Some("SIGMOID") => WindowFunction::Sigmoid,
        Some(_) => return Err("its form is none of LINEAR, LINEAR_EXACT and SIGMOID"),
    };
    let least = if function == WindowFunction::Linear { 1.0 } else { f64::MIN_POSITIVE };
    if width < least {
        return Err("its width is too small");
    }
    Ok(Some(Window { center, width, function }))
}

fn padding(elements: &Elements<'_>, signed: bool) -> Option<(i32, i32)> {
    let value = |tag| {
        let bits = elements.u16(tag)?;
        Some(if signed { i32::from(bits.cast_signed()) } else { bits.into() })
    };
    let padding = value(PADDING)?;
    let limit = value(PADDING_LIMIT).unwrap_or(padding);
    Some((padding.min(limit), padding.max(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Element;

    fn band(elements: &[(Tag, &[u8])]) -> String {
        let bytes: Vec<u8> = elements.iter().flat_map(|(tag, value)| Element::text(*tag, value)).collect();
        let (elements, _) = Elements::read(&bytes, crate::file::Encoding::EXPLICIT_LITTLE).unwrap();
        Identity::of(&elements, &[Attribute::AgeBand]).attributes["age_band"].clone()
    }

    #[test]
    fn ages_become_decades() {
        assert_eq!(band(&[(AGE, b"034Y")]), "30-39");
        assert_eq!(band(&[(AGE, b"118M")]), "0-9");
        assert_eq!(band(&[(AGE, b"101Y")]), "90+");
        assert_eq!(band(&[(STUDY_DATE, b"20200101"), (BIRTH_DATE, b"19900102")]), "20-29");
        assert_eq!(band(&[(STUDY_DATE, b"20200102"), (BIRTH_DATE, b"19900102")]), "30-39");
        assert_eq!(band(&[(AGE, b"old ")]), "unknown");
        assert_eq!(band(&[]), "unknown");
    }
}
