//! The best bottleneck at a price.

/// What bottlenecks are worth apart from a price that is linear in them:
/// `y(b) = w ln b − q b² − units · table(b)`.
pub(crate) struct Curve<'a> {
    /// Logarithms by steps.
    pub(crate) logs: &'a [f64],
    pub(crate) step: f64,
    /// w
    pub(crate) log_weight: f64,
    /// q
    pub(crate) square: f64,
    /// By steps; may be empty.
    pub(crate) table: &'a [f64],
    pub(crate) units: f64,
}

impl Curve<'_> {
    /// Returns `y` at a bottleneck of `neck` steps.
    #[inline]
    pub(crate) fn at(&self, neck: usize) -> f64 {
        let b = self.step * neck as f64;
        let entry = if self.table.is_empty() { 0.0 } else { self.units * self.table[neck] };
        self.log_weight * self.logs[neck] - self.square * b * b - entry
    }

    /// Returns the bottleneck from `least` to `most` that maximises `y(b) − price · b`, without a
    /// table: y is concave then, and the best integer lies beside the best real number.
    #[inline]
    pub(crate) fn peak(&self, price: f64, least: usize, most: usize) -> usize {
        let (q, w) = (self.square, self.log_weight);
        // The positive root of w = b (price + 2 q b), in the form that does not cancel.
        let root = 2.0 * w / (price + (price * price + 8.0 * q * w).sqrt());
        let below = ((root / self.step) as usize).clamp(least, most);
        let above = (below + 1).min(most);
        let worth = |neck: usize| self.at(neck) - price * self.step * neck as f64;
        if worth(above) > worth(below) { above } else { below }
    }

    /// Gathers those of ascending `necks` that are best at some price, with their y: the concave hull.
    pub(crate) fn hull(&self, necks: &[usize], hull: &mut Vec<(usize, f64)>) {
        hull.clear();
        for neck in necks {
            let next = (*neck, self.at(*neck));
            while let [.., first, second] = hull[..] {
                let (before, after) = ((second.0 - first.0) as f64, (next.0 - second.0) as f64);
                if (second.1 - first.1) * after > (next.1 - second.1) * before {
                    break;
                }
                hull.pop();
            }
            hull.push(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn peak_and_hull_hold_the_best(
            w in 0.0..500.0f64, q in 0.0..0.2f64, price in 0.0..20.0f64, least in 1..20usize, more in 0..40usize,
            bumps in prop::collection::vec(0.0..60.0f64, 61),
        ) {
            let logs: Vec<f64> = (0..=61).map(|i| (8.0 * f64::from(i)).ln()).collect();
            let mut curve = Curve { logs: &logs, step: 8.0, log_weight: w, square: q, table: &[], units: 3.0 };
            let necks: Vec<usize> = (least..=least + more).collect();
            let worth = |curve: &Curve<'_>, neck: usize| curve.at(neck) - price * 8.0 * neck as f64;
            let best = |curve: &Curve<'_>, of: &[usize]| {
                of.iter().map(|neck| worth(curve, *neck)).fold(f64::NEG_INFINITY, f64::max)
            };
            let peak = curve.peak(price, least, least + more);
            let top = best(&curve, &necks);
            prop_assert!(worth(&curve, peak) >= top - 1e-9 * (1.0 + top.abs()));
            let mut hull = Vec::new();
            curve.table = &bumps;
            curve.hull(&necks, &mut hull);
            let top = best(&curve, &necks);
            let hull: Vec<usize> = hull.iter().map(|(neck, _)| *neck).collect();
            prop_assert!(best(&curve, &hull) >= top - 1e-9 * (1.0 + top.abs()));
        }
    }
}
