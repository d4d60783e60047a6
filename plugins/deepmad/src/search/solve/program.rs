//! From the run's space to the solver's program.

use nashost_deepmad_solver::{
    Choice, Design, Program,
    penalty::{Penalty, Spread},
    program::{BlockSpace, Budgets, Kind, Necks, Stage},
};
use nashost_plugin_api::component::PluginResult;
use nashost_tinynas::{
    Block, Class, Structure,
    stage::{Exponents, Maps, stages},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::score::{Objective, SeMaps};

/// Widths and bottlenecks are multiples of this, as the official mutations make them.
const STEP: u32 = 8;

/// The program that `anneal` and `exact` solve. Strides, classes, the number of blocks and a 1×1 head
/// are those of the space's initial structure; widths, bottlenecks, kernels and depths are free within
/// the limits of the official mutations.
///
/// The budgets must be given here as well as in `search.budget`: the solver needs their numbers. The
/// objective must be that of `score`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Most official parameters.
    pub params: Option<f64>,
    /// Most official FLOPs.
    pub flops: Option<f64>,
    /// Most official layers.
    pub layers: Option<u32>,
    /// Largest effectiveness ρ, at every stage end.
    pub rho: Option<f64>,
    /// Side of the images that FLOPs are counted for; that of the run's search by default.
    #[schemars(range(min = 1, max = 65_536))]
    pub image_size: Option<u32>,
    /// Side of the images that the score is meant for; that of the FLOPs by default.
    pub resolution: Option<u32>,
    /// Which depth penalty.
    pub objective: Objective,
    /// Weights of the stages; `[1, 1, 1, 1, 8]` by default.
    pub stage_weights: Option<Vec<f64>>,
    /// Weight of the depth penalty.
    pub depth_penalty: f64,
    /// How the side of the map is followed through squeeze-and-excitation.
    pub se_maps: SeMaps,
    /// Keeps the last super-block as it is, as the released code does in `k1kxk1`.
    pub freeze_last_block: bool,
    /// Lets the first super-block widen the stem without limit. Otherwise no super-block of `k1kxk1`
    /// is wider than four times what is before it.
    pub free_stem: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            params: None,
            flops: None,
            layers: None,
            rho: None,
            image_size: None,
            resolution: None,
            objective: Objective::Repaired,
            stage_weights: None,
            depth_penalty: 10.0,
            se_maps: SeMaps::Repaired,
            freeze_last_block: false,
            free_stem: false,
        }
    }
}

impl Config {
    /// States the program for networks like `initial` on images of `image_size`.
    ///
    /// # Errors
    ///
    /// Fails if the solver does not know a class of blocks, or if the program is unsound.
    pub fn program(&self, initial: &Structure, image_size: u32) -> PluginResult<Program> {
        let channels = initial.blocks.first().map_or(0, |block| block.input);
        let last = initial.blocks.len().saturating_sub(1);
        let head = initial.blocks.last().filter(|block| last > 0 && block.class == Class::Conv);
        let widest = head.map_or(2048, |head| head.output);
        let last_super = initial.blocks.iter().rposition(|block| block.class.is_super());
        let with_excitation = initial.blocks.iter().any(|block| block.class == Class::K1DWSEK1);
        let mut side = f64::from(image_size);
        let mut blocks = Vec::with_capacity(initial.blocks.len());
        for (i, block) in initial.blocks.iter().enumerate() {
            let space = if i > 0 && !block.class.is_super() || self.freeze_last_block && Some(i) == last_super
            {
                fixed(block)?
            } else {
                self.free(block, i, widest, side, with_excitation)?
            };
            blocks.push(space);
            side /= block.stride as f64;
        }
        let program = Program {
            name: "deepmad".into(),
            image: image_size,
            channels: u32::try_from(channels)?,
            step: STEP,
            stages: self.stages(initial, image_size)?,
            penalty: self.penalty(initial),
            budgets: Budgets {
                params: self.params,
                flops: self.flops,
                layers: self.layers,
                rho: self.rho,
                additive: None,
            },
            blocks,
        };
        program.check()?;
        Ok(program)
    }

    /// What the official mutation may make of a block on maps of `side`.
    fn free(
        &self,
        block: &Block,
        position: usize,
        widest: usize,
        side: f64,
        with_excitation: bool,
    ) -> PluginResult<BlockSpace> {
        let kind = kind(block.class)?;
        let (kernels, necks, growth): (&[u32], _, _) = match kind {
            Kind::Conv => (&[3], Necks::None, None),
            Kind::Bottleneck => (&[3, 5], Necks::Range { least: 0.1, most: 1.0 }, Some(4)),
            Kind::Depthwise => (&[3, 5], Necks::Ratios(vec![1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0]), None),
            Kind::DepthwiseSe => {
                let tenths = (15..=60).map(|tenths| f64::from(tenths) / 10.0);
                (&[3, 5, 7], Necks::Ratios(tenths.collect()), None)
            }
        };
        let first_super = position == 1;
        let most = if kind == Kind::Bottleneck { 2048 } else { widest.min(1280) };
        // The stem's own kernel stays.
        let kernels =
            if kind == Kind::Conv { vec![u32::try_from(block.kernel)?] } else { on_map(kernels, side) };
        Ok(BlockSpace {
            kind,
            stride: u32::try_from(block.stride)?,
            widths: match kind {
                Kind::Conv => [if with_excitation { 16 } else { STEP }, 32],
                _ => [STEP, u32::try_from(most)? / STEP * STEP],
            },
            growth: growth.filter(|_| !(first_super && self.free_stem)),
            necks,
            kernels,
            depths: match kind {
                Kind::Conv => (1, Some(1)),
                Kind::Bottleneck if first_super => (1, Some(3)),
                _ => (1, None),
            },
        })
    }

    fn stages(&self, initial: &Structure, image_size: u32) -> PluginResult<Vec<Stage>> {
        let maps = match self.se_maps {
            SeMaps::Official => Maps::Official,
            SeMaps::Repaired => Maps::Actual,
        };
        let side = self.resolution.unwrap_or(image_size) as usize;
        let ends: Vec<_> = stages(initial, [side; 2], maps, Exponents::default()).collect();
        let weights = self.stage_weights.clone().unwrap_or_else(|| vec![1.0, 1.0, 1.0, 1.0, 8.0]);
        if ends.len() != weights.len() {
            let message =
                format!("the structure has {} stages, but `stage_weights` {}", ends.len(), weights.len());
            return Err(message.into());
        }
        let stage = |(end, weight): (&nashost_tinynas::stage::Stage, f64)| Stage {
            end: end.block,
            weight,
            side: end.size[0] as f64,
        };
        Ok(ends.iter().zip(weights).map(stage).collect())
    }

    fn penalty(&self, initial: &Structure) -> Penalty {
        let supers = || initial.blocks.iter().enumerate().filter(|(_, block)| block.class.is_super());
        let bottlenecks = supers().any(|(_, block)| block.class == Class::K1KXK1);
        let (spread, skipped) = match self.objective {
            Objective::Official => (Spread::Deviation, if bottlenecks { 2 } else { 0 }),
            Objective::Repaired => (Spread::Deviation, 1),
            Objective::Paper => (Spread::Variance, 0),
        };
        let blocks = supers().skip(skipped).map(|(i, _)| i).collect();
        Penalty { scale: self.depth_penalty, spread, blocks }
    }
}

fn kind(class: Class) -> PluginResult<Kind> {
    match class {
        Class::Conv => Ok(Kind::Conv),
        Class::K1KXK1 => Ok(Kind::Bottleneck),
        Class::K1DWK1 => Ok(Kind::Depthwise),
        Class::K1DWSEK1 => Ok(Kind::DepthwiseSe),
        Class::K1KX | Class::KXKX => Err(format!(
            "mad-score is not defined for {class}, so there is nothing to solve; `evolution` takes any score"
        )
        .into()),
    }
}

/// A block that stays as it is.
fn fixed(block: &Block) -> PluginResult<BlockSpace> {
    let width = u32::try_from(block.output)?;
    let depth = u32::try_from(block.depth())?;
    let necks = match block.bottleneck {
        Some(neck) => Necks::Fixed(u32::try_from(neck)?),
        None => Necks::None,
    };
    Ok(BlockSpace {
        kind: kind(block.class)?,
        stride: u32::try_from(block.stride)?,
        widths: [width; 2],
        growth: None,
        necks,
        kernels: vec![u32::try_from(block.kernel)?],
        depths: (depth, Some(depth)),
    })
}

/// The kernels that the official mutation leaves on maps of `side`: at most two thirds of it.
fn on_map(kernels: &[u32], side: f64) -> Vec<u32> {
    let shrink = |kernel: &u32| {
        let mut kernel = *kernel;
        while kernel > 1 && 1.5 * f64::from(kernel) > side {
            kernel -= 2;
        }
        kernel
    };
    let mut kernels: Vec<u32> = kernels.iter().map(shrink).collect();
    kernels.dedup();
    kernels
}

/// Writes a solution as a structure like `initial`.
pub(super) fn structure(initial: &Structure, design: &Design) -> Structure {
    let mut structure = initial.clone();
    for (block, choice) in structure.blocks.iter_mut().zip(design.choices()) {
        let Choice { width, neck, kernel, depth } = *choice;
        block.output = width as usize;
        block.kernel = kernel as usize;
        if block.class.is_super() {
            block.bottleneck = Some(neck as usize);
            block.units = Some(depth as usize);
        }
    }
    structure.thread();
    structure
}
