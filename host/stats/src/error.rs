//! Why a statistic has no value.

/// The reason why a statistic is undefined for the values it was asked of.
///
/// Nothing in this crate answers NaN: a caller gets a number or one of these.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// There are fewer values than the statistic needs.
    #[error("{what} has {found}, at least {needed} are needed")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many are needed.
        needed: usize,
    },
    /// A value is NaN, or infinite where only finite numbers make sense.
    #[error("value {number} of {what} is {value}")]
    NotFinite {
        /// Which values.
        what: &'static str,
        /// Its number, from 1.
        number: usize,
        /// The value.
        value: f64,
    },
    /// All values are equal, so there is no scale to measure a difference with.
    #[error("{what} has no spread")]
    NoSpread {
        /// Which values.
        what: &'static str,
    },
    /// Values that belong together in pairs differ in number.
    #[error("{left} and {right} values cannot be paired")]
    Unpaired {
        /// Values on one side.
        left: usize,
        /// Values on the other.
        right: usize,
    },
    /// A parameter is outside its range.
    #[error("{name} is {value}, but must be {allowed}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The exact distribution would take too long to count.
    #[error("an exact p of {left} and {right} values takes too long to count; use the asymptotic one")]
    TooLarge {
        /// Values on one side.
        left: usize,
        /// Values on the other.
        right: usize,
    },
    /// The statistic was undefined in too many resamples.
    #[error("undefined in {undefined} of {resamples} resamples")]
    Resamples {
        /// Resamples in which it was undefined.
        undefined: usize,
        /// All resamples.
        resamples: usize,
    },
}

/// Result with [`Undefined`].
pub type Result<T> = std::result::Result<T, Undefined>;

/// Checks that there are at least `needed` values.
pub(crate) fn at_least(what: &'static str, found: usize, needed: usize) -> Result<()> {
    if found < needed { Err(Undefined::TooFew { what, found, needed }) } else { Ok(()) }
}

/// Checks that no value is NaN. Ranks exist for infinite values, too.
pub(crate) fn ordered(what: &'static str, values: &[f64]) -> Result<()> {
    reject(what, values, f64::is_nan)
}

/// Checks that all values are finite.
pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    reject(what, values, |value| !value.is_finite())
}

fn reject(what: &'static str, values: &[f64], bad: impl Fn(f64) -> bool) -> Result<()> {
    match values.iter().position(|value| bad(*value)) {
        None => Ok(()),
        Some(index) => Err(Undefined::NotFinite { what, number: index + 1, value: values[index] }),
    }
}

/// Checks that two lists can be paired.
pub(crate) fn paired(left: usize, right: usize) -> Result<()> {
    if left == right { Ok(()) } else { Err(Undefined::Unpaired { left, right }) }
}

/// Checks that `value` lies strictly between 0 and 1.
pub(crate) fn share(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        Ok(())
    } else {
        Err(Undefined::Parameter { name, value, allowed: "between 0 and 1" })
    }
}
