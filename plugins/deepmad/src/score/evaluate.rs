//! The formulas of `mad-score`.

use nashost_plugin_api::architecture::Spec;
use nashost_tinynas::{
    Class, Structure,
    stage::{Exponents, Maps, check_widths, stages},
    structure::StructureError,
};

use super::{Config, Objective, SeMaps, Variant};

/// Why a structure has no score. Where the official code would go on with −9999, it is named.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// The spec is none of TinyNAS, or makes no network.
    #[error("defined for TinyNAS structures only: {0}")]
    Structure(#[from] StructureError),
    /// Stages and weights do not correspond.
    #[error(
        "{stages} stages, but {weights} stage weights; the official code gives −9999 (ValueError: lengths must be equal)"
    )]
    Stages {
        /// Stages of the structure.
        stages: usize,
        /// Weights of the configuration.
        weights: usize,
    },
    /// A class of blocks without the official method.
    #[error(
        "not defined for {class}; the official code gives −9999 (AttributeError: '{inner}' object has no attribute '{method}')",
        inner = .class.name().trim_start_matches("Super")
    )]
    Class {
        /// The class.
        class: Class,
        /// The official method that it lacks.
        method: &'static str,
    },
    /// The official depth penalty looks at five super-blocks.
    #[error(
        "{0} super-blocks, but the official depth penalty of SuperResK1KXK1 is defined for 5 (the official code stops with an AssertionError); objective `repaired` takes any number"
    )]
    SuperBlocks(usize),
    /// A map without pixels.
    #[error("the map at the end of stage {stage} has no pixel for images of {height}×{width}")]
    NoPixel {
        /// Number of the stage, from 1.
        stage: usize,
        /// Rows of the images.
        height: usize,
        /// Columns of the images.
        width: usize,
    },
    /// A penalty that is larger than any number.
    #[error("the depth penalty of objective `paper` exceeds the largest number (depths {0:?})")]
    Overflow(Vec<usize>),
}

/// The terms of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    /// `α_j` times its term, by stage.
    pub stages: Vec<f64>,
    /// `β Q`, to be subtracted; 0 without penalty.
    pub penalty: f64,
}

/// Computes `mad-score`.
#[derive(Debug, Clone)]
pub struct Evaluator {
    config: Config,
    weights: Vec<f64>,
}

impl Evaluator {
    /// Takes up a valid configuration.
    pub fn new(config: Config) -> Self {
        Self { weights: config.stage_weights(), config }
    }

    /// Scores a spec for images of `size` (height, width).
    ///
    /// # Errors
    ///
    /// Fails with the reason why the score is undefined.
    pub fn score_spec(&self, spec: &Spec, size: [usize; 2]) -> Result<f64, Undefined> {
        self.score(&structure(spec)?, size)
    }

    /// Scores a valid structure for images of `size` (height, width).
    ///
    /// # Errors
    ///
    /// Fails with the reason why the score is undefined.
    pub fn score(&self, structure: &Structure, size: [usize; 2]) -> Result<f64, Undefined> {
        let mut score = -self.penalty(structure)?;
        self.visit(structure, size, |term| score += term)?;
        Ok(score)
    }

    /// Answers the terms of [`Evaluator::score`].
    ///
    /// # Errors
    ///
    /// Fails with the reason why the score is undefined.
    pub fn parts(&self, structure: &Structure, size: [usize; 2]) -> Result<Parts, Undefined> {
        let mut stages = Vec::with_capacity(self.weights.len());
        self.visit(structure, size, |term| stages.push(term))?;
        Ok(Parts { stages, penalty: self.penalty(structure)? })
    }

    /// Hands each stage's weighted term to `take`. Nothing is allocated, and a super-block costs
    /// the same whatever its depth: this is what a search spends its time on.
    fn visit(
        &self,
        structure: &Structure,
        size: [usize; 2],
        mut take: impl FnMut(f64),
    ) -> Result<(), Undefined> {
        let config = &self.config;
        let size = config.resolution.map_or(size, |side| [side as usize; 2]);
        let exponents = match config.variant {
            Variant::Deepmad => {
                check_widths(structure)
                    .map_err(|class| Undefined::Class { class, method: "get_deepmad_forward" })?;
                Exponents { channels: config.channel_exponent, kernels: config.kernel_exponent }
            }
            Variant::Madnas => Exponents::default(),
        };
        let maps = match config.se_maps {
            SeMaps::Official => Maps::Official,
            SeMaps::Repaired => Maps::Actual,
        };
        let found = structure.blocks.iter().skip(1).filter(|block| block.stride == 2).count() + 1;
        if found != self.weights.len() {
            return Err(Undefined::Stages { stages: found, weights: self.weights.len() });
        }
        for (index, stage) in stages(structure, size, maps, exponents).enumerate() {
            let weight = self.weights[index];
            let channels = stage.channels as f64;
            take(if weight == 0.0 {
                0.0
            } else if config.variant == Variant::Madnas {
                weight * (stage.entropy + channels.ln())
            } else {
                let pixels = stage.size[0] * stage.size[1];
                if pixels == 0 {
                    return Err(Undefined::NoPixel { stage: index + 1, height: size[0], width: size[1] });
                }
                weight * (channels * pixels as f64).ln() * stage.entropy
            });
        }
        Ok(())
    }

    /// Returns `β Q`.
    fn penalty(&self, structure: &Structure) -> Result<f64, Undefined> {
        let Config { variant, objective, depth_penalty, .. } = self.config;
        if variant == Variant::Madnas || depth_penalty == 0.0 {
            return Ok(0.0);
        }
        let depths = || structure.depths();
        let q = match objective {
            Objective::Official => match structure.blocks.get(1).map(|block| block.class) {
                Some(Class::K1KXK1) => {
                    if depths().count() != 5 {
                        return Err(Undefined::SuperBlocks(depths().count()));
                    }
                    uneven(depths().skip(2)).sqrt().exp()
                }
                Some(Class::KXKX) => uneven(depths().skip(1)).sqrt().exp(),
                _ => uneven(depths()).sqrt().exp(),
            },
            Objective::Repaired => uneven(depths().skip(1)).sqrt().exp(),
            Objective::Paper => uneven(depths()).exp(),
        };
        let penalty = depth_penalty * q;
        if penalty.is_finite() { Ok(penalty) } else { Err(Undefined::Overflow(depths().collect())) }
    }
}

/// Returns the variance (ddof 0) of `depths`; 0 if there are none.
pub fn uneven(depths: impl Iterator<Item = usize> + Clone) -> f64 {
    let count = depths.clone().count().max(1) as f64;
    let mean = depths.clone().sum::<usize>() as f64 / count;
    depths.map(|depth| (depth as f64 - mean).powi(2)).sum::<f64>() / count
}

/// Reads a spec.
pub(super) fn structure(spec: &Spec) -> Result<Structure, Undefined> {
    Ok(Structure::try_from(spec)?)
}
