//! The published settings as programs.
//!
//! Spaces, budgets and weights are those of the configurations of the official code
//! (alibaba/lightweight-neural-architecture-search); the widths are multiples of 8, as its mutations
//! make them.

use crate::{
    penalty::{Objective, Penalty, Spread},
    program::{BlockSpace, Budgets, Kind, Necks, Program, Stage},
};

/// Names of the presets, for [`find`].
pub const NAMES: [&str; 12] = [
    "deepmad-r18",
    "deepmad-r34",
    "deepmad-r50",
    "deepmad-50-layers",
    "deepmad-29m-224",
    "deepmad-29m-288",
    "deepmad-50m",
    "deepmad-89m",
    "deepmad-mbv2",
    "deepmad-cifar",
    "deepmad-r18-frozen",
    "deepmad-r50-frozen",
];

/// β of every published configuration.
const BETA: f64 = 10.0;
/// α of every published configuration.
const ALPHA: [f64; 5] = [1.0, 1.0, 1.0, 1.0, 8.0];

/// Returns a preset by name, with the default objective.
pub fn find(name: &str) -> Option<Program> {
    let budgets = |flops, params, rho| Budgets {
        flops: Some(flops),
        params: Some(params),
        rho: Some(rho),
        ..Budgets::default()
    };
    let (r18, r50) = (budgets(1.82e9, 11.69e6, 0.3), budgets(4.13e9, 25.55e6, 0.3));
    let mut program = match name {
        "deepmad-r18" => bottleneck(224, r18),
        "deepmad-r34" => bottleneck(224, budgets(3.68e9, 21.80e6, 0.3)),
        "deepmad-r50" => bottleneck(224, r50),
        "deepmad-50-layers" => bottleneck(224, Budgets { layers: Some(49), ..r50 }),
        "deepmad-r18-frozen" => frozen(bottleneck(224, r18)),
        "deepmad-r50-frozen" => frozen(bottleneck(224, r50)),
        "deepmad-cifar" => bottleneck(32, budgets(0.6e9, 11.69e6, 0.3)),
        "deepmad-29m-224" => excitation(224, [16, 32], [2, 2, 2, 2, 1], 1792, budgets(4.5e9, 29e6, 0.5)),
        "deepmad-29m-288" => excitation(288, [16, 32], [2, 2, 2, 1, 2], 1792, budgets(4.5e9, 29e6, 0.5)),
        "deepmad-50m" => excitation(224, [16, 32], [2, 2, 2, 2, 1], 2048, budgets(8.7e9, 50e6, 0.5)),
        "deepmad-89m" => excitation(224, [16, 32], [2, 2, 2, 2, 1], 2560, budgets(15.4e9, 89e6, 0.5)),
        "deepmad-mbv2" => {
            let budgets = Budgets { layers: Some(53), ..budgets(300e6, 3.5e6, 0.5) };
            depthwise(Kind::Depthwise, 224, [8, 32], [2, 2, 2, 1, 2], 1280, budgets)
        }
        _ => return None,
    };
    program.name = name.into();
    Some(program)
}

impl Program {
    /// Returns the program with another objective.
    #[must_use]
    pub fn with_objective(mut self, objective: Objective) -> Self {
        let supers: Vec<usize> = (0..self.blocks.len()).filter(|i| self.blocks[*i].kind.has_neck()).collect();
        // The code trims the list of super-blocks twice, but only that of bottleneck networks.
        let trimmed = match objective {
            Objective::Official if supers.iter().any(|i| self.blocks[*i].kind != Kind::Bottleneck) => 0,
            Objective::Official => 2,
            Objective::Repaired => 1,
            Objective::Paper => 0,
        };
        self.penalty.blocks = supers.into_iter().skip(trimmed).collect();
        self.penalty.spread =
            if objective == Objective::Paper { Spread::Variance } else { Spread::Deviation };
        self
    }

    /// Returns the program without a limit on how much the first super-block widens the stem, as the
    /// official mutation leaves it.
    #[must_use]
    pub fn with_free_stem(mut self) -> Self {
        self.blocks[1].growth = None;
        self
    }
}

/// The k1kxk1 space: a stem and five super-blocks in five stages.
fn bottleneck(image: u32, budgets: Budgets) -> Program {
    let strides = [2, 2, 2, 1, 2];
    let mut blocks = vec![conv(3, 2, [8, 32])];
    blocks.extend(strides.iter().enumerate().map(|(i, stride)| BlockSpace {
        kind: Kind::Bottleneck,
        stride: *stride,
        widths: [8, 2048],
        growth: Some(4),
        necks: Necks::Range { least: 0.1, most: 1.0 },
        kernels: vec![3, 5],
        depths: (1, (i == 0).then_some(3)),
    }));
    program(image, blocks, [0, 1, 2, 4, 5], false, budgets)
}

/// The last block as the released search leaves it: it draws block numbers with an exclusive end.
fn frozen(mut program: Program) -> Program {
    if let Some(last) = program.blocks.last_mut() {
        last.widths = [2048, 2048];
        last.necks = Necks::Fixed(512);
        last.kernels = vec![3];
        last.depths = (1, Some(1));
    }
    program
}

fn excitation(image: u32, stem: [u32; 2], strides: [u32; 5], head: u32, budgets: Budgets) -> Program {
    depthwise(Kind::DepthwiseSe, image, stem, strides, head, budgets)
}

/// The k1dwk1 and k1dwsek1 spaces: a stem, five super-blocks, and a 1×1 head that never changes.
fn depthwise(
    kind: Kind,
    image: u32,
    stem: [u32; 2],
    strides: [u32; 5],
    head: u32,
    budgets: Budgets,
) -> Program {
    let excited = kind == Kind::DepthwiseSe;
    let ratios = if excited {
        (15..=60).map(|tenths| f64::from(tenths) / 10.0).collect()
    } else {
        vec![1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0]
    };
    let mut blocks = vec![conv(3, 2, stem)];
    blocks.extend(strides.iter().map(|stride| BlockSpace {
        kind,
        stride: *stride,
        widths: [8, head.min(1280)],
        growth: None,
        necks: Necks::Ratios(ratios.clone()),
        kernels: if excited { vec![3, 5, 7] } else { vec![3, 5] },
        depths: (1, None),
    }));
    blocks.push(conv(1, 1, [head, head]));
    // A stage ends before each stride of 2, and at the head.
    let ends: Vec<usize> = (0..=5).filter(|i| *i == 5 || strides[*i] == 2).collect();
    let mut all = [0; 5];
    for (slot, end) in all.iter_mut().zip(ends) {
        *slot = if end == 5 { 6 } else { end };
    }
    program(image, blocks, all, excited, budgets)
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

/// The score always takes the image to have 224 px, whatever the setting says; and where a block has
/// squeeze-and-excitation it takes the maps from there on to have one.
fn program(
    image: u32,
    blocks: Vec<BlockSpace>,
    ends: [usize; 5],
    excited: bool,
    budgets: Budgets,
) -> Program {
    let sides = if excited { [112.0, 1.0, 1.0, 1.0, 1.0] } else { [112.0, 56.0, 28.0, 14.0, 7.0] };
    let stages = (0..5).map(|j| Stage { end: ends[j], weight: ALPHA[j], side: sides[j] }).collect();
    let penalty = Penalty { scale: BETA, spread: Spread::Deviation, blocks: Vec::new() };
    Program { name: String::new(), image, channels: 3, step: 8, blocks, stages, penalty, budgets }
        .with_objective(Objective::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_sound_program() {
        for name in NAMES {
            find(name).expect(name).check().expect(name);
        }
        assert_eq!(find("deepmad-r19"), None);
    }

    #[test]
    fn the_official_penalty_leaves_out_two_blocks_of_bottleneck_networks() {
        let official = |name| find(name).expect(name).with_objective(Objective::Official).penalty.blocks;
        assert_eq!(official("deepmad-r18"), [3, 4, 5]);
        assert_eq!(official("deepmad-29m-224"), [1, 2, 3, 4, 5]);
        assert_eq!(find("deepmad-r18").expect("a preset").penalty.blocks, [2, 3, 4, 5]);
    }
}
