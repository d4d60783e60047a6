//! Checks a certificate by another route than the search: layer by layer, from the definitions.
//!
//! Nothing here uses the compiled program. Every convolution of every unit is written out; parameters
//! are weights plus two per BN channel, FLOPs are counted map by map, the effectiveness comes from the
//! geometric mean of the layers' widths. Only structure and score can be checked so. That nothing scores
//! more is the search's claim; `verify_highs.py` lets a MILP solver check it at the optimal depths.

use crate::{
    design::Choice,
    exact::Certificate,
    penalty::Spread,
    program::{BlockSpace, Kind, Necks, Program, smart_round},
};

/// Scores may differ by this, relative: the two routes add up in different orders.
const TOLERANCE: f64 = 1e-9;

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refuted {
    /// The structure does not lie in the space.
    #[error("block {block}: {what}")]
    Space {
        /// Number of the block.
        block: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A budget is broken.
    #[error("{budget} is {value}, the budget is {max}")]
    Budget {
        /// Name of the budget.
        budget: String,
        /// What the structure costs.
        value: f64,
        /// What it may cost.
        max: f64,
    },
    /// The score is another.
    #[error("the score is {actual}, not {claimed}")]
    Score {
        /// What the certificate says.
        claimed: f64,
        /// What the structure scores.
        actual: f64,
    },
    /// Bound, gap and status contradict each other.
    #[error("upper bound {upper_bound} and gap {gap} do not fit the score {score}")]
    Bound {
        /// The score.
        score: f64,
        /// The bound.
        upper_bound: f64,
        /// The gap.
        gap: f64,
    },
}

/// One convolution as it is executed.
struct Conv {
    input: f64,
    output: f64,
    kernel: f64,
    depthwise: bool,
    /// Side of its output.
    side: f64,
}

impl Conv {
    fn weights(&self) -> f64 {
        let inputs = if self.depthwise { 1.0 } else { self.input };
        inputs * self.output * self.kernel * self.kernel
    }

    /// Channels that a value of the next layer sums up, times taps: the width of DeepMAD.
    fn width(&self) -> f64 {
        (if self.depthwise { 1.0 } else { self.input }) * self.kernel * self.kernel
    }
}

/// What the direct count gives.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Direct {
    /// The objective, penalty included.
    pub score: f64,
    /// Parameters.
    pub params: f64,
    /// FLOPs.
    pub flops: f64,
    /// Layers.
    pub layers: f64,
    /// Largest effectiveness ρ over stages.
    pub rho: f64,
    /// The further additive cost, if the program has one.
    pub additive: Option<f64>,
}

/// Counts a structure from the definitions. The structure must have as many blocks as the program.
pub fn count(program: &Program, choices: &[Choice]) -> Direct {
    let mut direct = Direct::default();
    let mut side = f64::from(program.image);
    let mut width = f64::from(program.channels);
    let mut log_widths = Vec::new();
    let mut additive = 0.0;
    for (i, (block, choice)) in program.blocks.iter().zip(choices).enumerate() {
        for unit in 0..choice.depth {
            let stride = if unit == 0 { f64::from(block.stride) } else { 1.0 };
            let convs = convolutions(block.kind, choice, width, side, stride);
            for conv in &convs {
                log_widths.push(conv.width().ln());
                direct.params += conv.weights() + 2.0 * conv.output;
                direct.flops += (conv.weights() + 3.0 * conv.output) * conv.side * conv.side;
            }
            direct.layers += convs.len() as f64;
            shortcut(&mut direct, block.kind, choice, width, side, stride, unit == 0);
            if let Some(costs) = &program.budgets.additive {
                let kernel = block.kernels.iter().position(|k| *k == choice.kernel).unwrap_or(0);
                let cost = &costs.blocks[i][kernel];
                let (out, neck) = (f64::from(choice.width), f64::from(choice.neck));
                additive +=
                    if unit == 0 { cost.first.at(width, out, neck) } else { cost.rest.at(0.0, out, neck) };
                additive += cost.necks.get((choice.neck / program.step) as usize).copied().unwrap_or(0.0);
            }
            width = f64::from(choice.width);
            side /= stride;
        }
        for stage in program.stages.iter().filter(|stage| stage.end == i) {
            let entropy = 0.5 * log_widths.iter().sum::<f64>();
            direct.score += stage.weight * (width * stage.side * stage.side).ln() * entropy;
            let mean = (log_widths.iter().sum::<f64>() / log_widths.len() as f64).exp();
            direct.rho = direct.rho.max(log_widths.len() as f64 / mean);
        }
    }
    direct.score -= penalty(program, choices);
    direct.additive = program.budgets.additive.as_ref().map(|_| additive);
    direct
}

fn convolutions(kind: Kind, choice: &Choice, width: f64, side: f64, stride: f64) -> Vec<Conv> {
    let (out, neck, kernel) = (f64::from(choice.width), f64::from(choice.neck), f64::from(choice.kernel));
    let after = side / stride;
    let conv = |input, output, kernel, depthwise, side| Conv { input, output, kernel, depthwise, side };
    match kind {
        Kind::Conv => vec![conv(width, out, kernel, false, after)],
        Kind::Bottleneck | Kind::Depthwise | Kind::DepthwiseSe => vec![
            conv(width, neck, 1.0, false, side),
            conv(neck, neck, kernel, kind != Kind::Bottleneck, after),
            conv(neck, out, 1.0, false, after),
        ],
    }
}

/// Adds what is no layer: the shortcut and squeeze-and-excitation.
fn shortcut(
    direct: &mut Direct,
    kind: Kind,
    choice: &Choice,
    width: f64,
    side: f64,
    stride: f64,
    first: bool,
) {
    let out = f64::from(choice.width);
    let after = side / stride;
    if kind == Kind::Bottleneck && first {
        direct.params += width * out + 2.0 * out;
        direct.flops += (width * out + 3.0 * out) * after * after;
    }
    let pooled = match kind {
        Kind::Conv => false,
        Kind::Bottleneck => true,
        Kind::Depthwise | Kind::DepthwiseSe => width == out,
    };
    if pooled && stride == 2.0 {
        direct.flops += width * side * side;
    }
    if kind == Kind::DepthwiseSe {
        let neck = choice.neck;
        let middle = f64::from((neck / 32).max(1) * 8);
        let neck = f64::from(neck);
        direct.params += neck * middle + middle + middle * neck + neck + middle + neck;
    }
}

fn penalty(program: &Program, choices: &[Choice]) -> f64 {
    let penalty = &program.penalty;
    let depths: Vec<f64> = penalty.blocks.iter().map(|i| f64::from(choices[*i].depth)).collect();
    if depths.is_empty() || penalty.scale == 0.0 {
        return 0.0;
    }
    let count = depths.len() as f64;
    let square = depths.iter().map(|d| d * d).sum::<f64>() / count;
    let variance = (square - (depths.iter().sum::<f64>() / count).powi(2)).max(0.0);
    match penalty.spread {
        Spread::Deviation => penalty.scale * variance.sqrt().exp(),
        Spread::Variance => penalty.scale * variance.exp(),
    }
}

/// Checks that the certificate's structure lies in its space and keeps its budgets, that its score is
/// right, and that bound and gap belong to it.
///
/// # Errors
///
/// Fails with the first thing that is wrong.
pub fn verify(certificate: &Certificate) -> Result<Direct, Refuted> {
    let Certificate { program, score, upper_bound, gap, .. } = certificate;
    let choices = certificate.structure.choices();
    in_space(program, choices)?;
    let direct = count(program, choices);
    let budgets = &program.budgets;
    let pairs = [
        ("params", direct.params, budgets.params),
        ("flops", direct.flops, budgets.flops),
        ("layers", direct.layers, budgets.layers.map(f64::from)),
        ("rho", direct.rho, budgets.rho.map(|rho| rho * (1.0 + TOLERANCE))),
    ];
    for (budget, value, max) in pairs {
        if let Some(max) = max.filter(|max| value > *max) {
            return Err(Refuted::Budget { budget: budget.into(), value, max });
        }
    }
    if let (Some(additive), Some(value)) = (&budgets.additive, direct.additive)
        && value > additive.max * (1.0 + TOLERANCE)
    {
        return Err(Refuted::Budget { budget: additive.name.clone(), value, max: additive.max });
    }
    if (direct.score - score).abs() > TOLERANCE * score.abs() {
        return Err(Refuted::Score { claimed: *score, actual: direct.score });
    }
    let consistent = upper_bound >= score && ((upper_bound - score) / score.abs() - gap).abs() <= TOLERANCE;
    if consistent {
        Ok(direct)
    } else {
        Err(Refuted::Bound { score: *score, upper_bound: *upper_bound, gap: *gap })
    }
}

fn in_space(program: &Program, choices: &[Choice]) -> Result<(), Refuted> {
    if choices.len() != program.blocks.len() {
        return Err(Refuted::Space { block: choices.len(), what: "the number of blocks is another" });
    }
    let mut before = None;
    for (block, (space, choice)) in program.blocks.iter().zip(choices).enumerate() {
        let [low, high] = space.widths;
        let wrong = |what| Err(Refuted::Space { block, what });
        if choice.width < low || choice.width > high || !choice.width.is_multiple_of(program.step) {
            return wrong("the width is outside the space");
        }
        if before.is_some_and(|before| choice.width < before) {
            return wrong("the width falls");
        }
        if before.is_some_and(|before| space.growth.is_some_and(|growth| choice.width > growth * before)) {
            return wrong("the width grows too much");
        }
        if !neck_allowed(program, space, choice) {
            return wrong("the bottleneck is outside the space");
        }
        if !space.kernels.contains(&choice.kernel) {
            return wrong("the kernel is outside the space");
        }
        let (least, most) = space.depths;
        if choice.depth < least || most.is_some_and(|most| choice.depth > most) {
            return wrong("the depth is outside the space");
        }
        before = Some(choice.width);
    }
    Ok(())
}

fn neck_allowed(program: &Program, space: &BlockSpace, choice: &Choice) -> bool {
    let width = f64::from(choice.width);
    match &space.necks {
        Necks::None => choice.neck == 0,
        Necks::Fixed(neck) => choice.neck == *neck,
        Necks::Range { least, most } => {
            choice.neck.is_multiple_of(program.step)
                && choice.neck >= smart_round(least * width, program.step)
                && f64::from(choice.neck) <= (most * width).max(f64::from(program.step))
        }
        Necks::Ratios(ratios) => ratios.iter().any(|r| smart_round(r * width, program.step) == choice.neck),
    }
}
