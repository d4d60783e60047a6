//! Adam and SGD over one flat buffer.
//!
//! An update touches five buffers several times. On a CPU it is done block by block, so that a
//! block stays in the cache from the first operation to the last and memory is read once; on a
//! GPU the whole buffer is one block.

use tch::{Device, Kind, TchError, Tensor};

use crate::config::train::{Optimizer as Choice, TrainConfig};

/// Values per block and thread on a CPU: five buffers of 256 KiB fit in a level-2 cache.
const BLOCK: i64 = 1 << 16;

/// Adam's decay of the mean of gradients (PyTorch's default).
const BETA1: f64 = 0.9;
/// Adam's decay of the mean of squared gradients (PyTorch's default).
const BETA2: f64 = 0.999;
/// Added to Adam's denominator (PyTorch's default).
const EPSILON: f64 = 1e-8;

/// What is remembered between steps: the names PyTorch gives it.
const ADAM_STATE: [&str; 2] = ["exp_avg", "exp_avg_sq"];
/// As [`ADAM_STATE`], for SGD.
const SGD_STATE: [&str; 1] = ["momentum_buffer"];

/// Views of one block of every buffer.
#[derive(Debug)]
struct Block {
    values: Tensor,
    gradient: Tensor,
    state: Vec<Tensor>,
    scratch: Tensor,
    decays: bool,
}

/// An optimizer of one buffer.
#[derive(Debug)]
pub struct Optimizer {
    rule: Rule,
    /// L2 penalty on the device, if there is one.
    weight_decay: Option<Tensor>,
    state: Vec<Tensor>,
    steps: i64,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Rule {
    Adam,
    Sgd { momentum: f64 },
}

impl Rule {
    fn state(self) -> &'static [&'static str] {
        match self {
            Self::Adam => &ADAM_STATE,
            Self::Sgd { .. } => &SGD_STATE,
        }
    }
}

impl Optimizer {
    /// Builds the optimizer that `config` names for the buffer `values`, which it updates in
    /// place from `gradient`. The first `decayed` values are under weight decay.
    ///
    /// # Errors
    ///
    /// Fails if the device's memory is full.
    pub fn new(config: &TrainConfig, values: &Tensor, gradient: &Tensor, decayed: i64) -> tch::Result<Self> {
        let rule = match config.optimizer {
            Choice::Adam => Rule::Adam,
            Choice::Sgd => Rule::Sgd { momentum: config.momentum },
        };
        let device = values.device();
        let state = rule.state().iter().map(|_| values.f_zeros_like()).collect::<tch::Result<Vec<_>>>()?;
        let total = values.numel() as i64;
        let longest = match device {
            Device::Cpu => (BLOCK * i64::from(tch::get_num_threads())).min(total),
            _ => total,
        };
        let scratch = Tensor::f_zeros([longest], (values.kind(), device))?;
        let mut blocks = Vec::new();
        for (from, to, decays) in [(0, decayed, true), (decayed, total, false)] {
            for start in (from..to).step_by(longest.max(1) as usize) {
                let length = longest.min(to - start);
                let view = |buffer: &Tensor| buffer.f_narrow(0, start, length);
                blocks.push(Block {
                    values: view(values)?,
                    gradient: view(gradient)?,
                    state: state.iter().map(view).collect::<Result<_, _>>()?,
                    scratch: scratch.f_narrow(0, 0, length)?,
                    decays,
                });
            }
        }
        let weight_decay = match config.weight_decay {
            0.0 => None,
            share => Some(Tensor::f_full([], share, (Kind::Float, device))?),
        };
        Ok(Self { rule, weight_decay, state, steps: 0, blocks })
    }

    /// Changes the values by one step of learning rate `lr`; the gradient buffer is overwritten.
    ///
    /// # Errors
    ///
    /// Fails if the device fails.
    pub fn step(&mut self, lr: f64) -> tch::Result<()> {
        let _guard = tch::no_grad_guard();
        self.steps += 1;
        let steps = self.steps as f64;
        // PyTorch divides by `sqrt(v) / correction2 + eps` and multiplies by `-lr / correction1`;
        // here the factor is part of the denominator, which saves one pass.
        let step_size = lr / (1.0 - BETA1.powf(steps));
        let correction2 = (1.0 - BETA2.powf(steps)).sqrt();
        let (factor, offset) = (-1.0 / (correction2 * step_size), -EPSILON / step_size);
        let device = self.state[0].device();
        let rate = Tensor::f_full([], -lr, (Kind::Float, device))?;
        for block in &mut self.blocks {
            let Block { values, gradient, state, scratch, decays } = block;
            if let (Some(share), true) = (&self.weight_decay, *decays) {
                let _ = gradient.f_addcmul_(values, share)?;
            }
            match self.rule {
                Rule::Adam => {
                    // Kingma & Ba 2015, algorithm 1.
                    let _ = state[0].f_lerp_(gradient, 1.0 - BETA1)?;
                    let _ = gradient.f_square_()?;
                    let _ = state[1].f_lerp_(gradient, 1.0 - BETA2)?;
                    let _ = state[1].f_sqrt_out(scratch)?;
                    let _ = scratch.f_mul_scalar_(factor)?.f_add_scalar_(offset)?;
                    let _ = values.f_addcdiv_(&state[0], scratch)?;
                }
                Rule::Sgd { momentum } => {
                    let _ = state[0].f_mul_scalar_(momentum)?.f_add_(gradient)?;
                    let _ = values.f_addcmul_(&state[0], &rate)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the names in [`Optimizer::state`].
    pub fn state_names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.rule.state().iter().copied().chain(["step"])
    }

    /// Returns everything that the next step depends on besides values and gradients: one tensor
    /// per name, with the number of steps as `step`. They are the optimizer's own memory, which the
    /// next step changes, because a device may have no room for a copy.
    pub fn state(&self) -> Vec<(&'static str, Tensor)> {
        let buffers = self.state.iter().map(Tensor::shallow_clone);
        let mut state: Vec<_> = self.rule.state().iter().copied().zip(buffers).collect();
        state.push(("step", Tensor::from(self.steps)));
        state
    }

    /// Takes up the state of [`Optimizer::state`], from any device.
    ///
    /// # Errors
    ///
    /// Fails, changing nothing, if names or sizes are those of another optimizer or network.
    pub fn restore(&mut self, state: &[(&str, Tensor)]) -> tch::Result<()> {
        let _guard = tch::no_grad_guard();
        let expected = self.state_names();
        let sizes = self.state.iter().map(Tensor::size).chain([vec![]]);
        let fits = state.len() == self.state.len() + 1
            && state
                .iter()
                .zip(expected.zip(sizes))
                .all(|((name, tensor), (expected, size))| *name == expected && tensor.size() == size);
        if !fits {
            return Err(TchError::Shape("optimizer state of another optimizer or network".to_owned()));
        }
        for (own, (_, saved)) in self.state.iter_mut().zip(state) {
            own.f_copy_(saved)?;
        }
        self.steps = i64::try_from(&state[self.state.len()].1)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// A buffer longer than one block, so that blocks of both regions take part.
    fn buffers(config: &TrainConfig) -> (Tensor, Tensor, Optimizer) {
        let total = 3 * BLOCK * i64::from(tch::get_num_threads()) + 17;
        let values = Tensor::linspace(-1.0, 1.0, total, CPU);
        let gradient = Tensor::zeros([total], CPU);
        let optimizer = Optimizer::new(config, &values, &gradient, total / 2).unwrap();
        (values, gradient, optimizer)
    }

    fn configs() -> [TrainConfig; 2] {
        let adam = TrainConfig { weight_decay: 0.1, ..TrainConfig::default() };
        [adam.clone(), TrainConfig { optimizer: Choice::Sgd, ..adam }]
    }

    fn set(gradient: &mut Tensor, step: u32) {
        let total = gradient.numel() as i64;
        gradient.copy_(&(Tensor::linspace(0.0, 60.0, total, CPU) + f64::from(step)).sin());
    }

    #[test]
    fn blocks_equal_the_textbook_in_double_precision() {
        for config in configs() {
            let (values, mut gradient, mut optimizer) = buffers(&config);
            let decayed = values.numel() as i64 / 2;
            let mut x = values.to_kind(Kind::Double);
            let (mut m, mut v) = (x.zeros_like(), x.zeros_like());
            for step in 1..=4 {
                set(&mut gradient, step);
                let g = gradient.to_kind(Kind::Double);
                let penalty = x.narrow(0, 0, decayed) * config.weight_decay;
                let mut head = g.narrow(0, 0, decayed);
                head += penalty;
                let change = match config.optimizer {
                    Choice::Adam => {
                        m = &m * BETA1 + &g * (1.0 - BETA1);
                        v = &v * BETA2 + g.square() * (1.0 - BETA2);
                        let m_hat = &m / (1.0 - BETA1.powi(step as i32));
                        let v_hat = &v / (1.0 - BETA2.powi(step as i32));
                        m_hat / (v_hat.sqrt() + EPSILON)
                    }
                    Choice::Sgd => {
                        m = &m * config.momentum + &g;
                        m.copy()
                    }
                };
                x -= change * config.lr;
                optimizer.step(config.lr).unwrap();
                // 32-bit rounding of values near 1, a few times per step.
                let worst = (&values - &x).abs().max().double_value(&[]);
                assert!(worst < 2e-6, "{:?}: off by {worst}", config.optimizer);
            }
        }
    }

    #[test]
    fn a_restored_state_continues_to_the_same_bits() {
        for config in configs() {
            let (values, mut gradient, mut whole) = buffers(&config);
            set(&mut gradient, 1);
            whole.step(config.lr).unwrap();
            let (mut other, mut other_gradient, mut resumed) = buffers(&config);
            other.copy_(&values);
            resumed.restore(&whole.state()).unwrap();
            for (gradient, optimizer) in [(&mut gradient, &mut whole), (&mut other_gradient, &mut resumed)] {
                set(gradient, 2);
                optimizer.step(config.lr).unwrap();
            }
            assert_eq!(values, other);
        }
    }

    #[test]
    fn a_foreign_state_is_refused() {
        let [adam, sgd] = configs();
        let (_, _, mut adam) = buffers(&adam);
        let (_, _, sgd) = buffers(&sgd);
        assert!(adam.restore(&sgd.state()).is_err());
        let mut shorter = adam.state();
        shorter[0].1 = Tensor::zeros([3], CPU);
        assert!(adam.restore(&shorter).is_err());
    }
}
