//! All problems of something at once.

use std::fmt;

/// Problems that are told. A table of a million bad rows must not become a million texts.
const MOST: usize = 1000;
/// Bytes of a problem that are told, at most: it may quote what the file says.
const LONGEST: usize = 1000;

/// Problems of what a user gave, one per line when displayed; from the 1001st on they are only counted.
///
/// ```
/// use nashost_plugin_api::problems::Problems;
///
/// let mut problems = Problems::default();
/// problems.add("row 3: no label");
/// assert_eq!(problems.or(7).unwrap_err().to_string(), "row 3: no label");
/// assert_eq!(Problems::default().or(7), Ok(7));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    told: Vec<String>,
    more: usize,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told.join("\n"))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more problems"),
        }
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// Adds a problem. Of a long one the first 1000 bytes are told.
    pub fn add(&mut self, problem: impl Into<String>) {
        if self.told.len() == MOST {
            self.more += 1;
            return;
        }
        let mut problem = problem.into();
        if problem.len() > LONGEST {
            problem.truncate(problem.floor_char_boundary(LONGEST));
            problem.push('…');
            problem.shrink_to_fit();
        }
        self.told.push(problem);
    }

    /// Returns `value` if there is no problem.
    ///
    /// # Errors
    ///
    /// Fails with all problems if there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.told.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl FromIterator<String> for Problems {
    fn from_iter<T: IntoIterator<Item = String>>(problems: T) -> Self {
        let mut list = Self::default();
        problems.into_iter().for_each(|problem| list.add(problem));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_problems_is_counted_and_long_ones_are_cut() {
        let mut problems = Problems::default();
        for row in 0..1_000_000 {
            problems.add(format!("row {row}"));
        }
        let text = problems.to_string();
        assert_eq!(text.lines().count(), 1001);
        assert!(text.ends_with("row 999\n… and 999000 more problems"), "{}", &text[text.len() - 60..]);
        let mut problems = Problems::default();
        problems.add("é".repeat(1_000_000));
        assert_eq!(problems.to_string(), format!("{}…", "é".repeat(500)));
    }
}
