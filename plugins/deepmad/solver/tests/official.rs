//! Scores and counts against the official code.

use nashost_deepmad_solver::{
    Chain, Choice, Design, Program,
    penalty::{Penalty, Spread},
    program::{BlockSpace, Budgets, Kind, Necks, Stage},
};
use serde_json::Value;

const ORACLE: &str = include_str!("../../../../tests/fixtures/deepmad/oracle.json");

/// The official code sums in another order.
const TOLERANCE: f64 = 1e-11;

/// The program that holds one structure; `None` if a class of blocks, or a width that falls, is not in
/// any program.
fn program(entry: &Value) -> Option<(Program, Design)> {
    let mut blocks = Vec::new();
    let mut choices = Vec::new();
    for block in entry["structure"].as_array()? {
        let number = |key: &str| block[key].as_u64().map(|x| x as u32);
        let kind = match block["class"].as_str()? {
            "ConvKXBNRELU" => Kind::Conv,
            "SuperResK1KXK1" => Kind::Bottleneck,
            "SuperResK1DWK1" => Kind::Depthwise,
            "SuperResK1DWSEK1" => Kind::DepthwiseSe,
            _ => return None,
        };
        let choice = Choice {
            width: number("out")?,
            neck: number("btn").unwrap_or(0),
            kernel: number("k")?,
            depth: number("L").unwrap_or(1),
        };
        blocks.push(BlockSpace {
            kind,
            stride: number("s")?,
            widths: [choice.width; 2],
            growth: None,
            necks: if choice.neck == 0 { Necks::None } else { Necks::Fixed(choice.neck) },
            kernels: vec![choice.kernel],
            depths: (choice.depth, Some(choice.depth)),
        });
        choices.push(choice);
    }
    if choices.windows(2).any(|pair| pair[1].width < pair[0].width) {
        return None;
    }
    let numbers = |key: &str| -> Vec<f64> {
        entry["official"][key].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let weights: Vec<f64> = entry["multi_block_ratio"].as_array()?.iter().filter_map(Value::as_f64).collect();
    let ends = numbers("stage_idx");
    let sides = numbers("stage_feature_map_size");
    if ends.len() != weights.len() || sides.iter().any(|side| *side < 1.0) {
        return None;
    }
    let stage = |j: usize| Stage { end: ends[j] as usize, weight: weights[j], side: sides[j] };
    let supers = blocks.iter().enumerate().filter(|(_, block)| block.kind.has_neck());
    let skipped = if blocks[1].kind == Kind::Bottleneck { 2 } else { 0 };
    let penalized = supers.map(|(i, _)| i).skip(skipped).collect();
    let program = Program {
        name: entry["id"].as_str()?.into(),
        image: entry["flops_resolution"].as_u64()? as u32,
        channels: entry["structure"][0]["in"].as_u64()? as u32,
        step: 1,
        stages: (0..ends.len()).map(stage).collect(),
        penalty: Penalty {
            scale: entry["depth_penalty_ratio"].as_f64()?,
            spread: Spread::Deviation,
            blocks: penalized,
        },
        budgets: Budgets::default(),
        blocks,
    };
    Some((program, choices.into_iter().collect()))
}

#[test]
fn evaluations_equal_the_official_ones() {
    let oracle: Value = serde_json::from_str(ORACLE).expect("the oracle is JSON");
    let mut seen = 0;
    for entry in oracle["entries"].as_array().expect("a list") {
        if entry["score_type"] != "deepmad" {
            continue;
        }
        let Some((program, design)) = program(entry) else { continue };
        let evaluation =
            Chain::new(&program).expect("a sound program").evaluate(&design).expect("in the space");
        let official = &entry["official"];
        let number = |value: &Value| value.as_f64().expect("a number");
        let id = &entry["id"];
        assert_eq!(evaluation.costs[0], number(&official["model_size"]), "{id}");
        assert_eq!(evaluation.costs[1], number(&official["flops"]), "{id}");
        assert_eq!(evaluation.layers, number(&official["layers"]), "{id}");
        let close = |x: f64, y: f64| (x - y).abs() <= TOLERANCE * y.abs();
        assert!(close(evaluation.rho, number(&official["efficient_score"])), "{id}");
        assert!(close(evaluation.score + evaluation.penalty, number(&official["deepmad"]["raw"])), "{id}");
        if let Some(score) = official["search_score"].as_f64() {
            assert!(close(evaluation.score, score), "{id}: {} {score}", evaluation.score);
        }
        seen += 1;
    }
    assert!(seen > 40, "only {seen} structures were compared");
}
