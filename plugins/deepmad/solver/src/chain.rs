//! The program compiled for speed: logarithms, costs and limits in tables, and the evaluation.

use crate::{
    cost,
    design::Design,
    program::{
        Additive, BlockSpace, Kind, MAX_BLOCKS, Monomials, Necks, Program, ProgramError, UnitCost,
        smart_round,
    },
};

/// Most resources: parameters, FLOPs, layers, a further one.
pub const MAX_RESOURCES: usize = 4;

/// A cost that is summed over units and bounded.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Its name.
    pub name: String,
    /// Largest allowed sum; infinite where it is counted but not bounded.
    pub max: f64,
}

/// One kernel of a block.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pub(crate) side: u32,
    /// ln k
    pub(crate) log: f64,
    /// Costs by resource.
    pub(crate) costs: Vec<UnitCost>,
}

/// One block, compiled. Widths and bottlenecks are counted in steps.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) layers: f64,
    pub(crate) kernels: Vec<Kernel>,
    /// Least and largest width.
    pub(crate) widths: [usize; 2],
    /// Largest ratio to the width before.
    pub(crate) growth: usize,
    /// Bottlenecks by width; ascending; empty for a width that the block cannot have.
    pub(crate) necks: Vec<Vec<usize>>,
    /// Whether the bottlenecks of every width are a whole range and no cost is a table over them; then
    /// the best bottleneck has a closed form.
    pub(crate) concave: bool,
    /// Exponent of b in the entropy of a unit: the log of its widths is ½ ln cin + e ln b + ln k.
    pub(crate) neck_power: f64,
    pub(crate) depths: [u32; 2],
    /// The stage that it ends.
    pub(crate) stage: Option<usize>,
}

/// What a block adds, given the width before it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Terms {
    pub(crate) costs: [f64; MAX_RESOURCES],
    pub(crate) entropy: f64,
    pub(crate) layers: f64,
}

/// A width in its three forms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) steps: usize,
    pub(crate) channels: f64,
    pub(crate) log: f64,
}

/// Score and costs of a structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The objective, penalty included.
    pub score: f64,
    /// What was taken off for uneven depths.
    pub penalty: f64,
    /// Sums by resource, in the order of [`Chain::resources`].
    pub costs: [f64; MAX_RESOURCES],
    /// Largest effectiveness ρ over stages.
    pub rho: f64,
    /// Number of layers.
    pub layers: f64,
}

/// A compiled [`Program`].
#[derive(Debug, Clone)]
pub struct Chain {
    pub(crate) program: Program,
    pub(crate) blocks: Vec<Block>,
    pub(crate) resources: Vec<Resource>,
    /// ln(i · step)
    pub(crate) logs: Vec<f64>,
    /// The program's step, for arithmetic.
    pub(crate) step: f64,
    /// α (ln c + 2 ln side) by stage and width.
    pub(crate) factors: Vec<Vec<f64>>,
    /// ln ρ₀, if ρ is bounded.
    pub(crate) log_rho: Option<f64>,
}

/// Where the layers stand among the resources.
pub(crate) const LAYERS: usize = 2;

impl Chain {
    /// Compiles a program.
    ///
    /// # Errors
    ///
    /// Fails if [`Program::check`] does, or if a table is too short.
    pub fn new(program: &Program) -> Result<Self, ProgramError> {
        program.check()?;
        let step = program.step;
        let budgets = &program.budgets;
        let limit = |max: Option<f64>| max.unwrap_or(f64::INFINITY);
        let mut resources = vec![
            Resource { name: "params".into(), max: limit(budgets.params) },
            Resource { name: "flops".into(), max: limit(budgets.flops) },
            Resource { name: "layers".into(), max: limit(budgets.layers.map(f64::from)) },
        ];
        resources.extend(budgets.additive.iter().map(|a| Resource { name: a.name.clone(), max: a.max }));
        let mut side = f64::from(program.image);
        let mut blocks = Vec::new();
        for (i, space) in program.blocks.iter().enumerate() {
            let additive = budgets.additive.as_ref().map(|a| (a, i));
            let mut block = compile(space, step, side, additive).map_err(|problem| program.error(problem))?;
            block.stage = program.stages.iter().position(|stage| stage.end == i);
            blocks.push(block);
            side /= f64::from(space.stride);
        }
        let longest =
            blocks.iter().flat_map(|b| b.necks.iter().flatten().copied().chain([b.widths[1]])).max();
        let mut chain = Self {
            program: program.clone(),
            resources,
            logs: (0..=longest.unwrap_or(0) + 1).map(|i| (f64::from(step) * i as f64).ln()).collect(),
            step: f64::from(step),
            factors: Vec::new(),
            log_rho: budgets.rho.map(f64::ln),
            blocks,
        };
        for stage in &program.stages {
            let of_width = |log: &f64| stage.weight * (log + 2.0 * stage.side.ln());
            chain.factors.push(chain.logs.iter().map(of_width).collect());
        }
        chain.bound_depths();
        Ok(chain)
    }

    /// Replaces open depth limits by those that a budget implies: every unit costs at least the least
    /// cost of a unit, and the other blocks have at least one unit each.
    fn bound_depths(&mut self) {
        for i in 0..self.blocks.len() {
            let block = &self.blocks[i];
            if block.depths[1] != u32::MAX {
                continue;
            }
            let width = self.step * block.widths[0] as f64;
            let neck = block.necks.iter().flatten().min().copied().unwrap_or(0);
            let most = self.resources.iter().enumerate().map(|(r, resource)| {
                let least = block
                    .kernels
                    .iter()
                    .map(|k| k.costs[r].rest.at(0.0, width, self.step * neck as f64))
                    .fold(f64::INFINITY, f64::min);
                if least > 0.0 { resource.max / least } else { f64::INFINITY }
            });
            let most = most.fold(f64::from(u32::MAX / 2), f64::min);
            // Costs grow with every width, so no feasible structure is deeper.
            self.blocks[i].depths[1] = (most as u32).saturating_add(1).max(self.blocks[i].depths[0]);
        }
    }

    /// Returns the program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Returns the same program without a penalty.
    pub(crate) fn without_penalty(&self) -> Self {
        let mut free = self.clone();
        free.program.penalty.scale = 0.0;
        free
    }

    /// Returns the resources: `params`, `flops`, `layers`, and the further one, if any.
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// Returns what is wrong with a structure apart from budgets, or `None` if it lies in the space.
    pub fn misfit(&self, design: &Design) -> Option<String> {
        let choices = design.choices();
        if choices.len() != self.blocks.len() {
            return Some(format!("has {} blocks, not {}", choices.len(), self.blocks.len()));
        }
        let step = self.program.step;
        let mut before = 0_usize;
        for (i, (block, choice)) in self.blocks.iter().zip(choices).enumerate() {
            let width = (choice.width / step) as usize;
            let [low, high] = block.widths;
            let wrong = if !choice.width.is_multiple_of(step) || !(low..=high).contains(&width) {
                Some("width is outside the space")
            } else if i > 0 && width < before {
                Some("width is less than the one before")
            } else if i > 0 && width > before.saturating_mul(block.growth) {
                Some("width grows too much")
            } else if !self.allows_neck(block, width, choice.neck) {
                Some("bottleneck is outside the space")
            } else if block.kernels.iter().all(|k| k.side != choice.kernel) {
                Some("kernel is outside the space")
            } else if !(block.depths[0]..=block.depths[1]).contains(&choice.depth) {
                Some("depth is outside the space")
            } else {
                None
            };
            if let Some(what) = wrong {
                return Some(format!("block {i}: {what}"));
            }
            before = width;
        }
        None
    }

    fn allows_neck(&self, block: &Block, width: usize, neck: u32) -> bool {
        if !block.kind.has_neck() {
            return neck == 0;
        }
        neck.is_multiple_of(self.program.step)
            && block.necks[width].binary_search(&((neck / self.program.step) as usize)).is_ok()
    }

    /// Returns score and costs of a structure, or `None` if it does not lie in the space. Budgets are
    /// not looked at; see [`Chain::keeps_budgets`].
    pub fn evaluate(&self, design: &Design) -> Option<Evaluation> {
        if self.misfit(design).is_some() {
            return None;
        }
        let mut terms = [Terms::default(); MAX_BLOCKS];
        for (i, terms) in terms.iter_mut().enumerate().take(self.blocks.len()) {
            *terms = self.terms(i, design);
        }
        Some(self.combine(&terms, design))
    }

    /// Whether a structure keeps every budget.
    pub fn keeps_budgets(&self, evaluation: &Evaluation) -> bool {
        let fits = self.resources.iter().zip(&evaluation.costs).all(|(r, cost)| *cost <= r.max);
        fits && self.program.budgets.rho.is_none_or(|rho| evaluation.rho <= rho)
    }

    /// Returns what block `i` of a structure of this space adds.
    #[inline]
    pub(crate) fn terms(&self, i: usize, design: &Design) -> Terms {
        let choices = design.choices();
        let step = self.program.step;
        let before = if i == 0 { self.channels() } else { self.size((choices[i - 1].width / step) as usize) };
        let choice = choices[i];
        let block = &self.blocks[i];
        let kernel = block.kernels.iter().position(|k| k.side == choice.kernel).unwrap_or(0);
        let neck = self.size((choice.neck / step) as usize);
        block.terms(before, self.size((choice.width / step) as usize), kernel, neck, f64::from(choice.depth))
    }

    /// Returns the channels of an image as a size.
    pub(crate) fn channels(&self) -> Size {
        let channels = f64::from(self.program.channels);
        Size { steps: 0, channels, log: channels.ln() }
    }

    /// Returns a width or bottleneck of that many steps as a size.
    #[inline]
    pub(crate) fn size(&self, steps: usize) -> Size {
        Size { steps, channels: self.step * steps as f64, log: self.logs[steps] }
    }

    /// Sums up the blocks' terms.
    #[inline]
    pub(crate) fn combine(&self, terms: &[Terms; MAX_BLOCKS], design: &Design) -> Evaluation {
        let mut costs = [0.0; MAX_RESOURCES];
        let (mut entropy, mut layers, mut score, mut rho) = (0.0, 0.0, 0.0, 0.0_f64);
        let mut depths = [0.0; MAX_BLOCKS];
        for (i, block) in self.blocks.iter().enumerate() {
            let term = &terms[i];
            for (sum, cost) in costs.iter_mut().zip(&term.costs) {
                *sum += cost;
            }
            entropy += term.entropy;
            layers += term.layers;
            let choice = design.choices()[i];
            depths[i] = f64::from(choice.depth);
            if let Some(stage) = block.stage {
                score += self.factors[stage][choice.width as usize / self.step as usize] * entropy;
                rho = rho.max(layers * (-2.0 * entropy / layers).exp());
            }
        }
        let penalty = self.program.penalty.value(&depths[..self.blocks.len()]);
        Evaluation { score: score - penalty, penalty, costs, rho, layers }
    }

    /// The entropy that `layers` layers need for the effectiveness to keep its bound:
    /// ρ = D e^(−2T/D) ≤ ρ₀ means T ≥ ½ D (ln D − ln ρ₀). Returns it with its slope in D; it is convex.
    pub(crate) fn entropy_needed(&self, layers: f64, log_rho: f64) -> (f64, f64) {
        let excess = layers.ln() - log_rho;
        (0.5 * layers * excess, 0.5 * (excess + 1.0))
    }
}

impl Block {
    /// Returns what the block adds.
    #[inline]
    pub(crate) fn terms(&self, before: Size, width: Size, kernel: usize, neck: Size, depth: f64) -> Terms {
        let kernel = &self.kernels[kernel];
        let mut terms = Terms { layers: self.layers * depth, ..Terms::default() };
        for (cost, unit) in terms.costs.iter_mut().zip(&kernel.costs) {
            *cost = unit.at(before.channels, width.channels, neck.channels, neck.steps, depth);
        }
        let inner = if self.kind.has_neck() { self.neck_power * neck.log } else { 0.0 };
        terms.entropy = 0.5 * before.log + 0.5 * (depth - 1.0) * width.log + depth * (inner + kernel.log);
        terms
    }
}

fn compile(
    space: &BlockSpace,
    step: u32,
    side: f64,
    additive: Option<(&Additive, usize)>,
) -> Result<Block, String> {
    let in_steps = |x: u32| (x / step) as usize;
    let widths = space.widths.map(in_steps);
    let mut necks = vec![Vec::new(); widths[1] + 1];
    for (width, necks) in necks.iter_mut().enumerate().skip(widths[0]) {
        *necks = bottlenecks(&space.necks, width, step);
    }
    let widest = necks.iter().flatten().max().copied().unwrap_or(0);
    let mut tables = false;
    let mut kernels = Vec::new();
    for (k, kernel) in space.kernels.iter().enumerate() {
        let layers = Monomials { one: f64::from(space.kind.layers()), ..Default::default() };
        let mut costs = vec![
            cost::params(space.kind, *kernel, step, widest),
            cost::flops(space.kind, *kernel, space.stride, side),
            UnitCost { first: layers, rest: layers, necks: Vec::new() },
        ];
        if let Some((additive, i)) = additive {
            let unit = additive.blocks[i][k].clone();
            if !unit.necks.is_empty() && unit.necks.len() <= widest {
                return Err(format!(
                    "`{}`, block {i}: the table ends before b = {}",
                    additive.name,
                    widest as u32 * step
                ));
            }
            costs.push(unit);
        }
        tables |= costs.iter().any(|cost| !cost.necks.is_empty());
        kernels.push(Kernel { side: *kernel, log: f64::from(*kernel).ln(), costs });
    }
    let contiguous = matches!(space.necks, Necks::Range { .. } | Necks::Fixed(_) | Necks::None);
    Ok(Block {
        kind: space.kind,
        layers: f64::from(space.kind.layers()),
        kernels,
        widths,
        growth: space.growth.map_or(usize::MAX, |g| g as usize),
        necks,
        concave: contiguous && !tables,
        neck_power: if space.kind == Kind::Bottleneck { 1.0 } else { 0.5 },
        depths: [space.depths.0, space.depths.1.unwrap_or(u32::MAX)],
        stage: None,
    })
}

/// The bottlenecks of a block of `width` steps, in steps, ascending.
fn bottlenecks(necks: &Necks, width: usize, step: u32) -> Vec<usize> {
    let c = f64::from(step) * width as f64;
    match necks {
        Necks::None => Vec::new(),
        Necks::Fixed(b) => vec![(b / step) as usize],
        Necks::Range { least, most } => {
            let low = (smart_round(least * c, step) / step) as usize;
            let high = ((most * c / f64::from(step)).floor() as usize).max(1);
            (low..=high).collect()
        }
        Necks::Ratios(ratios) => {
            let mut all: Vec<usize> =
                ratios.iter().map(|r| (smart_round(r * c, step) / step) as usize).collect();
            all.sort_unstable();
            all.dedup();
            all
        }
    }
}
