//! PlainNet strings, the official text form of structures.
//!
//! ```text
//! net   := block+
//! block := NAME '(' [ label '|' ] args ')'
//! args  := int {',' int}                      basic blocks and super-blocks
//!        | [int ',' [int ',']] net            ResBlock, ResBlockProj
//!        | net {';' net}                      MultiSumBlock, MultiCatBlock
//! ```
//!
//! Nothing separates blocks. A label may be any text without `|`, `(` and `)`; it means nothing
//! and is not written back. A structure of this space is a chain of super-blocks; the other
//! blocks of the grammar (`ConvKX`, `ResBlock`, …) are what super-blocks consist of and are
//! refused by name. `SuperConv…` blocks have the arguments `in, out, stride, layers`,
//! `SuperRes…` blocks `in, out, stride, bottleneck, layers`.

use crate::{
    block::{Block, BlockError, Kind, UnknownKind},
    structure::Structure,
};

/// Blocks of the grammar that are no super-blocks.
const BASIC_BLOCKS: [&str; 20] = [
    "AdaptiveAvgPool",
    "BN",
    "ConvDW",
    "ConvKX",
    "ConvKXG16",
    "ConvKXG2",
    "ConvKXG32",
    "ConvKXG4",
    "ConvKXG8",
    "Flatten",
    "Linear",
    "MaxPool",
    "MultiCatBlock",
    "MultiSumBlock",
    "RELU",
    "ResBlock",
    "ResBlockProj",
    "SE",
    "Sequential",
    "Swish",
];

/// A text that is no PlainNet string of this space.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {kind}")]
pub struct ParseError {
    /// Where, counted in characters from 1.
    pub position: usize,
    /// What.
    pub kind: ParseErrorKind,
}

/// What is wrong with a PlainNet string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseErrorKind {
    /// Nothing there.
    #[error("no structure")]
    Empty,
    /// A name without arguments.
    #[error("expected `(` after `{0}`")]
    Open(String),
    /// A list of arguments without end.
    #[error("`(` is never closed")]
    Close,
    /// A block of the grammar that this space does not have.
    #[error("`{0}` is a basic block; a structure of this space is a chain of super-blocks")]
    Basic(String),
    /// A block that does not exist.
    #[error(transparent)]
    Unknown(#[from] UnknownKind),
    /// Too few or too many arguments.
    #[error("{kind} takes {}, found {found}", takes(*.kind))]
    Count {
        /// Class of the block.
        kind: Kind,
        /// Number of arguments.
        found: usize,
    },
    /// Not a number.
    #[error("`{0}` is not a whole number")]
    Number(String),
    /// More layers than a structure may have.
    #[error("{0} layers are too many: a structure has at most {most}", most = Structure::MAX_LAYERS)]
    TooDeep(usize),
    /// A number that is out of range.
    #[error(transparent)]
    Value(#[from] BlockError),
}

fn takes(kind: Kind) -> &'static str {
    if kind.is_residual() {
        "5 numbers (in, out, stride, bottleneck, layers)"
    } else {
        "4 numbers (in, out, stride, layers)"
    }
}

/// Reads the first line of `text`, without the white space around it.
///
/// Neighbouring blocks may disagree on channels: see [`Structure::check_channels`].
///
/// # Errors
///
/// Fails at the first character that is wrong.
pub fn parse(text: &str) -> Result<Structure, ParseError> {
    let line = text.lines().next().unwrap_or_default();
    let indent = line.len() - line.trim_start().len();
    let line = &line[..line.trim_end().len().max(indent)];
    let mut scanner = Scanner { line, at: indent };
    let mut blocks = Vec::new();
    let mut layers = 0;
    while scanner.at < line.len() {
        let start = scanner.at;
        let block = scanner.block()?;
        layers += block.layers;
        if layers > Structure::MAX_LAYERS {
            return Err(scanner.error(start, ParseErrorKind::TooDeep(layers)));
        }
        blocks.push(block);
    }
    if blocks.is_empty() {
        return Err(scanner.error(scanner.at, ParseErrorKind::Empty));
    }
    Ok(Structure { blocks })
}

struct Scanner<'a> {
    line: &'a str,
    /// Byte where the next block starts.
    at: usize,
}

impl Scanner<'_> {
    fn error(&self, at: usize, kind: impl Into<ParseErrorKind>) -> ParseError {
        ParseError { position: self.line[..at].chars().count() + 1, kind: kind.into() }
    }

    fn block(&mut self) -> Result<Block, ParseError> {
        let start = self.at;
        let rest = &self.line[start..];
        let open = rest.find(['(', ')']).filter(|&at| rest[at..].starts_with('('));
        let Some(open) = open else {
            let name = rest.split([')', ' ']).next().unwrap_or_default().to_owned();
            return Err(self.error(start + name.len(), ParseErrorKind::Open(name)));
        };
        let name = &rest[..open];
        if BASIC_BLOCKS.contains(&name) {
            return Err(self.error(start, ParseErrorKind::Basic(name.to_owned())));
        }
        let kind: Kind = name.parse().map_err(|error: UnknownKind| self.error(start, error))?;
        let inside = start + open + 1;
        let close = self.line[inside..].find(['(', ')']).map(|at| inside + at);
        let Some(close) = close.filter(|&at| self.line[at..].starts_with(')')) else {
            return Err(self.error(inside - 1, ParseErrorKind::Close));
        };
        let block = self.arguments(kind, start, inside, close)?;
        self.at = close + 1;
        Ok(block)
    }

    fn arguments(&self, kind: Kind, start: usize, inside: usize, close: usize) -> Result<Block, ParseError> {
        let label = self.line[inside..close].find('|').map_or(0, |bar| bar + 1);
        let mut at = inside + label;
        let mut numbers = Vec::new();
        for text in self.line[at..close].split(',') {
            let trimmed = text.trim();
            let digits = !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit());
            match trimmed.parse() {
                Ok(number) if digits => numbers.push(number),
                _ => return Err(self.error(at, ParseErrorKind::Number(trimmed.to_owned()))),
            }
            at += text.len() + 1;
        }
        let (input, output, stride, bottleneck, layers) = match numbers[..] {
            [input, output, stride, layers] if !kind.is_residual() => (input, output, stride, None, layers),
            [input, output, stride, bottleneck, layers] if kind.is_residual() => {
                (input, output, stride, Some(bottleneck), layers)
            }
            _ => return Err(self.error(start, ParseErrorKind::Count { kind, found: numbers.len() })),
        };
        let block = Block { kind, input, output, stride, bottleneck, layers };
        match block.check() {
            Ok(()) => Ok(block),
            Err(errors) => {
                let first = errors.into_iter().next().expect("a failed check names an error");
                Err(self.error(start, first))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_white_space_are_dropped() {
        let text = "  SuperConvK3BNRELU(stem|3, 8,1,1)SuperResIDWE6K7(a b|8,16,2,8,3) \nsecond line";
        let structure = parse(text).unwrap();
        assert_eq!(structure.to_string(), "SuperConvK3BNRELU(3,8,1,1)SuperResIDWE6K7(8,16,2,8,3)");
    }

    #[test]
    fn errors_name_the_place_and_the_cause() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        let stem = "SuperConvK3BNRELU(3,8,1,1)";
        assert_eq!(error(" "), "at character 2: no structure");
        assert_eq!(
            error("ConvKX(3,8,3,1)BN(8)"),
            "at character 1: `ConvKX` is a basic block; a structure of this space is a chain of super-blocks"
        );
        assert!(
            error(&format!("{stem}SuperResK2K2(8,8,1,8,1)"))
                .starts_with("at character 27: unknown super-block `SuperResK2K2`, did you mean `SuperResK")
        );
        assert_eq!(
            error(&format!("{stem}SuperResK3K3(8,8,1,1)")),
            "at character 27: SuperResK3K3 takes 5 numbers (in, out, stride, bottleneck, layers), found 4"
        );
        assert_eq!(error("SuperConvK3BNRELU(3,8,-1,1)"), "at character 23: `-1` is not a whole number");
        assert_eq!(error("SuperConvK3BNRELU(3,8,+1,1)"), "at character 23: `+1` is not a whole number");
        assert_eq!(error("SuperConvK3BNRELU(é|3,8,,1)"), "at character 25: `` is not a whole number");
        assert_eq!(
            error("SuperConvK3BNRELU(3,8,1,0)"),
            "at character 1: SuperConvK3BNRELU: `layers` is 0, must be 1 to 256"
        );
        assert_eq!(error("SuperConvK3BNRELU(3,8,1,1"), "at character 18: `(` is never closed");
        assert_eq!(error("SuperConvK3BNRELU(3,(8,1,1)"), "at character 18: `(` is never closed");
        assert_eq!(error(&format!("{stem}tail")), "at character 31: expected `(` after `tail`");
        assert_eq!(error(&format!("{stem})")), "at character 27: expected `(` after ``");
        assert!(error(&format!("{stem};{stem}")).contains("unknown super-block `;SuperConvK3BNRELU`"));
    }

    #[test]
    fn structures_are_not_deeper_than_memory_allows() {
        let block = "SuperResK1K3K1(8,8,1,8,256)";
        assert!(parse(&block.repeat(16)).is_ok());
        let error = parse(&block.repeat(17)).unwrap_err();
        assert_eq!(error.position, 16 * block.len() + 1);
        assert_eq!(error.kind, ParseErrorKind::TooDeep(4352));
    }

    #[test]
    fn numbers_that_overflow_are_refused() {
        let error = parse("SuperConvK3BNRELU(3,99999999999999999999,1,1)").unwrap_err();
        assert_eq!(error.kind, ParseErrorKind::Number("99999999999999999999".into()));
    }
}
