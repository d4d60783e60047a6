//! Estimators on games whose values are known.

use std::path::Path;

use nashost_plugin_api::seed::{Rng, rng};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::game::{Game as _, TableGame};

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/shapley").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

struct Toy {
    name: String,
    game: TableGame,
    case: Value,
}

fn games() -> Vec<Toy> {
    let fixture = fixture("games.json");
    let toy = |case: &Value| Toy {
        name: case["name"].as_str().unwrap().to_owned(),
        game: TableGame::new(numbers(&case["values"])).unwrap(),
        case: case.clone(),
    };
    fixture["cases"].as_array().unwrap().iter().map(toy).collect()
}

fn gradients(game: &mut TableGame, rng: &mut Rng) -> Vec<f64> {
    let Ok(sample) = gradient_group(game, 2, rng);
    sample
}

fn walks(game: &mut TableGame, shifts: usize, rng: &mut Rng) -> Vec<f64> {
    let mut sum = vec![0.0; game.players()];
    for index in 0..2 * shifts {
        let order = order(game.players(), shifts, index, &mut rng.clone());
        let Ok(walk) = walk(game, &order, &|_, _| false, &|_, _| false);
        sum.iter_mut().zip(walk.losses).for_each(|(sum, loss)| *sum += loss / (2 * shifts) as f64);
    }
    // The next group has another order.
    let _: u64 = rand::Rng::random(rng);
    sum
}

type Draw = fn(&mut TableGame, &mut Rng) -> Vec<f64>;
const ESTIMATORS: [(&str, Draw); 3] = [
    ("gradients", gradients),
    ("antithetic walks", |game, rng| walks(game, 1, rng)),
    ("shifted walks", |game, rng| walks(game, 3, rng)),
];

#[test]
fn estimators_are_unbiased() {
    for Toy { name, mut game, case } in games() {
        let exact = numbers(&case["shapley"]);
        for (estimator, draw) in ESTIMATORS {
            let mut rng = rng(11);
            let mut sampled = Sampled::default();
            for _ in 0..2000 {
                sampled.push(draw(&mut game, &mut rng));
            }
            for ((mean, error), exact) in sampled.mean().iter().zip(sampled.error()).zip(&exact) {
                // Of about 330 comparisons none exceeds 4.5 standard errors by chance (0.2 %).
                let bound = 4.5 * error + 1e-9 * exact.abs().max(1.0);
                assert!(
                    (mean - exact).abs() <= bound,
                    "{name}, {estimator}: {mean} ± {error}, exact {exact}"
                );
            }
        }
    }
}

#[test]
fn standard_errors_are_right() {
    const GROUPS: usize = 40;
    const REPEATS: usize = 150;
    for (estimator, draw) in ESTIMATORS {
        let (mut covered, mut all) = (0, 0);
        for Toy { mut game, case, .. } in games() {
            let exact = numbers(&case["shapley"]);
            let mut rng = rng(5);
            for _ in 0..REPEATS {
                let mut sampled = Sampled::default();
                for _ in 0..GROUPS {
                    sampled.push(draw(&mut game, &mut rng));
                }
                let quantile = sampled.quantile(0.95).unwrap();
                for ((mean, error), exact) in sampled.mean().iter().zip(sampled.error()).zip(&exact) {
                    // A player whose contribution never varies has no interval; one whose rare
                    // contribution was never met has one of no width, which misses.
                    if error < 1e-9 && (mean - exact).abs() < 1e-6 {
                        continue;
                    }
                    all += 1;
                    covered += usize::from((mean - exact).abs() <= quantile * error);
                }
            }
        }
        let coverage = covered as f64 / all as f64;
        assert!((0.93..=0.97).contains(&coverage), "{estimator}: {coverage} of {all}");
    }
}

#[test]
fn antithetic_pairs_spread_as_the_oracle_says() {
    for Toy { name, mut game, case } in games() {
        let exact = numbers(&case["sigma_antithetic_pair_mean"]);
        let mut rng = rng(3);
        let mut sampled = Sampled::default();
        for _ in 0..4000 {
            sampled.push(walks(&mut game, 1, &mut rng));
        }
        for (error, exact) in sampled.error().iter().zip(&exact) {
            let found = error * 4000.0_f64.sqrt();
            // A standard deviation from 4000 draws is known within 1/sqrt(8000) = 1.1 % for normal
            // ones; games with rare large contributions have several times that.
            assert!((found - exact).abs() <= 0.1 * exact + 1e-6, "{name}: {found}, exact {exact}");
        }
    }
}

#[test]
fn official_walks_and_scores_are_those_of_the_official_code() {
    let mut traces = 0;
    for Toy { name, game, case } in games() {
        // Accuracy in percent.
        let percent: Vec<f64> = numbers(&case["values"]).iter().map(|value| 100.0 * value / 8192.0).collect();
        drop(game);
        let mut game = TableGame::new(percent).unwrap();
        for trace in case["traces"].as_array().unwrap() {
            let threshold = trace["threshold"].as_f64().unwrap();
            let variants = [
                ("evaluations", "official_score"),
                ("imagenet_variant_evaluations", "imagenet_variant_score"),
            ];
            for (variant, (evaluations, score)) in variants.into_iter().enumerate() {
                if trace.get(score).is_none_or(Value::is_null) {
                    continue;
                }
                let ops = case["shape"][2].as_u64().unwrap_or(1) as usize;
                let keep =
                    |player: usize, present: &[bool]| variant == 1 && official::is_last(player, present, ops);
                let mut walks = Vec::new();
                for (walk_index, order) in trace["permutations"].as_array().unwrap().iter().enumerate() {
                    let order: Vec<usize> =
                        numbers(order).into_iter().map(|player| player as usize).collect();
                    let Ok(walk) = walk(&mut game, &order, &keep, &|value, full| value < threshold * full);
                    assert_eq!(Value::from(walk.evaluations), trace[evaluations][walk_index], "{name}");
                    if variant == 0 {
                        close(&walk.losses, &numbers(&trace["deltas_percent"][walk_index]), 1e-9);
                    }
                    walks.push(walk.losses);
                }
                close(&official::scores(&walks), &numbers(&trace[score]), 1e-9);
                traces += 1;
            }
        }
    }
    assert!(traces > 100, "{traces}");
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{found}, expected {expected}"
        );
    }
}

#[test]
fn alphas_move_as_in_the_official_code() {
    for case in fixture("pipeline.json")["alpha_update"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let pair = |value: &Value| [numbers(&value[0]), numbers(&value[1])];
        let (mut alphas, mut accumulated) = (pair(&case["alpha0"]), pair(&case["accum0"]));
        for step in case["steps"].as_array().unwrap() {
            let scores = pair(&step["shapley"]);
            for cell in 0..2 {
                let z = official::z_scores(&scores[cell], true);
                let (momentum, size) = (number("momentum"), number("step_size"));
                official::update(&mut alphas[cell], &mut accumulated[cell], &z, momentum, size);
                // The fixture has nine decimals of values that were fp32.
                close(&alphas[cell], &pair(&step["alpha"])[cell], 1e-6);
                close(&accumulated[cell], &pair(&step["accum"])[cell], 1e-6);
            }
        }
    }
}

#[test]
fn equal_scores_are_nan_only_if_asked_for() {
    assert!(official::z_scores(&[0.1; 7], true).iter().all(|z| z.is_nan()));
    assert_eq!(official::z_scores(&[0.1; 7], false), [0.0; 7]);
}

#[test]
fn residuals_of_multilinear_games_are_zero_and_noise_corrects_nothing() {
    let Toy { mut game, .. } = games().into_iter().find(|toy| toy.game.players() == 12).unwrap();
    let mut residuals = Residuals::new(2);
    let Ok(()) = residuals.measure(&mut game, 12, &|player| player % 2, &mut rng(1));
    assert_eq!(residuals.correction(0), (0.0, 0.0));
}

/// A game that is not multilinear: derivatives are off by a known amount.
struct Curved;

impl crate::game::Game for Curved {
    type Error = std::convert::Infallible;

    fn players(&self) -> usize {
        6
    }

    fn value(&mut self, present: &[bool]) -> Result<f64, Self::Error> {
        Ok(present.iter().filter(|&&present| present).count() as f64)
    }

    fn gradient(&mut self, present: &[bool]) -> Result<(f64, Vec<f64>), Self::Error> {
        let value = self.value(present)?;
        Ok((value, (0..6).map(|player| 0.75 + 0.01 * f64::from(player % 3)).collect()))
    }
}

#[test]
fn residuals_correct_what_derivatives_miss() {
    let mut residuals = Residuals::new(1);
    for seed in 0..20 {
        let Ok(()) = residuals.measure(&mut Curved, 6, &|_| 0, &mut rng(seed));
    }
    let (correction, error) = residuals.correction(0);
    assert!((correction - 0.24).abs() < 0.002 && error < 0.002, "{correction} ± {error}");
}

#[test]
fn clear_differences_are_separated_and_noise_is_not() {
    use rand::Rng as _;
    let mut rng = rng(2);
    let (mut clear, mut noise) = (Sampled::default(), Sampled::default());
    for _ in 0..4 {
        let noise_of = |rng: &mut Rng| rng.random_range(-1e-3..1e-3);
        clear.push((0..196).map(|player| (player * 37 % 197) as f64 + noise_of(&mut rng)).collect());
        noise.push((0..196).map(|_| noise_of(&mut rng)).collect());
    }
    assert_eq!(clear.separated(0.95), [28, 8]);
    let [edges, nodes] = noise.separated(0.95);
    // Two nodes have no third edge, so nothing can be wrong there.
    assert!(edges < 8 && (2..6).contains(&nodes), "{edges}, {nodes}");
    assert_eq!(Sampled::default().separated(0.95), [0, 0]);
}

proptest! {
    /// Whole walks share out exactly what all players make together.
    #[test]
    fn walks_are_efficient(values in prop::collection::vec(-5.0..5.0, 32), seed in any::<u64>(), index in 0_usize..6) {
        let total = values[31] - values[0];
        let mut game = TableGame::new(values).unwrap();
        let order = order(5, 3, index, &mut rng(seed));
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..5).collect::<Vec<_>>());
        let Ok(walk) = walk(&mut game, &order, &|_, _| false, &|_, _| false);
        prop_assert!((walk.losses.iter().sum::<f64>() - total).abs() < 1e-9);
    }
}
