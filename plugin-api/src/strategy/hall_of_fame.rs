//! The best structures of a search.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Ranked;
use crate::metric::Direction;

/// The best structures that a search has met, best first; of equal ones the earlier.
///
/// It keeps no more than [`HallOfFame::SIZE`], so that the memory and the checkpoints of a search do not
/// grow with its length.
///
/// ```
/// use nashost_plugin_api::{metric::Direction, strategy::{HallOfFame, Ranked}};
/// use serde_json::json;
///
/// let mut best = HallOfFame::default();
/// for (id, value) in [(0, 0.5), (1, 0.9), (2, 0.5)] {
///     let ranked = Ranked { spec: json!({"width": id}), value, id, reason: "random".to_owned() };
///     best.insert(Direction::Higher, ranked);
/// }
/// let ids: Vec<u64> = best.ranked().iter().map(|ranked| ranked.id).collect();
/// assert_eq!(ids, [1, 0, 2]);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HallOfFame(Vec<Ranked>);

impl HallOfFame {
    /// Structures that are kept.
    pub const SIZE: usize = 1000;

    /// Takes up `ranked` if it is among the best by `direction`, which is the same at every call.
    pub fn insert(&mut self, direction: Direction, ranked: Ranked) {
        let better_or_equal = |known: &Ranked| {
            let order = known.value.total_cmp(&ranked.value);
            match direction {
                Direction::Higher => order != Ordering::Less,
                Direction::Lower => order != Ordering::Greater,
            }
        };
        let place = self.0.partition_point(better_or_equal);
        if place < Self::SIZE {
            self.0.insert(place, ranked);
            self.0.truncate(Self::SIZE);
        }
    }

    /// The structures, best first.
    pub fn ranked(&self) -> &[Ranked] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_the_start_of_the_sorted_list(
            values in prop::collection::vec(-20_i8..20, 0..1500), higher in any::<bool>(),
        ) {
            let direction = if higher { Direction::Higher } else { Direction::Lower };
            let all: Vec<Ranked> = (0..)
                .zip(&values)
                .map(|(id, value)| Ranked {
                    spec: id.into(), value: f64::from(*value), id, reason: String::new(),
                })
                .collect();
            let mut best = HallOfFame::default();
            for ranked in all.clone() {
                best.insert(direction, ranked);
            }
            let mut sorted = all;
            let sign = if higher { -1.0 } else { 1.0 };
            sorted.sort_by(|a, b| (sign * a.value).total_cmp(&(sign * b.value)));
            sorted.truncate(HallOfFame::SIZE);
            prop_assert_eq!(best.ranked(), &sorted[..]);
        }
    }
}
