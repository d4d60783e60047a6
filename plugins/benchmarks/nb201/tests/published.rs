//! What is published of the scores, from the shipped table.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use nashost_cells::CellStructure;
use nashost_nb201::{Dataset, Proxy, Table};
use nashost_plugin_api::seed::rng;
use nashost_stats::{
    Alternative,
    correlation::{kendall, spearman},
};
use rand::Rng as _;

/// Scores and accuracies of all cells that have both.
fn pairs(dataset: Dataset, proxy: Proxy) -> (Vec<f64>, Vec<f64>) {
    let table = Table::shipped().unwrap();
    let pair = |&cell| Some((table.score(dataset, proxy, cell)?, table.accuracy(dataset, cell)));
    table.cells().iter().filter_map(pair).unzip()
}

#[test]
fn correlations_with_accuracy() {
    // Spearman on CIFAR-10, Kendall there, Spearman on ImageNet16-120: of the columns as the source has
    // them, in three digits. The cell of nothing, whose failed scores stand there as -1e8, has none here.
    let published = [
        (Proxy::Vote, 0.866, 0.681, 0.846),
        (Proxy::Jacov, 0.818, 0.632, 0.781),
        (Proxy::Nwot, 0.792, 0.603, 0.795),
        (Proxy::EpeNas, 0.787, 0.589, 0.319),
        (Proxy::Params, 0.747, 0.568, 0.718),
        (Proxy::Synflow, 0.732, 0.536, 0.725),
        (Proxy::L2Norm, 0.720, 0.527, 0.737),
        (Proxy::Flops, 0.714, 0.519, 0.690),
        (Proxy::Snip, 0.552, 0.400, 0.542),
        (Proxy::GradNorm, 0.550, 0.399, 0.543),
        (Proxy::Fisher, 0.501, 0.360, 0.485),
        (Proxy::Grasp, 0.491, 0.340, 0.521),
        (Proxy::Zen, 0.101, 0.096, 0.112),
        (Proxy::Plain, -0.367, -0.244, -0.340),
    ];
    for (proxy, rho, tau, imagenet) in published {
        let (scores, accuracies) = pairs(Dataset::Cifar10, proxy);
        let found = [
            spearman(&scores, &accuracies, Alternative::TwoSided).unwrap().coefficient,
            kendall(&scores, &accuracies, Alternative::TwoSided).unwrap().coefficient,
        ];
        let (scores, accuracies) = pairs(Dataset::Imagenet16, proxy);
        let there = spearman(&scores, &accuracies, Alternative::TwoSided).unwrap().coefficient;
        // Half a digit, and what one cell of 9,445 can do.
        for (found, expected) in found.into_iter().chain([there]).zip([rho, tau, imagenet]) {
            assert!((found - expected).abs() < 0.0008, "{proxy:?}: {found} instead of {expected}");
        }
    }
}

#[test]
fn what_a_score_is_worth_in_a_search() {
    // A pool of 1,000 cells at random, of which the best 1, 10 or 30 by a score are trained: means of
    // the best accuracy over 300 pools, in one digit.
    let published = [
        (Dataset::Cifar10, Proxy::Params, [90.0, 90.7, 91.0]),
        (Dataset::Cifar10, Proxy::Nwot, [89.5, 90.3, 90.5]),
        (Dataset::Cifar10, Proxy::Jacov, [88.6, 90.4, 90.8]),
        (Dataset::Cifar10, Proxy::Synflow, [89.9, 91.0, 91.2]),
        (Dataset::Cifar10, Proxy::Vote, [90.1, 90.9, 91.1]),
        (Dataset::Cifar10, Proxy::Zen, [85.6, 86.5, 86.6]),
        (Dataset::Imagenet16, Proxy::Synflow, [42.0, 46.3, 46.8]),
        (Dataset::Imagenet16, Proxy::Vote, [42.4, 46.0, 46.6]),
    ];
    const POOLS: usize = 300;
    let table = Table::shipped().unwrap();
    let mut rng = rng(3);
    for (dataset, proxy, expected) in published {
        let mut found: [Vec<f64>; 3] = Default::default();
        for _ in 0..POOLS {
            let mut draw = || table.cells()[rng.random_range(0..table.cells().len())];
            let mut pool: Vec<(f64, CellStructure)> = Vec::new();
            while pool.len() < 1000 {
                let cell = draw();
                pool.extend(table.score(dataset, proxy, cell).map(|score| (score, cell)));
            }
            // Stable, so that equal scores stay in the order of the draws.
            pool.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (found, trained) in found.iter_mut().zip([1, 10, 30]) {
                let accuracies = pool[..trained].iter().map(|&(_, cell)| table.accuracy(dataset, cell));
                found.push(accuracies.fold(0.0, f64::max));
            }
        }
        for (found, expected) in found.iter().zip(expected) {
            let mean = found.iter().sum::<f64>() / POOLS as f64;
            let variance = found.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (POOLS - 1) as f64;
            // Two means over 300 pools each, 4.5 standard errors of their difference, and half a digit.
            let error = 0.05 + 4.5 * (2.0 * variance / POOLS as f64).sqrt();
            assert!(
                (mean - expected).abs() < error,
                "{proxy:?}: {mean:.2} instead of {expected} ± {error:.2}"
            );
        }
    }
}
