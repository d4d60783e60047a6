//! The table of NAS-Bench-201.

use std::{io::Read as _, sync::OnceLock};

use nashost_cells::{CellStructure, Nb201Op};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::idle::essential;

/// Channels of the first stage of the networks in the table.
pub const CHANNELS: usize = 16;
/// Cells of each stage of the networks in the table.
pub const CELLS: usize = 5;

/// Rows: one for each cell without idle operations.
const ROWS: usize = 9445;
/// All cells.
const SPACE: usize = 15_625;

/// Made by `data/make.py`.
const PACKED: &[u8] = include_bytes!("../data/nb201.csv.gz");

/// What the networks of the table were trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum Dataset {
    /// 32×32 px, ten classes.
    #[default]
    #[serde(rename = "cifar10")]
    Cifar10,
    /// 16×16 px, 120 classes.
    #[serde(rename = "imagenet16-120")]
    Imagenet16,
}

impl Dataset {
    /// Every dataset.
    pub const ALL: [Self; 2] = [Self::Cifar10, Self::Imagenet16];
}

/// A score of untrained networks, as NAS-Bench-Suite-Zero publishes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proxy {
    /// EPE-NAS (Lopes et al., 2021).
    EpeNas,
    /// Fisher information (Turner et al., 2020).
    Fisher,
    /// Operations in millions, as the benchmark counts them: normalisation, ReLU and pooling are
    /// among them.
    Flops,
    /// Norm of the gradients.
    GradNorm,
    /// GraSP (Wang et al., 2020).
    Grasp,
    /// Jacobian covariance (Mellor et al., arXiv 2006.04647v1).
    Jacov,
    /// Norm of the weights.
    L2Norm,
    /// NASWOT (Mellor et al., ICML 2021).
    Nwot,
    /// Parameters, in millions.
    Params,
    /// Sum of gradient times weight.
    Plain,
    /// SNIP (Lee et al., 2019).
    Snip,
    /// SynFlow (Tanaka et al., 2020), its natural logarithm.
    #[default]
    Synflow,
    /// Zen-Score (Lin et al., 2021).
    Zen,
    /// The sum of the ranks by `nwot`, `jacov` and `synflow` among the networks of the table; equals
    /// share the mean of their ranks (after Abdelfattah et al., ICLR 2021).
    Vote,
}

impl Proxy {
    /// Every score; those that have a column first, in the order of the columns.
    pub const ALL: [Self; 14] = [
        Self::EpeNas,
        Self::Fisher,
        Self::Flops,
        Self::GradNorm,
        Self::Grasp,
        Self::Jacov,
        Self::L2Norm,
        Self::Nwot,
        Self::Params,
        Self::Plain,
        Self::Snip,
        Self::Synflow,
        Self::Zen,
        Self::Vote,
    ];
    /// Number of columns.
    const COLUMNS: usize = Self::ALL.len() - 1;
    /// Whose ranks are added for the vote.
    const VOTERS: [Self; 3] = [Self::Nwot, Self::Jacov, Self::Synflow];
}

/// What is wrong with the table. Its tests show that the one shipped has no such fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// It is no gzip file.
    #[error("the table of NAS-Bench-201 cannot be unpacked")]
    Packed(#[from] std::io::Error),
    /// It is no CSV file.
    #[error("the table of NAS-Bench-201 is no table")]
    Csv(#[from] csv::Error),
    /// A value is missing or no number.
    #[error("the table of NAS-Bench-201 has `{found}` in column {column} of cell `{cell}`")]
    Value {
        /// The row.
        cell: String,
        /// Number of the column, from 0.
        column: usize,
        /// What stands there.
        found: String,
    },
    /// A cell has no row.
    #[error("the table of NAS-Bench-201 has {found} cells, or not the 9,445 that it should have")]
    Cells {
        /// Number of rows.
        found: usize,
    },
}

/// What is known of the networks on one dataset, by row.
#[derive(Debug, Clone, Default)]
struct Results {
    accuracies: Vec<f64>,
    /// In the order of [`Proxy::ALL`].
    scores: [Vec<Option<f64>>; Proxy::ALL.len()],
}

/// Accuracies and scores of the cells of NAS-Bench-201, in its skeleton of [`CHANNELS`] channels and
/// [`CELLS`] cells.
#[derive(Debug, Clone)]
pub struct Table {
    /// By row, in ascending order of their codes.
    cells: Vec<CellStructure>,
    /// The row of each cell, by its code.
    rows: Vec<usize>,
    /// In the order of [`Dataset::ALL`].
    results: [Results; Dataset::ALL.len()],
}

impl Table {
    /// Returns the shipped table; it is read once.
    ///
    /// # Errors
    ///
    /// Fails if the file was damaged before it was compiled in.
    pub fn shipped() -> Result<&'static Self, &'static TableError> {
        static TABLE: OnceLock<Result<Table, TableError>> = OnceLock::new();
        TABLE.get_or_init(|| Self::read(PACKED)).as_ref()
    }

    fn read(packed: &[u8]) -> Result<Self, TableError> {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut text)?;
        let mut table =
            Self { cells: Vec::new(), rows: vec![usize::MAX; SPACE], results: Default::default() };
        for record in csv::Reader::from_reader(&text[..]).records() {
            table.push(&record?)?;
        }
        table.cover()?;
        for results in &mut table.results {
            results.scores[Proxy::Vote as usize] = vote(&results.scores);
        }
        Ok(table)
    }

    /// Adds a row: a cell, then for each dataset the accuracy and the scores.
    fn push(&mut self, record: &csv::StringRecord) -> Result<(), TableError> {
        let field = |column: usize| record.get(column).unwrap_or_default();
        let wrong = |column: usize| TableError::Value {
            cell: field(0).to_owned(),
            column,
            found: field(column).to_owned(),
        };
        let number = |column: usize| field(column).parse::<f64>().map_err(|_| wrong(column));
        let cell = parse(field(0)).ok_or_else(|| wrong(0))?;
        self.rows[code(cell)] = self.cells.len();
        self.cells.push(cell);
        let mut column = 1;
        for results in &mut self.results {
            results.accuracies.push(number(column)?);
            column += 1;
            for scores in results.scores.iter_mut().take(Proxy::COLUMNS) {
                // Nothing stands where the score could not be computed.
                scores.push(if field(column).is_empty() { None } else { Some(number(column)?) });
                column += 1;
            }
        }
        Ok(())
    }

    /// Gives every cell the row of the one that computes the same.
    fn cover(&mut self) -> Result<(), TableError> {
        let found = self.cells.len();
        let rows = (0..SPACE).map(|number| self.rows[code(essential(decode(number)))]).collect();
        self.rows = rows;
        let is_whole = found == ROWS && self.rows.iter().all(|&row| row < found);
        if is_whole { Ok(()) } else { Err(TableError::Cells { found }) }
    }

    fn row(&self, cell: CellStructure) -> usize {
        self.rows[code(cell)]
    }

    /// Returns the 9,445 cells that were measured: those without idle operations.
    pub fn cells(&self) -> &[CellStructure] {
        &self.cells
    }

    /// Returns the accuracy on the validation part in percent. Cells with idle operations have that
    /// of the [essential] one.
    pub fn accuracy(&self, dataset: Dataset, cell: CellStructure) -> f64 {
        self.results[dataset as usize].accuracies[self.row(cell)]
    }

    /// Returns the published score. `None` if it could not be computed, which is so for the cell of
    /// nothing only. Cells with idle operations have that of the [essential] one.
    pub fn score(&self, dataset: Dataset, proxy: Proxy, cell: CellStructure) -> Option<f64> {
        self.results[dataset as usize].scores[proxy as usize][self.row(cell)]
    }
}

/// The number of a cell: its operations as digits of base 5.
fn code(cell: CellStructure) -> usize {
    cell.0.iter().fold(0, |code, &op| code * Nb201Op::ALL.len() + op as usize)
}

fn decode(code: usize) -> CellStructure {
    let base = Nb201Op::ALL.len();
    CellStructure(std::array::from_fn(|edge| Nb201Op::ALL[code / base.pow(5 - edge as u32) % base]))
}

/// Reads the digits of a cell.
fn parse(text: &str) -> Option<CellStructure> {
    let operation = |digit: u8| Nb201Op::ALL.get(usize::from(digit.wrapping_sub(b'0'))).copied();
    let operations: Option<Vec<Nb201Op>> = text.bytes().map(operation).collect();
    operations?.try_into().ok().map(CellStructure)
}

/// Adds the ranks of each row among those of the voters; a row that one of them leaves out has no vote.
fn vote(scores: &[Vec<Option<f64>>]) -> Vec<Option<f64>> {
    let voters = Proxy::VOTERS.map(|proxy| ranks(&scores[proxy as usize]));
    let rows = 0..voters[0].len();
    rows.map(|row| voters.iter().map(|ranks| ranks[row]).sum()).collect()
}

/// Ranks the values from 1, the least; equals share the mean of their ranks.
fn ranks(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
    sorted.sort_by(f64::total_cmp);
    let rank = |value: f64| {
        let below = sorted.partition_point(|other| *other < value);
        let through = sorted.partition_point(|other| *other <= value);
        (below + 1 + through) as f64 / 2.0
    };
    values.iter().map(|value| value.map(rank)).collect()
}

#[cfg(test)]
mod tests {
    use nashost_cells::Nb201;
    use nashost_plugin_api::architecture::Geometry;

    use super::*;

    #[test]
    fn sizes_are_those_of_the_networks_that_the_space_builds() {
        let table = Table::shipped().unwrap();
        let geometries = [([3, 32, 32], 10), ([3, 16, 16], 120)];
        for (dataset, (input, outputs)) in Dataset::ALL.into_iter().zip(geometries) {
            for &cell in table.cells().iter().step_by(97) {
                let network = Nb201 { cell, channels: CHANNELS, cells: CELLS };
                let tally = network.build(&Geometry { input, outputs }).unwrap().tally();
                let params = table.score(dataset, Proxy::Params, cell).unwrap();
                assert_eq!((params * 1e6).round(), tally.params as f64, "{cell}");
            }
        }
    }

    #[test]
    fn rows_are_as_published() {
        // Three rows of the source, in ten digits.
        let table = Table::shipped().unwrap();
        let parse = |text: &str| text.parse::<CellStructure>().unwrap();
        let a =
            parse("|avg_pool_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_1x1~2|");
        assert_eq!(table.accuracy(Dataset::Cifar10, a), 84.99);
        assert_eq!(table.accuracy(Dataset::Imagenet16, a), 32.7);
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Params, a), Some(0.129306));
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Nwot, a), Some(754.6843328));
        assert_eq!(table.score(Dataset::Imagenet16, Proxy::Zen, a), Some(64.73770905));
        let b = parse(
            "|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|",
        );
        assert_eq!(table.accuracy(Dataset::Cifar10, b), 90.52);
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Synflow, b), Some(85.29524686));
        assert_eq!(table.score(Dataset::Imagenet16, Proxy::EpeNas, b), Some(18.29335092));
        let nothing = CellStructure([Nb201Op::None; 6]);
        assert_eq!(table.accuracy(Dataset::Cifar10, nothing), 10.0);
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Jacov, nothing), None);
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Vote, nothing), None);
        assert_eq!(table.score(Dataset::Cifar10, Proxy::Synflow, nothing), Some(0.0));
    }

    #[test]
    fn idle_operations_change_nothing() {
        let table = Table::shipped().unwrap();
        for cell in (0..SPACE).map(decode) {
            assert_eq!(
                table.accuracy(Dataset::Cifar10, cell),
                table.accuracy(Dataset::Cifar10, essential(cell)),
                "{cell}"
            );
        }
        assert_eq!(decode(code(table.cells()[5000])), table.cells()[5000]);
    }

    #[test]
    fn only_the_cell_of_nothing_has_scores_that_failed() {
        let table = Table::shipped().unwrap();
        for (dataset, proxy) in Dataset::ALL.into_iter().flat_map(|d| Proxy::ALL.map(|p| (d, p))) {
            let mut failed =
                table.cells().iter().filter(|&&cell| table.score(dataset, proxy, cell).is_none());
            assert!(failed.all(|cell| cell.0 == [Nb201Op::None; 6]), "{proxy:?} on {dataset:?}");
        }
    }

    #[test]
    fn equals_share_a_rank() {
        let values = [Some(2.0), Some(5.0), None, Some(2.0), Some(1.0)];
        assert_eq!(ranks(&values), [Some(2.5), Some(4.0), None, Some(2.5), Some(1.0)]);
    }

    #[test]
    fn a_damaged_table_is_refused() {
        use std::io::Write as _;
        let pack = |text: &str| {
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packer.write_all(text.as_bytes()).unwrap();
            packer.finish().unwrap()
        };
        let mut text = String::new();
        flate2::read::GzDecoder::new(PACKED).read_to_string(&mut text).unwrap();
        assert!(Table::read(&pack(&text)).is_ok());
        let without_last = text.trim_end().rsplit_once('\n').unwrap().0;
        assert!(matches!(Table::read(&pack(without_last)), Err(TableError::Cells { found: 9444 })));
        assert!(matches!(Table::read(&pack(&text.replace("84.02", "x"))), Err(TableError::Value { .. })));
        assert!(matches!(
            Table::read(&pack(&text.replace("\n0001", "\n0005"))),
            Err(TableError::Value { .. })
        ));
        assert!(matches!(Table::read(b"nonsense"), Err(TableError::Packed(_))));
    }
}
