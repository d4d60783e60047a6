//! The files of the official code: `best_structure.txt`, a Python literal, and
//! `best_structure.json`.
//!
//! ```text
//! {'space_arch': 'CnnNet', 'best_structures': [[{'class': 'ConvKXBNRELU', …}, …], …]}
//! ```
//!
//! A bare list of blocks, as in the configurations, is read too.

mod literal;

use serde_json::{Value, json};

use crate::structure::{Structure, StructureError};

pub use literal::LiteralError;

/// The architecture whose structures are read and written.
const SPACE: &str = "CnnNet";

/// How a file is written; both are read alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `best_structure.txt`.
    Python,
    /// `best_structure.json`.
    Json,
}

/// A text that holds no structures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Neither a Python literal nor JSON.
    #[error(transparent)]
    Literal(#[from] LiteralError),
    /// Another value than such a file holds.
    #[error("expected a list of blocks or a dictionary with `best_structures`")]
    Form,
    /// Structures of another architecture.
    #[error("`space_arch` is {0}, this space has \"{SPACE}\"")]
    Space(Value),
    /// A structure that makes no network.
    #[error("structure {index}: {source}")]
    Structure {
        /// Its position, from 0.
        index: usize,
        /// What is wrong.
        #[source]
        source: StructureError,
    },
}

/// Reads the structures of a file, best first.
///
/// # Errors
///
/// Fails at the first thing that is wrong.
pub fn read(text: &str) -> Result<Vec<Structure>, FileError> {
    let mut value = literal::parse(text)?;
    if let Some(file) = value.as_object_mut() {
        if let Some(space) = file.get("space_arch").filter(|space| *space != SPACE) {
            return Err(FileError::Space(space.clone()));
        }
        value = file.remove("best_structures").ok_or(FileError::Form)?;
    }
    let Value::Array(list) = value else { return Err(FileError::Form) };
    let structures = if list.first().is_some_and(Value::is_object) { vec![Value::Array(list)] } else { list };
    if structures.is_empty() {
        return Err(FileError::Form);
    }
    structures
        .iter()
        .enumerate()
        .map(|(index, value)| {
            Structure::try_from(value).map_err(|source| FileError::Structure { index, source })
        })
        .collect()
}

/// Writes a file that the official code reads.
pub fn write(structures: &[Structure], format: Format) -> String {
    match format {
        Format::Json => {
            let list: Vec<Value> = structures.iter().map(Structure::to_value).collect();
            let file = json!({"space_arch": SPACE, "best_structures": list});
            format!("{file:#}\n")
        }
        Format::Python => {
            // Names and whole numbers are written alike in both languages but for the quotes.
            let blocks = |structure: &Structure| {
                let blocks: Vec<String> = structure
                    .blocks
                    .iter()
                    .map(|block| {
                        let block = serde_json::to_value(block).expect("plain numbers and names");
                        block.to_string().replace('"', "'").replace(':', ": ").replace(',', ", ")
                    })
                    .collect();
                format!("[{}]", blocks.join(",\n  "))
            };
            let list: Vec<String> = structures.iter().map(blocks).collect();
            format!("{{'space_arch': '{SPACE}',\n 'best_structures': [\n {}]}}\n", list.join(",\n "))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Block, Class};

    #[test]
    fn the_official_layouts_are_read() {
        let file = "{'best_structures': [[{'class': 'ConvKXBNRELU',\n 'in': 3, 'k': 3, 'out': 32, 's': 2},\n\
                    {'L': 1, 'btn': 40, 'class': 'SuperResK1KXK1', 'in': 32, \
                    'inner_class': 'ResK1KXK1', 'k': 5, 'out': 96, 's': 2},],],\n 'space_arch': 'CnnNet'}\n";
        let expected = Structure {
            blocks: vec![Block::conv(3, 32, 2, 3), Block::residual(Class::K1KXK1, [32, 40, 96], 2, 5, 1)],
        };
        assert_eq!(read(file).unwrap(), std::slice::from_ref(&expected));
        let list = "[{'class': 'ConvKXBNRELU', 'in': 3, 'out': 32, 's': 2, 'k': 3}]";
        assert_eq!(read(list).unwrap()[0].blocks, expected.blocks[..1]);
        assert_eq!(read(&expected.to_value().to_string()).unwrap(), [expected]);
    }

    #[test]
    fn other_texts_are_refused() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        let form = "expected a list of blocks or a dictionary with `best_structures`";
        for text in ["3", "{}", "[]", "{'best_structures': 1}"] {
            assert_eq!(error(text), form, "{text}");
        }
        assert_eq!(
            error("{'space_arch': 'Cnn3DNet', 'best_structures': []}"),
            "`space_arch` is \"Cnn3DNet\", this space has \"CnnNet\""
        );
        assert!(error("[[{'class': 'Conv'}]]").starts_with("structure 0: not a list of TinyNAS blocks: "));
        assert_eq!(error("[1, 2"), "at character 6: expected `,` or `]`, found the end");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            widths in prop::collection::vec((1_usize..5000, 1_usize..5000, 1_usize..200, 0_usize..6), 1..8),
            copies in 1_usize..3,
        ) {
            let mut blocks = vec![Block::conv(3, 32, 2, 3)];
            blocks.extend(widths.into_iter().map(|(output, width, units, class)| match Class::ALL[class] {
                Class::Conv => Block::conv(1, output, 1, 1),
                class => Block::residual(class, [1, width, output], 2, 5, units),
            }));
            let mut structure = Structure { blocks };
            structure.thread();
            let structures = vec![structure; copies];
            for format in [Format::Python, Format::Json] {
                prop_assert_eq!(&read(&write(&structures, format)).unwrap(), &structures);
            }
        }
    }
}
