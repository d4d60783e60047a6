//! Learning-rate schedules.

use std::f64::consts::PI;

use crate::config::train::Schedule;

/// Returns the learning rate of step `step` (from 0) of `steps`, starting from `base`.
///
/// Cosine is half a period from `base` towards 0, evaluated per step; no step has rate 0.
pub fn rate(schedule: Schedule, base: f64, step: u64, steps: u64) -> f64 {
    match schedule {
        Schedule::Constant => base,
        // Loshchilov & Hutter 2017, eq. (5), with one period and a final rate of 0.
        Schedule::Cosine => base * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_stays() {
        assert!((0..10).all(|step| rate(Schedule::Constant, 0.3, step, 10) == 0.3));
    }

    #[test]
    fn cosine_falls_from_base_through_half_and_stays_positive() {
        let rates: Vec<f64> = (0..100).map(|step| rate(Schedule::Cosine, 0.3, step, 100)).collect();
        assert_eq!(rates[0], 0.3);
        assert!((rates[50] - 0.15).abs() < 1e-12);
        assert!(rates.windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[99] > 0.0 && rates[99] < 1e-4);
    }
}
