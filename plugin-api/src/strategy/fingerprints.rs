//! Which structures a search has met.

use std::collections::BTreeSet;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{architecture::Spec, seed::derive_seed};

/// Bytes of a fingerprint.
const WIDTH: usize = size_of::<u64>();

/// The structures that a search has met, by 64 bits of each: with a million structures, the chance that
/// one is mistaken for another is below one in ten million.
///
/// In a checkpoint they are base64 of their numbers, half as long as the digits.
///
/// ```
/// use nashost_plugin_api::strategy::Fingerprints;
/// use serde_json::json;
///
/// let mut met = Fingerprints::default();
/// assert!(met.insert(&json!({"width": 8})), "it is new");
/// assert!(!met.insert(&json!({"width": 8})));
/// assert!(met.contains(&json!({"width": 8})));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprints(BTreeSet<u64>);

impl Fingerprints {
    /// Adds `spec`; answers whether it is new.
    pub fn insert(&mut self, spec: &Spec) -> bool {
        self.0.insert(fingerprint(spec))
    }

    /// Takes `spec` out.
    pub(super) fn remove(&mut self, spec: &Spec) {
        self.0.remove(&fingerprint(spec));
    }

    /// Whether `spec` was added.
    pub fn contains(&self, spec: &Spec) -> bool {
        self.0.contains(&fingerprint(spec))
    }
}

/// 64 bits of SHA-256.
fn fingerprint(spec: &Spec) -> u64 {
    derive_seed(0, &spec.to_string())
}

impl Serialize for Fingerprints {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = self.0.iter().flat_map(|fingerprint| fingerprint.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }
}

impl<'de> Deserialize<'de> for Fingerprints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(D::Error::custom)?;
        let (whole, []) = bytes.as_chunks::<WIDTH>() else {
            return Err(D::Error::custom(format!("{} bytes are no fingerprints of {WIDTH}", bytes.len())));
        };
        Ok(Self(whole.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_are_read_back_from_text_of_eleven_bytes_each(set in prop::collection::btree_set(any::<u64>(), 0..50)) {
            let count = set.len();
            let fingerprints = Fingerprints(set);
            let text = serde_json::to_string(&fingerprints).unwrap();
            prop_assert!(text.len() <= count * 32 / 3 + 6, "{text}");
            prop_assert_eq!(serde_json::from_str::<Fingerprints>(&text).unwrap(), fingerprints);
        }
    }

    #[test]
    fn a_number_cut_short_and_other_text_are_refused() {
        for text in ["\"AAAA\"", "\"AAAAAAAAAA==\"", "\"?\"", "[1]"] {
            assert!(serde_json::from_str::<Fingerprints>(text).is_err(), "{text}");
        }
    }
}
