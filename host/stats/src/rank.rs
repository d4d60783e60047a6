//! Ranks with ties.

/// Ranks of values, and the sizes of the groups of equal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// Rank of each value, from 1; equal values share the mean of their ranks.
    pub ranks: Vec<f64>,
    /// Size of every group of equal values, in ascending order of the values; 1 for a value of its own.
    pub groups: Vec<usize>,
}

impl Ranks {
    /// Ranks `values`, none of which is NaN.
    pub fn of(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let mut ranks = vec![0.0; values.len()];
        let mut groups = Vec::new();
        let mut before = 0;
        // By `==`, for which -0 is 0; the order has both side by side.
        for group in order.chunk_by(|&a, &b| values[a] == values[b]) {
            let rank = before as f64 + (group.len() + 1) as f64 / 2.0;
            for &index in group {
                ranks[index] = rank;
            }
            groups.push(group.len());
            before += group.len();
        }
        Self { ranks, groups }
    }

    /// Twice the ranks, which are whole numbers.
    pub(crate) fn doubled(&self) -> Vec<usize> {
        self.ranks.iter().map(|rank| (2.0 * rank) as usize).collect()
    }

    /// Whether two values are equal.
    pub fn has_ties(&self) -> bool {
        self.groups.iter().any(|&size| size > 1)
    }

    /// The sum of t³ − t over groups of t equal values, by which variances shrink.
    pub fn tie_term(&self) -> f64 {
        self.groups.iter().map(|&size| (size as f64).powi(3) - size as f64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_the_mean_of_their_ranks() {
        let ranks = Ranks::of(&[3.0, -0.0, 3.0, 0.0, f64::INFINITY, 3.0]);
        assert_eq!(ranks.ranks, [4.0, 1.5, 4.0, 1.5, 6.0, 4.0]);
        assert_eq!(ranks.groups, [2, 3, 1]);
        assert_eq!(ranks.doubled(), [8, 3, 8, 3, 12, 8]);
        assert!(ranks.has_ties());
        assert_eq!(ranks.tie_term(), 6.0 + 24.0);
        assert!(!Ranks::of(&[2.0, 1.0]).has_ties());
    }
}
