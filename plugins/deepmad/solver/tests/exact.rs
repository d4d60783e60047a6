//! Optima against brute force, proofs against what is published, certificates against each other.

mod common;

use std::ops::ControlFlow;

use common::{brute_force, every_structure, small_programs};
use nashost_deepmad_solver::{
    Chain, Design, Objective, Program,
    anneal::{self, anneal},
    exact::{self, Certificate, Search, State, solve},
    preset,
    verify::{count, verify},
};
use proptest::prelude::*;

/// Annealing for a program with some thousand structures.
fn short() -> anneal::Options {
    anneal::Options { restarts: 2, steps: 3_000, ..Default::default() }
}

fn prove(program: &Program, annealing: &anneal::Options) -> Certificate {
    solve(program, annealing, exact::Options::default(), 1, &|| false)
        .expect("a sound program")
        .expect("a feasible program")
}

/// R18 as the released search leaves it, with the last block frozen: the smallest published setting.
fn middling() -> Program {
    preset::find("deepmad-r18-frozen").expect("a preset").with_objective(Objective::Official)
}

/// Its optimum, as another program proved it.
const OPTIMUM: f64 = 29659.4150;

fn start(program: &Program) -> Design {
    let annealing = anneal::Options { restarts: 1, steps: 200_000, ..Default::default() };
    let chain = Chain::new(program).expect("a sound program");
    anneal::restart(&chain, &annealing, 1, 0, &|| false).expect("a structure").design
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn small_optima_equal_brute_force(program in small_programs(), limit in prop_oneof![Just(3_u64), Just(100_000)]) {
        let Some(truth) = brute_force(&program) else { return Ok(()) };
        let chain = Chain::new(&program).unwrap();
        // Any feasible structure will do to start from; annealing may miss the feasible ones.
        let mut first = None;
        every_structure(&program, &mut |design| {
            let fits = || chain.evaluate(design).is_some_and(|e| chain.keeps_budgets(&e));
            if first.is_none() && fits() {
                first = Some(*design);
            }
        });
        let mut search =
            Search::new(&program, &first.unwrap(), exact::Options { gap: 0.0, limit }).unwrap();
        let certificate = search.run(|_| ControlFlow::Continue(()), &|| false);
        prop_assert!(certificate.proven);
        let tolerance = 1e-9 * truth.abs();
        prop_assert!((certificate.score - truth).abs() <= tolerance, "{} {truth}", certificate.score);
        prop_assert!(certificate.upper_bound >= truth - tolerance);
        verify(&certificate).unwrap();
    }

    #[test]
    fn bounds_hold_at_any_time_and_annealing_never_beats_them(program in small_programs()) {
        let Some(truth) = brute_force(&program) else { return Ok(()) };
        let chain = Chain::new(&program).unwrap();
        let Some(found) = anneal(&chain, &short(), 7, &|| false) else { return Ok(()) };
        let tolerance = 1e-9 * truth.abs();
        prop_assert!(found.evaluation.score <= truth + tolerance);
        let mut search = Search::new(&program, &found.design, exact::Options::default()).unwrap();
        let mut least = f64::INFINITY;
        search.run(|progress| {
            least = least.min(progress.upper_bound);
            ControlFlow::Continue(())
        }, &|| false);
        prop_assert!(least >= truth - tolerance, "{least} {truth}");
    }

    #[test]
    fn both_routes_of_evaluation_agree(program in small_programs(), pick in 0..10_000_usize) {
        let chain = Chain::new(&program).unwrap();
        let mut all = Vec::new();
        every_structure(&program, &mut |design| all.extend(chain.evaluate(design).map(|e| (*design, e))));
        let (design, fast): (Design, _) = all[pick % all.len()];
        let direct = count(&program, design.choices());
        prop_assert_eq!(direct.params, fast.costs[0]);
        prop_assert_eq!(direct.flops, fast.costs[1]);
        prop_assert_eq!(direct.layers, fast.layers);
        let close = |x: f64, y: f64| (x - y).abs() <= 1e-12 * x.abs().max(1.0);
        prop_assert!(close(direct.score, fast.score), "{} {}", direct.score, fast.score);
        prop_assert!(close(direct.rho, fast.rho));
        if let Some(additive) = direct.additive {
            prop_assert!(close(additive, fast.costs[3]));
        }
    }
}

#[test]
fn a_middling_proof_is_the_same_resumed_anywhere_and_in_any_number_of_threads() {
    let program = middling();
    let first = start(&program);
    let mut search = Search::new(&program, &first, exact::Options::default()).unwrap();
    let whole = search.run(|_| ControlFlow::Continue(()), &|| false);
    assert!(whole.proven && whole.gap == 0.0, "{whole:?}");
    assert!((whole.score - OPTIMUM).abs() < 1e-4);
    verify(&whole).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut search = Search::new(&program, &first, exact::Options::default()).unwrap();
    for pause in (1..=7).cycle() {
        for _ in 0..pause {
            pool.install(|| search.batch(&|| false));
        }
        // An interrupted batch leaves no trace.
        search.batch(&|| true);
        let text = serde_json::to_string(search.state()).unwrap();
        search = Search::resume(serde_json::from_str::<State>(&text).unwrap()).unwrap();
        if search.is_done() {
            break;
        }
    }
    assert!(search.certificate().agrees(&whole), "{:?}\n{whole:?}", search.certificate());
}

/// Proves the middling program up to 2 %.
fn rough() -> Certificate {
    let program = middling();
    let options = exact::Options { gap: 0.02, ..Default::default() };
    let mut search = Search::new(&program, &start(&program), options).expect("a feasible start");
    search.run(|_| ControlFlow::Continue(()), &|| false)
}

#[test]
fn a_wanted_gap_ends_the_search_early() {
    let certificate = rough();
    assert!(certificate.proven && certificate.gap <= 0.02 + 1e-12, "{certificate:?}");
    assert!(certificate.score <= OPTIMUM + 1e-4 && certificate.upper_bound >= OPTIMUM - 1e-4);
}

#[test]
fn a_wrong_certificate_is_refuted() {
    let sound = rough();
    verify(&sound).unwrap();
    let refute = |change: &dyn Fn(&mut Certificate)| {
        let mut wrong = sound.clone();
        change(&mut wrong);
        verify(&wrong).unwrap_err().to_string()
    };
    assert!(refute(&|c| c.score *= 1.0 + 1e-6).contains("the score is"));
    assert!(refute(&|c| c.program.budgets.params = Some(1e6)).contains("params is"));
    assert!(refute(&|c| c.structure.choices_mut()[3].neck += 1).contains("block 3: the bottleneck"));
    assert!(refute(&|c| c.upper_bound *= 1.5).contains("upper bound"));
}

/// Optima: the official ones were proven before by another program, the others by this one; see
/// `docs/deepmad-exact.md`.
#[test]
#[ignore = "long: cargo xtask test --long"]
fn published_settings_are_solved_to_their_known_optima() {
    let cases = [
        ("deepmad-r18", Objective::Official, false, 36538.3386),
        ("deepmad-r50", Objective::Official, false, 52048.4355),
        ("deepmad-r18-frozen", Objective::Official, false, 29659.4150),
        ("deepmad-r50", Objective::Official, true, 52117.9354),
        ("deepmad-r18", Objective::Repaired, false, 35665.3390),
        ("deepmad-r50", Objective::Repaired, false, 50673.8586),
        ("deepmad-r50", Objective::Paper, false, 35783.7510),
    ];
    for (name, objective, free_stem, optimum) in cases {
        let mut program = preset::find(name).unwrap().with_objective(objective);
        if free_stem {
            program = program.with_free_stem();
        }
        let chain = Chain::new(&program).unwrap();
        for seed in 1..=2 {
            let annealed = anneal(&chain, &anneal::Options::default(), seed, &|| false).unwrap();
            let score = annealed.evaluation.score;
            assert!(score > optimum * (1.0 - 5e-4), "{name}, seed {seed}: {score} by annealing");
        }
        let certificate = prove(&program, &anneal::Options::default());
        verify(&certificate).unwrap();
        assert!(certificate.proven && (certificate.score - optimum).abs() < 1e-4, "{name}: {certificate:?}");
    }
}
