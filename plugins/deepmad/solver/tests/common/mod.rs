//! Small programs, and every structure in them.

use nashost_deepmad_solver::{
    Chain, Choice, Design, Program,
    penalty::{Penalty, Spread},
    program::{Additive, BlockSpace, Budgets, Kind, Monomials, Necks, Stage, UnitCost},
};
use proptest::prelude::*;

/// Calls `visit` with every structure of the space.
pub(crate) fn every_structure(program: &Program, visit: &mut dyn FnMut(&Design)) {
    let mut choices = Vec::new();
    extend(program, &mut choices, visit);
}

fn extend(program: &Program, choices: &mut Vec<Choice>, visit: &mut dyn FnMut(&Design)) {
    let Some(block) = program.blocks.get(choices.len()) else {
        visit(&choices.iter().copied().collect());
        return;
    };
    let [low, high] = block.widths;
    let necks: Vec<u32> =
        if block.kind == Kind::Conv { vec![0] } else { (1..=12).map(|i| i * program.step).collect() };
    for width in (low..=high).step_by(program.step as usize) {
        let follows =
            |before: u32| width >= before && block.growth.is_none_or(|growth| width <= growth * before);
        if choices.last().is_some_and(|choice| !follows(choice.width)) {
            continue;
        }
        for neck in &necks {
            for kernel in &block.kernels {
                for depth in block.depths.0..=block.depths.1.expect("a depth limit") {
                    choices.push(Choice { width, neck: *neck, kernel: *kernel, depth });
                    extend(program, choices, visit);
                    choices.pop();
                }
            }
        }
    }
}

/// Returns the best score under the budgets, by looking at every structure.
pub(crate) fn brute_force(program: &Program) -> Option<f64> {
    let chain = Chain::new(program).expect("a sound program");
    let mut best: Option<f64> = None;
    every_structure(program, &mut |design| {
        if let Some(evaluation) = chain.evaluate(design).filter(|e| chain.keeps_budgets(e)) {
            best = Some(best.map_or(evaluation.score, |score| score.max(evaluation.score)));
        }
    });
    best
}

fn block(kind: Kind) -> impl Strategy<Value = BlockSpace> {
    let necks = if kind == Kind::Bottleneck {
        prop_oneof![
            Just(Necks::Range { least: 0.1, most: 1.0 }),
            Just(Necks::Range { least: 0.5, most: 1.5 }),
            Just(Necks::Fixed(16)),
        ]
        .boxed()
    } else {
        prop_oneof![Just(Necks::Ratios(vec![1.5, 2.0, 3.0])), Just(Necks::Range { least: 1.0, most: 3.0 })]
            .boxed()
    };
    (1..=2_u32, 0..=1_u32, 1..=2_u32, prop::option::of(2..=4_u32), necks, 1..=2_usize, 1..=3_u32).prop_map(
        move |(stride, low, more, growth, necks, kernels, depth)| BlockSpace {
            kind,
            stride,
            widths: [8 + 8 * low, 8 + 8 * (low + more)],
            growth,
            necks,
            kernels: vec![3, 5][..kernels].to_vec(),
            depths: (1, Some(depth)),
        },
    )
}

fn conv(kernel: u32, stride: u32, widths: [u32; 2]) -> BlockSpace {
    BlockSpace {
        kind: Kind::Conv,
        stride,
        widths,
        growth: None,
        necks: Necks::None,
        kernels: vec![kernel],
        depths: (1, Some(1)),
    }
}

/// Programs of two super-blocks that can be searched through, over all kinds of blocks, penalties and
/// budgets. Budgets are given as shares of the way from the cheapest to the dearest structure.
pub(crate) fn small_programs() -> impl Strategy<Value = Program> {
    let kinds = prop_oneof![Just(Kind::Bottleneck), Just(Kind::Depthwise), Just(Kind::DepthwiseSe)];
    kinds
        .prop_flat_map(|kind| {
            let penalty = (any::<bool>(), 0.0..20.0f64, prop::sample::subsequence(vec![1_usize, 2], 0..=2));
            let shares = prop::array::uniform5(prop::option::weighted(0.7, 0.02..1.0f64));
            (block(kind), block(kind), any::<bool>(), penalty, shares, 0.0..8.0f64)
        })
        .prop_map(|(first, second, head, (deviation, scale, blocks), shares, weight)| {
            let mut chain = vec![conv(3, 2, [8, 16]), first, second];
            if head {
                chain.push(conv(1, 1, [32, 32]));
            }
            let end = chain.len() - 1;
            let stage = |end, weight, side| Stage { end, weight, side };
            let mut program = Program {
                name: "small".into(),
                image: 32,
                channels: 3,
                step: 8,
                stages: vec![stage(0, 1.0, 16.0), stage(1, 1.0, 8.0), stage(end, weight, 4.0)],
                penalty: Penalty {
                    scale,
                    spread: if deviation { Spread::Deviation } else { Spread::Variance },
                    blocks,
                },
                budgets: Budgets { additive: Some(latency(&chain)), ..Budgets::default() },
                blocks: chain,
            };
            set_budgets(&mut program, shares);
            program
        })
}

/// A cost with every monomial and a table over bottlenecks.
fn latency(chain: &[BlockSpace]) -> Additive {
    let cost = |kernel: u32| UnitCost {
        first: Monomials {
            one: 3.0,
            cin: 0.1,
            b: 0.2,
            cin_b: 0.01,
            b2: 0.002,
            cin_c: 0.003,
            ..Monomials::default()
        },
        rest: Monomials { one: 2.0, c: 0.1, c_b: 0.01 * f64::from(kernel), ..Monomials::default() },
        // Uneven, as measured tables are.
        necks: (0..=12).map(|i| f64::from((i * 7) % 5)).collect(),
    };
    let blocks = chain.iter().map(|block| block.kernels.iter().map(|k| cost(*k)).collect()).collect();
    Additive { name: "latency".into(), max: 1e9, blocks }
}

fn set_budgets(program: &mut Program, shares: [Option<f64>; 5]) {
    let chain = Chain::new(program).expect("a sound program");
    let mut low = [f64::INFINITY; 5];
    let mut high = [0.0_f64; 5];
    every_structure(program, &mut |design| {
        let Some(e) = chain.evaluate(design) else { return };
        let values = [e.costs[0], e.costs[1], e.layers, e.rho, e.costs[3]];
        for (i, value) in values.into_iter().enumerate() {
            low[i] = low[i].min(value);
            high[i] = high[i].max(value);
        }
    });
    let at = |i: usize| shares[i].map(|share| low[i] + share * (high[i] - low[i]));
    let budgets = &mut program.budgets;
    budgets.params = at(0);
    budgets.flops = at(1);
    budgets.layers = at(2).map(|layers| layers as u32);
    budgets.rho = at(3);
    match at(4) {
        Some(max) => budgets.additive.as_mut().expect("a latency").max = max,
        None => budgets.additive = None,
    }
}
