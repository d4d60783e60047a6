//! The best structures of a search.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize, Serializer};

use super::{Fingerprints, Ranked};
use crate::metric::Direction;

/// The best structures that a search has met, best first; of equal ones the earlier.
///
/// Each structure stands here once, by the first value that it came with: by the best of several draws of a
/// noisy metric, those that were drawn most often would lead.
///
/// It keeps no more than [`HallOfFame::SIZE`], so that the memory and the checkpoints of a search do not
/// grow with its length. A structure that had to leave is forgotten: met again, it is new.
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
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(from = "Vec<Ranked>")]
pub struct HallOfFame {
    best: Vec<Ranked>,
    /// Those of `best`.
    known: Fingerprints,
}

impl HallOfFame {
    /// Structures that are kept.
    pub const SIZE: usize = 1000;

    /// Takes up `ranked` if its structure is not here yet and among the best by `direction`, which is the
    /// same at every call.
    pub fn insert(&mut self, direction: Direction, ranked: Ranked) {
        let better_or_equal = |known: &Ranked| {
            let order = known.value.total_cmp(&ranked.value);
            match direction {
                Direction::Higher => order != Ordering::Less,
                Direction::Lower => order != Ordering::Greater,
            }
        };
        let place = self.best.partition_point(better_or_equal);
        if place < Self::SIZE && self.known.insert(&ranked.spec) {
            self.best.insert(place, ranked);
            for left in self.best.drain(Self::SIZE.min(self.best.len())..) {
                self.known.remove(&left.spec);
            }
        }
    }

    /// The structures, best first.
    pub fn ranked(&self) -> &[Ranked] {
        &self.best
    }
}

/// In a checkpoint it is the list alone.
impl Serialize for HallOfFame {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.best.serialize(serializer)
    }
}

impl From<Vec<Ranked>> for HallOfFame {
    /// Takes a list, best first, as it was saved; of entries of one structure it keeps the first.
    fn from(mut best: Vec<Ranked>) -> Self {
        let mut known = Fingerprints::default();
        best.retain(|ranked| known.insert(&ranked.spec));
        Self { best, known }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn ranked(spec: u64, value: f64, id: u64) -> Ranked {
        Ranked { spec: spec.into(), value, id, reason: String::new() }
    }

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

        #[test]
        fn it_goes_on_from_a_checkpoint_as_if_it_had_not_stopped(
            met in prop::collection::vec((0_u64..1200, -20_i8..20), 0..2500), at in 0_usize..2500,
        ) {
            let mut whole = HallOfFame::default();
            let mut stopped = HallOfFame::default();
            for (id, (spec, value)) in met.into_iter().enumerate() {
                if id == at {
                    stopped = serde_json::from_value(serde_json::to_value(&stopped).unwrap()).unwrap();
                }
                for best in [&mut whole, &mut stopped] {
                    best.insert(Direction::Higher, ranked(spec, f64::from(value), id as u64));
                }
            }
            prop_assert_eq!(whole, stopped);
        }
    }

    #[test]
    fn a_structure_stands_once_by_its_first_value() {
        for direction in [Direction::Higher, Direction::Lower] {
            let mut best = HallOfFame::default();
            for (id, (spec, value)) in [(7, 0.5), (8, 0.4), (7, 0.9), (7, 0.1)].into_iter().enumerate() {
                best.insert(direction, ranked(spec, value, id as u64));
            }
            let mut expected = vec![ranked(7, 0.5, 0), ranked(8, 0.4, 1)];
            if direction == Direction::Lower {
                expected.reverse();
            }
            assert_eq!(best.ranked(), expected);
        }
    }

    #[test]
    fn one_that_had_to_leave_can_come_back() {
        let mut best = HallOfFame::default();
        let size = HallOfFame::SIZE as u64;
        for id in 0..=size {
            best.insert(Direction::Higher, ranked(id, id as f64, id));
        }
        assert!(best.ranked().iter().all(|ranked| ranked.spec != json!(0)));
        best.insert(Direction::Higher, ranked(0, 2.0 * size as f64, size + 1));
        assert_eq!(best.ranked()[0].spec, json!(0));
        assert_eq!(best.ranked().len(), HallOfFame::SIZE);
    }

    #[test]
    fn a_saved_list_with_a_structure_twice_is_read_with_its_first_entry() {
        let saved = json!([ranked(1, 0.9, 4), ranked(2, 0.7, 0), ranked(1, 0.5, 1)]);
        let best: HallOfFame = serde_json::from_value(saved).unwrap();
        assert_eq!(best.ranked(), [ranked(1, 0.9, 4), ranked(2, 0.7, 0)]);
    }
}
