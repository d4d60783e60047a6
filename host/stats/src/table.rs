//! Results as a table: one row per run, with its method and its value.

use crate::comparison::Sample;

/// Columns that say which runs of different methods belong together, where a table has them.
pub const KEYS: [&str; 4] = ["pair", "dataset", "fold", "seed"];

/// A table that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A line that is no CSV.
    #[error("{0}")]
    Csv(String),
    /// A column that is needed is not there.
    #[error("there is no column `{wanted}`; there are {}", found.join(", "))]
    Column {
        /// What is needed.
        wanted: String,
        /// What there is.
        found: Vec<String>,
    },
    /// Cells that hold no number.
    #[error("{}", .0.join("; "))]
    Cells(Vec<String>),
    /// No row has a value.
    #[error("no row has a value")]
    Empty,
}

/// Reads a table with the columns `method` and `value`, and whichever of [`KEYS`] there are; other
/// columns are ignored. Rows without a value are left out, as failed runs are. Methods come in the
/// order of their first rows.
///
/// # Errors
///
/// If the text is not CSV, a column is missing, no row has a value, or a cell holds no finite number;
/// every such cell is named by its line.
pub fn read(text: &str, value: &str) -> Result<Vec<Sample>, TableError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| TableError::Csv(error.to_string()))?.clone();
    let find = |name: &str| header.iter().position(|column| column == name);
    let need = |name: &str| {
        let found = header.iter().map(str::to_owned).collect();
        find(name).ok_or_else(|| TableError::Column { wanted: name.to_owned(), found })
    };
    let (method, value) = (need("method")?, need(value)?);
    let keys: Vec<usize> = KEYS.iter().filter_map(|key| find(key)).collect();
    let mut samples: Vec<Sample> = Vec::new();
    let mut problems = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| TableError::Csv(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let cell = &row[value];
        if cell.is_empty() {
            continue;
        }
        let Some(number) = cell.parse().ok().filter(|number: &f64| number.is_finite()) else {
            problems.push(format!("line {line}: `{cell}` is no finite number"));
            continue;
        };
        let key = keys.iter().map(|&key| &row[key]).collect::<Vec<_>>().join("/");
        let result = ((!keys.is_empty()).then_some(key), number);
        match samples.iter_mut().find(|sample| sample.method == row[method]) {
            Some(sample) => sample.results.push(result),
            None => samples.push(Sample { method: row[method].to_owned(), results: vec![result] }),
        }
    }
    match (problems.is_empty(), samples.is_empty()) {
        (false, _) => Err(TableError::Cells(problems)),
        (true, true) => Err(TableError::Empty),
        (true, false) => Ok(samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_the_table_has_of_them() {
        let text = "method,seed,fold,test.f1\nzen,1,a,0.5\nmad,1,a,0.25\nzen,2,a,\nzen,3,b,1e-1\n";
        let samples = read(text, "test.f1").unwrap();
        assert_eq!(samples.len(), 2);
        let key = |text: &str| Some(text.to_owned());
        assert_eq!(samples[0].results, [(key("a/1"), 0.5), (key("b/3"), 0.1)]);
        assert_eq!(samples[1].method, "mad");
        let bare = read("value,method\n 1 , a \n2,a\n", "value").unwrap();
        assert_eq!((bare[0].values(), bare[0].results[0].0.clone()), (vec![1.0, 2.0], None));
    }

    #[test]
    fn every_bad_cell_is_named() {
        let error = read("method,value\na,x\na,0.5\na,inf\n", "value").unwrap_err();
        assert_eq!(error.to_string(), "line 2: `x` is no finite number; line 4: `inf` is no finite number");
        let error = read("method,f1\na,1\n", "value").unwrap_err();
        assert_eq!(error.to_string(), "there is no column `value`; there are method, f1");
        assert_eq!(read("method,value\na,\n", "value"), Err(TableError::Empty));
        assert!(matches!(read("method,value\na,1,2\n", "value"), Err(TableError::Csv(_))));
    }
}
