//! What is known of a dataset before any image is decoded.

use nashost_plugin_api::dataset::{DatasetInfo, Record};

use super::{ImageSource, Problem, Severity, check::check_records};
use crate::error::{Error, Exit, Result};

/// Description and records of a dataset, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalogue {
    /// Description.
    pub info: DatasetInfo,
    /// One per image.
    pub records: Vec<Record>,
}

impl Catalogue {
    /// Reads and checks description and records. Warnings go to the log.
    ///
    /// # Errors
    ///
    /// Fails if the dataset fails, or with E0301 and every error in its records.
    pub fn read(source: &dyn ImageSource) -> Result<Self> {
        let catalogue = Self { info: source.info()?, records: source.records()? };
        refuse("E0301", "invalid dataset", check_records(&catalogue.info, &catalogue.records))?;
        Ok(catalogue)
    }
}

/// Logs the warnings among `problems`; the errors become one error.
pub(super) fn refuse(code: &'static str, what: &str, problems: Vec<Problem>) -> Result<()> {
    let mut errors = Vec::new();
    for problem in problems {
        match problem.severity {
            Severity::Warning => tracing::warn!("{}", problem.message),
            Severity::Error => errors.push(problem.message),
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let message = format!("{what}, {}:\n{}", count(errors.len(), "problem"), errors.join("\n"));
    Err(Error::new(Exit::Usage, code, message).help("`nashost data check` lists every problem of a dataset"))
}

/// A number with its noun, in the plural where due.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::testing::{MemorySource, record};

    #[test]
    fn good_records_pass_and_bad_ones_are_all_named() {
        let mut source = MemorySource::new(8);
        assert_eq!(Catalogue::read(&source).unwrap().records.len(), 8);
        source.records[3] = record("i2", "g3", None, &[1, 0]);
        let error = Catalogue::read(&source).unwrap_err();
        assert_eq!((error.code, error.exit), ("E0301", Exit::Usage));
        assert_eq!(
            error.message,
            "invalid dataset, 2 problems:\nid \"i2\" stands for images 3 and 4\n\
             image \"i2\" has 2 targets for 1 label"
        );
    }
}
