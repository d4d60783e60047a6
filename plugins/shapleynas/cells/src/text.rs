//! The Python text of a genotype, as the published codes print and hold it.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use crate::{CellError, CellType, Edge, Genotype, Operation};

/// Writes the text that Python prints:
/// `Genotype(normal=[('sep_conv_3x3', 0), …], normal_concat=range(2, 6), reduce=[…], …)`.
impl fmt::Display for Genotype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for cell in CellType::ALL {
            let name = cell.name();
            let edges = self.edges(cell).iter().map(|(op, input)| format!("('{}', {input})", op.name()));
            parts.push(format!("{name}=[{}]", edges.collect::<Vec<_>>().join(", ")));
            let mut concat = format!("{name}_concat=");
            match self.concat(cell) {
                nodes @ [first, .., last] if last - first + 1 == nodes.len() => {
                    write!(concat, "range({first}, {})", last + 1)?;
                }
                nodes => write!(concat, "{nodes:?}")?,
            }
            parts.push(concat);
        }
        write!(f, "Genotype({})", parts.join(", "))
    }
}

/// Reads such a text; spaces, quotes and the order of the four parts are free, and a `name =` before
/// it is passed over.
impl FromStr for Genotype {
    type Err = CellError;

    fn from_str(text: &str) -> Result<Self, CellError> {
        let start = text.find("Genotype").unwrap_or(0);
        let mut scanner = Scanner { rest: text[start..].trim() };
        scanner.token("Genotype")?;
        scanner.token("(")?;
        let mut edges: [Option<Vec<Edge>>; 2] = [None, None];
        let mut concats: [Option<Vec<usize>>; 2] = [None, None];
        while !scanner.try_token(")") {
            let name = scanner.word();
            scanner.token("=")?;
            match name {
                "normal" => edges[0] = Some(scanner.list(Scanner::edge)?),
                "reduce" => edges[1] = Some(scanner.list(Scanner::edge)?),
                "normal_concat" => concats[0] = Some(scanner.nodes()?),
                "reduce_concat" => concats[1] = Some(scanner.nodes()?),
                _ => return Err(scanner.expected("normal, normal_concat, reduce or reduce_concat")),
            }
            if !scanner.try_token(",") {
                scanner.token(")")?;
                break;
            }
        }
        if !scanner.rest.is_empty() {
            return Err(scanner.expected("the end"));
        }
        let ([Some(normal), Some(reduce)], [Some(normal_concat), Some(reduce_concat)]) = (edges, concats)
        else {
            return Err(scanner.expected("normal, normal_concat, reduce and reduce_concat"));
        };
        let genotype = Self { normal, normal_concat, reduce, reduce_concat };
        genotype.check()?;
        Ok(genotype)
    }
}

/// What is left to read.
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn expected(&self, what: &str) -> CellError {
        let found = self.rest.chars().take(20).collect();
        CellError::Text { what: "genotype", expected: what.to_owned(), found }
    }

    fn try_token(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        if let Some(rest) = rest {
            self.rest = rest.trim_start();
        }
        rest.is_some()
    }

    fn token(&mut self, token: &str) -> Result<(), CellError> {
        if self.try_token(token) { Ok(()) } else { Err(self.expected(&format!("`{token}`"))) }
    }

    /// Letters, digits and underscores.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest.trim_start();
        word
    }

    fn number(&mut self) -> Result<usize, CellError> {
        let before = self.rest;
        self.word().parse().map_err(|_| Scanner { rest: before }.expected("a number"))
    }

    fn edge(&mut self) -> Result<Edge, CellError> {
        self.token("(")?;
        let quote = if self.try_token("\"") { "\"" } else { "'" };
        if quote == "'" {
            self.token("'")?;
        }
        let before = self.rest;
        let operation = Operation::from_name(self.word())
            .ok_or_else(|| Scanner { rest: before }.expected("an operation of DARTS"))?;
        self.token(quote)?;
        self.token(",")?;
        let input = self.number()?;
        self.token(")")?;
        Ok((operation, input))
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T, CellError>) -> Result<Vec<T>, CellError> {
        self.token("[")?;
        let mut items = Vec::new();
        while !self.try_token("]") {
            items.push(item(self)?);
            if !self.try_token(",") {
                self.token("]")?;
                break;
            }
        }
        Ok(items)
    }

    /// A list of nodes, or a Python range.
    fn nodes(&mut self) -> Result<Vec<usize>, CellError> {
        if !self.try_token("range") {
            return self.list(Self::number);
        }
        self.token("(")?;
        let first = self.number()?;
        self.token(",")?;
        let before = self.rest;
        let end = self.number()?;
        if end.saturating_sub(first) > 64 {
            // No cell has so many nodes; memory is not spent on a typing error.
            return Err(Scanner { rest: before }.expected("the end of a range of nodes"));
        }
        self.token(")")?;
        Ok((first..end).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::preset;

    #[test]
    fn the_printed_text_is_pythons() {
        let text = preset::find("shapley-nas-cifar10").unwrap().to_string();
        assert!(text.starts_with("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "), "{text}");
        assert!(text.ends_with("('skip_connect', 2)], reduce_concat=range(2, 6))"), "{text}");
        let amoeba = preset::find("amoebanet").unwrap().to_string();
        assert!(amoeba.contains("normal_concat=range(4, 7)") && amoeba.ends_with("reduce_concat=[3, 4, 6])"));
    }

    #[test]
    fn every_preset_survives_the_text() {
        for name in preset::NAMES {
            let genotype = preset::find(name).unwrap();
            assert_eq!(genotype.to_string().parse::<Genotype>().unwrap(), genotype, "{name}");
        }
    }

    #[test]
    fn free_spacing_quotes_and_a_name_are_read() {
        let text = "ShapleyNAS = Genotype(\n  normal=[(\"sep_conv_3x3\",0), ('skip_connect', 1),],\n \
                    normal_concat=[2], reduce = [('max_pool_3x3', 0), ('avg_pool_3x3',1)], \
                    reduce_concat=range(2,3))\n";
        let genotype: Genotype = text.parse().unwrap();
        assert_eq!(genotype.normal, [(Operation::SepConv3x3, 0), (Operation::SkipConnect, 1)]);
        assert_eq!(genotype.reduce_concat, [2]);
    }

    #[test]
    fn errors_show_the_place() {
        let wrong = |text: &str| text.parse::<Genotype>().unwrap_err().to_string();
        assert!(wrong("hello").contains("expected `Genotype` at `hello`"));
        assert!(wrong("Genotype(normal=[('conv', 0)])").contains("an operation of DARTS at `conv', 0)])"));
        assert!(wrong("Genotype(normal=[('skip_connect', x)])").contains("a number at `x)])`"));
        assert!(wrong("Genotype(normal=[])").contains("reduce_concat"));
        assert!(wrong("Genotype(cells=[])").contains("normal_concat"));
        assert!(wrong("Genotype(normal_concat=range(2, 999999999999))").contains("end of a range"));
        // The largest number there is, from where a range of 64 overflows.
        assert!(
            wrong(&format!("Genotype(normal_concat=range({}, 2))", usize::MAX)).contains("reduce_concat")
        );
        let twice = preset::find("darts-v1").unwrap().to_string() + " x";
        assert!(wrong(&twice).contains("the end at `x`"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Genotype\\()?[a-z_=\\[\\]()',0-9 é]{0,60}") {
            let _ = text.parse::<Genotype>();
        }
    }
}
