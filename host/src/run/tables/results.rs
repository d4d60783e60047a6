//! `results.csv`: the test part once more, one row per method (or trivial predictor), label and
//! metric. Rows without a label are about all of them.

use super::{
    super::{
        state::State,
        summary::{Aggregate, MethodSummary, Summary},
    },
    Table,
    table::Cell,
};

const COLUMNS: [&str; 13] = [
    "run_id",
    "kind",
    "method",
    "label",
    "metric",
    "mean",
    "sd",
    "ci95_low",
    "ci95_high",
    "seeds_defined",
    "seeds",
    "support",
    "why",
];

pub(super) fn table(state: &State) -> Table {
    let summary = Summary::of(state);
    let mut table = Table::new(COLUMNS);
    for (kind, rows) in [("method", &summary.methods), ("baseline", &summary.baselines)] {
        for row in rows {
            push(&mut table, &summary.run_id, kind, row);
        }
    }
    table
}

fn push(table: &mut Table, run_id: &str, kind: &str, row: &MethodSummary) {
    let overall = row.test.iter().map(|(metric, value)| (None, metric, value));
    let labels = row.per_label.iter().flat_map(|label| {
        label.metrics.iter().map(move |(metric, value)| (Some(&label.label), metric, value))
    });
    for (label, metric, value) in overall.chain(labels) {
        let Aggregate { mean, sd, ci95, per_seed, support, why, .. } = value;
        let defined = per_seed.iter().flatten().count() as u64;
        let cells: [Cell; 13] = [
            run_id.into(),
            kind.into(),
            (&row.method).into(),
            label.into(),
            metric.into(),
            (*mean).into(),
            (*sd).into(),
            ci95.map(|[low, _]| low).into(),
            ci95.map(|[_, high]| high).into(),
            defined.into(),
            (per_seed.len() as u64).into(),
            (*support).into(),
            why.as_deref().into(),
        ];
        table.push(COLUMNS.into_iter().zip(cells));
    }
}
