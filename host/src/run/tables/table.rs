//! Tables and their one way to become CSV.

use std::{collections::BTreeMap, iter::repeat_n};

use super::super::time::Timestamp;

/// A table whose columns are named when it is filled.
///
/// CSV as the run directory promises it: UTF-8, commas, a header, LF, quotes where RFC 4180 needs
/// them, `.` decimals that read back as the same number, and empty cells for what is undefined.
/// Columns keep the order of their first use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    index: BTreeMap<String, usize>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows whose first columns are `columns`; naming one twice makes one column.
    pub fn new(columns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut table = Self::default();
        for column in columns {
            table.column(column.into());
        }
        table
    }

    fn column(&mut self, name: String) -> usize {
        *self.index.entry(name).or_insert_with_key(|name| {
            self.columns.push(name.clone());
            self.columns.len() - 1
        })
    }

    /// Adds a row that is empty but for `cells`, given as column and value.
    pub fn push(&mut self, cells: impl IntoIterator<Item = (impl Into<String>, Cell)>) {
        let mut row = Vec::new();
        for (name, Cell(text)) in cells {
            let column = self.column(name.into());
            if row.len() <= column {
                row.resize(column + 1, String::new());
            }
            row[column] = text;
        }
        self.rows.push(row);
    }

    /// Returns the table as CSV.
    pub fn to_csv(&self) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let mut row = |cells: &[String]| {
            let missing = self.columns.len() - cells.len();
            csv.write_record(cells.iter().map(String::as_str).chain(repeat_n("", missing)))
                .expect("rows are as long as the header, and memory takes every byte");
        };
        row(&self.columns);
        self.rows.iter().for_each(|cells| row(cells));
        csv.into_inner().expect("memory takes every byte")
    }
}

/// A value as a CSV file shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell(String);

impl Cell {
    /// What the file shows, before quoting.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        // `Debug` is the shortest text that reads back as the same number; it has no `.` only
        // where it has an exponent.
        Self(if value.is_finite() { format!("{value:?}") } else { String::new() })
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Self {
        Self(value.to_string())
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

impl From<&String> for Cell {
    fn from(value: &String) -> Self {
        Self(value.clone())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<Timestamp> for Cell {
    fn from(value: Timestamp) -> Self {
        Self(value.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self(String::new()), Into::into)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn csv(table: &Table) -> String {
        String::from_utf8(table.to_csv()).unwrap()
    }

    #[test]
    fn a_table_follows_the_rules() {
        let mut table = Table::new(["a", "b", "a"]);
        table.push([("b", Cell::from(0.1 + 0.2)), ("c", Cell::from("x, \"y\"\nz"))]);
        table.push([("a", Cell::from(1e-7)), ("b", Cell::from(None::<f64>)), ("c", Cell::from(f64::NAN))]);
        table.push([("b", Cell::from(17_u32))]);
        assert_eq!(csv(&table), "a,b,c\n,0.30000000000000004,\"x, \"\"y\"\"\nz\"\n1e-7,,\n,17,\n");
    }

    proptest! {
        #[test]
        fn numbers_and_texts_read_back(
            values in prop::collection::vec((any::<f64>().prop_filter("finite", |v| v.is_finite()), any::<String>()), 1..8),
        ) {
            let mut table = Table::new(["number", "text"]);
            for (number, text) in &values {
                table.push([("number", Cell::from(*number)), ("text", Cell::from(text))]);
            }
            let csv = csv(&table);
            let back: Vec<(f64, String)> =
                csv::Reader::from_reader(csv.as_bytes()).deserialize().map(Result::unwrap).collect();
            prop_assert_eq!(back, values);
        }
    }
}
