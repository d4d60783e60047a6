//! The pointing game (Zhang et al., IJCV 2018), and its soft form.

/// How a map meets the place of a finding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pointing {
    /// Whether the largest value lies on the finding. A map without any positive value points nowhere.
    pub hit: bool,
    /// Share of the map's sum that lies on the finding (Wang et al., CVPR workshops 2020); none for a map of
    /// zeros.
    pub mass: Option<f64>,
    /// Share of the image that the finding takes: what pointing at random hits.
    pub area: f64,
}

/// Compares a map with the places of a finding, both row-major and of one size. Of equal largest values the
/// first counts.
///
/// # Panics
///
/// Panics if the sizes differ.
pub fn point(map: &[f32], finding: &[bool]) -> Pointing {
    assert_eq!(map.len(), finding.len(), "map and finding have one size");
    let largest = map.iter().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let sum = map.iter().fold(0.0, |sum, value| sum + f64::from(*value));
    let inside = map.iter().zip(finding).filter(|(_, on)| **on);
    let inside = inside.fold(0.0, |sum, (value, _)| sum + f64::from(*value));
    let area = finding.iter().filter(|on| **on).count() as f64 / finding.len().max(1) as f64;
    Pointing {
        hit: largest.is_some_and(|(place, value)| *value > 0.0 && finding[place]),
        mass: (sum > 0.0).then(|| inside / sum),
        area,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_value_decides_a_hit_and_the_sum_the_mass() {
        let finding = [true, false, false, true];
        let found = point(&[1.0, 2.0, 0.0, 1.0], &finding);
        assert_eq!(found, Pointing { hit: false, mass: Some(0.5), area: 0.5 });
        assert!(point(&[3.0, 2.0, 0.0, 1.0], &finding).hit);
    }

    #[test]
    fn a_map_of_zeros_points_nowhere() {
        assert_eq!(point(&[0.0; 2], &[true, true]), Pointing { hit: false, mass: None, area: 1.0 });
    }

    proptest! {
        #[test]
        fn a_flat_map_has_the_mass_of_the_area(finding in prop::collection::vec(any::<bool>(), 1..50)) {
            let found = point(&vec![0.25; finding.len()], &finding);
            prop_assert!((found.mass.unwrap() - found.area).abs() < 1e-12);
            prop_assert_eq!(found.hit, finding[0]);
        }

        #[test]
        fn scaling_a_map_changes_nothing(
            map in prop::collection::vec(0.0f32..1.0, 16), finding in prop::collection::vec(any::<bool>(), 16),
        ) {
            let larger: Vec<f32> = map.iter().map(|value| value * 4.0).collect();
            let (one, other) = (point(&map, &finding), point(&larger, &finding));
            prop_assert_eq!(one.hit, other.hit);
            prop_assert!((one.mass.unwrap_or(0.0) - other.mass.unwrap_or(0.0)).abs() < 1e-6);
        }
    }
}
