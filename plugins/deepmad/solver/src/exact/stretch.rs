//! The inner loop over the widths before a block, as stretches with one best bottleneck each.

use super::{curve::Curve, relaxation::Relaxation};
use crate::program::UnitCost;

/// Where a block ends, and what may stand before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The block.
    pub(super) i: usize,
    /// Its width.
    pub(super) width: usize,
    /// Its A.
    pub(super) weight: f64,
    /// Least and largest width before it.
    pub(super) before: (usize, usize),
}

/// A stretch of widths before a block for which one bottleneck is best: the block's part of the value
/// is `constant + slope · cin` there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) constant: f64,
    pub(super) slope: f64,
    pub(super) neck: usize,
}

/// Room that is used again and again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) stretches: Vec<Stretch>,
    pub(super) hull: Vec<(usize, f64)>,
}

impl Relaxation<'_> {
    /// Cuts the widths before block `i` into stretches with one best bottleneck.
    pub(super) fn stretches(&self, end: &End, depth: u32, kernel: usize, scratch: &mut Scratch) {
        let End { i, width, weight, before: (from, to) } = *end;
        let out = &mut scratch.stretches;
        out.clear();
        let chain = self.chain();
        let block = &chain.blocks[i];
        let step = chain.step;
        let units = f64::from(depth);
        let UnitCost { first, rest, necks: table } = self.unit(i, kernel);
        let c = step * width as f64;
        let more = units - 1.0;
        let constant = weight * (0.5 * more * chain.logs[width] + units * block.kernels[kernel].log)
            + self.per_unit(i) * units
            - (first.one + first.c * c)
            - more * (rest.one + rest.c * c);
        let slope = -(first.cin + first.cin_c * c);
        if !block.kind.has_neck() {
            out.push(Stretch { from, to, constant, slope, neck: 0 });
        } else {
            let curve = Curve {
                logs: &chain.logs,
                step,
                log_weight: weight * units * block.neck_power,
                square: first.b2 + more * rest.b2,
                table,
                units,
            };
            // The price of b is `fixed + rise · cin`.
            let fixed = first.b + first.c_b * c + more * (rest.b + rest.c_b * c);
            let rise = first.cin_b;
            let necks = &block.necks[width];
            let (Some(least), Some(most)) = (necks.first().copied(), necks.last().copied()) else { return };
            let mut push = |from: usize, to: usize, (neck, worth): (usize, f64)| {
                let b = step * neck as f64;
                let constant = constant + worth - fixed * b;
                out.push(Stretch { from, to, constant, slope: slope - rise * b, neck });
            };
            // The first width before which `lower` is better than `neck`.
            let reach = |neck: (usize, f64), lower: (usize, f64)| {
                if rise == 0.0 {
                    return to + 1;
                }
                let even = (neck.1 - lower.1) / (step * (neck.0 - lower.0) as f64);
                let last = ((even - fixed) / (rise * step)).floor();
                (last + 1.0).clamp(from as f64, (to + 1) as f64) as usize
            };
            let mut start = from;
            if block.concave {
                let at = |neck: usize| (neck, curve.at(neck));
                let mut neck = at(curve.peak(fixed + rise * step * from as f64, least, most));
                while start <= to {
                    let lower = at(neck.0.saturating_sub(1).max(least));
                    let end = if neck.0 == least { to + 1 } else { reach(neck, lower) };
                    if end > start {
                        push(start, end - 1, neck);
                        start = end;
                    }
                    neck = lower;
                }
            } else {
                curve.hull(necks, &mut scratch.hull);
                let hull = &scratch.hull;
                for (at, neck) in hull.iter().enumerate().rev() {
                    let end = if at == 0 { to + 1 } else { reach(*neck, hull[at - 1]) };
                    if end > start {
                        push(start, end - 1, *neck);
                        start = end;
                    }
                    if start > to {
                        break;
                    }
                }
            }
        }
        if first.same > 0.0 && to == width {
            split_off_same(out, width, first.same * c);
        }
    }
}

/// Takes what is added between equal widths off the last stretch, which ends there.
fn split_off_same(stretches: &mut Vec<Stretch>, width: usize, cost: f64) {
    let Some(last) = stretches.last_mut() else { return };
    let mut same = Stretch { from: width, ..*last };
    same.constant -= cost;
    if last.from == width {
        *last = same;
    } else {
        last.to = width - 1;
        stretches.push(same);
    }
}

/// The largest of `part[j] + slope · (from + j)`.
#[inline]
pub(super) fn peak(part: &[f64], slope: f64, from: usize) -> f64 {
    // Lanes without an order between them, which the compiler turns into vector instructions.
    const LANES: usize = 8;
    let mut best = [f64::NEG_INFINITY; LANES];
    let mut x: [f64; LANES] = std::array::from_fn(|lane| slope * (from + lane) as f64);
    let chunks = part.chunks_exact(LANES);
    let mut tail = f64::NEG_INFINITY;
    let done = part.len() - chunks.remainder().len();
    for (offset, value) in chunks.remainder().iter().enumerate() {
        tail = tail.max(value + slope * (from + done + offset) as f64);
    }
    let stride = slope * LANES as f64;
    for chunk in chunks {
        for lane in 0..LANES {
            let value = chunk[lane] + x[lane];
            best[lane] = if value > best[lane] { value } else { best[lane] };
            x[lane] += stride;
        }
    }
    best.iter().fold(tail, |a, b| a.max(*b))
}
