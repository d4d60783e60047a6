//! Leaving out what cannot be seen.

use std::collections::BTreeSet;

use crate::curve::Points;

/// Side of the square that shows one dot.
const CELL: f64 = 4.0;

/// Keeps, of all points in a column of one unit, the first, the lowest, the highest and the last.
pub(super) fn thin_line(points: &[(f64, f64)]) -> Points {
    let mut kept = Points::new();
    for column in points.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        if column.len() <= 4 {
            kept.extend(column);
            continue;
        }
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let low = column.iter().min_by(by_height);
        let high = column.iter().max_by(by_height);
        let place = |point: &(f64, f64)| column.iter().position(|other| other == point);
        let mut places: BTreeSet<usize> = [low, high].into_iter().flatten().filter_map(place).collect();
        places.extend([0, column.len() - 1]);
        kept.extend(places.into_iter().map(|place| column[place]));
    }
    kept
}

/// Keeps the first point of each small square.
pub(super) fn thin_points(points: &[(f64, f64)]) -> Points {
    let mut taken = BTreeSet::new();
    let is_new = |point: &&(f64, f64)| taken.insert(((point.0 / CELL) as i64, (point.1 / CELL) as i64));
    points.iter().filter(is_new).copied().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_line_keeps_its_ends_and_extremes(heights in prop::collection::vec(0.0_f64..200.0, 1..2000)) {
            let points: Points =
                heights.iter().enumerate().map(|(i, y)| (i as f64 / 50.0, *y)).collect();
            let kept = thin_line(&points);
            prop_assert!(kept.len() <= 4 * 41);
            prop_assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[points.len() - 1]));
            let extreme = |all: &Points, f: fn(f64, f64) -> f64| all.iter().map(|p| p.1).reduce(f);
            prop_assert_eq!(extreme(&kept, f64::max), extreme(&points, f64::max));
            prop_assert_eq!(extreme(&kept, f64::min), extreme(&points, f64::min));
            prop_assert!(kept.is_sorted_by(|a, b| a.0 <= b.0));
        }

        #[test]
        fn every_dot_has_a_kept_one_nearby(
            points in prop::collection::vec((0.0_f64..400.0, 0.0_f64..200.0), 0..500)
        ) {
            let kept = thin_points(&points);
            for (x, y) in points {
                let near = |p: &(f64, f64)| (p.0 - x).abs() <= CELL && (p.1 - y).abs() <= CELL;
                prop_assert!(kept.iter().any(near));
            }
        }
    }
}
