//! JPEG-LS (ITU-T T.87) of one component, lossless and near-lossless.
//!
//! No crate decodes JPEG-LS without CMake, and the method is small. Names are those of T.87.

use super::{CodecError, Samples, Shape, check_depth, check_size, fit, has_end};

/// Order of run segments (T.87, A.2.1).
const J: [u32; 32] =
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13, 14, 15];
/// Contexts of the regular mode (A.3.4).
const REGULAR: usize = 365;

pub(super) fn decode(data: &[u8], shape: Shape) -> Result<Samples, CodecError> {
    let (stream, scan) = Stream::read(data)?;
    check_size(stream.rows, stream.columns, stream.components, shape)?;
    check_depth(stream.precision, shape)?;
    if !has_end(data) {
        return Err(CodecError::Unfinished("JPEG-LS"));
    }
    let parameters = stream.parameters()?;
    let values = Scan::new(parameters, scan).decode(stream.rows, stream.columns)?;
    Ok(fit(values, shape))
}

/// What the segments in front of the scan say.
struct Stream {
    rows: usize,
    columns: usize,
    components: usize,
    precision: u16,
    /// MAXVAL, T1, T2, T3, RESET, where stated; 0 means the default (C.2.4.1.1).
    preset: [u16; 5],
    near: u8,
}

impl Stream {
    fn read(data: &[u8]) -> Result<(Self, &[u8]), CodecError> {
        let damaged = || CodecError::damaged("its JPEG-LS segments");
        let mut stream = None;
        let mut preset = [0; 5];
        let mut rest = data.strip_prefix(&[0xFF, 0xD8]).ok_or_else(damaged)?;
        loop {
            let [0xFF, marker, tail @ ..] = rest else { return Err(damaged()) };
            if *marker == 0xFF {
                rest = &rest[1..];
                continue;
            }
            let length = usize::from(u16::from_be_bytes(*tail.first_chunk().ok_or_else(damaged)?));
            let segment = tail.get(2..length).ok_or_else(damaged)?;
            let word = |at: usize| Some(u16::from_be_bytes(*segment.get(at..)?.first_chunk()?));
            match marker {
                0xF7 => {
                    let [precision, _, _, _, _, components, ..] = *segment else { return Err(damaged()) };
                    stream = Some(Self {
                        rows: word(1).ok_or_else(damaged)?.into(),
                        columns: word(3).ok_or_else(damaged)?.into(),
                        components: components.into(),
                        precision: precision.into(),
                        preset,
                        near: 0,
                    });
                }
                0xF8 => match segment.first() {
                    Some(1) => {
                        for (i, value) in preset.iter_mut().enumerate() {
                            *value = word(1 + 2 * i).ok_or_else(damaged)?;
                        }
                    }
                    _ => return Err(CodecError::Unsupported("JPEG-LS with mapping tables".to_owned())),
                },
                0xDD if segment.iter().any(|&byte| byte != 0) => {
                    return Err(CodecError::Unsupported("JPEG-LS with restart intervals".to_owned()));
                }
                0xDA => {
                    let mut stream = stream.ok_or_else(damaged)?;
                    // Ns = 1, C1, Tm1, NEAR, ILV, point transform (C.2.3).
                    let [1, _, 0, near, 0, 0] = *segment else {
                        return Err(CodecError::Unsupported("JPEG-LS with several components".to_owned()));
                    };
                    stream.preset = preset;
                    stream.near = near;
                    return Ok((stream, &tail[length..]));
                }
                _ => {}
            }
            rest = &tail[length..];
        }
    }

    /// Thresholds and lengths (C.2.4.1.1 and A.2.1).
    fn parameters(&self) -> Result<Parameters, CodecError> {
        let [maxval, t1, t2, t3, reset] = self.preset.map(i32::from);
        let full = (1 << self.precision) - 1;
        let maxval = if maxval == 0 { full } else { maxval };
        let near = i32::from(self.near);
        let clamp = |value: i32, least: i32| if value > maxval || value < least { least } else { value };
        let defaults = if maxval >= 128 {
            let factor = (maxval.min(4095) + 128) / 256;
            [factor + 2 + 3 * near, factor * 4 + 3 + 5 * near, factor * 17 + 4 + 7 * near]
        } else {
            let factor = 256 / (maxval + 1);
            [(3 / factor + 3 * near).max(2), (7 / factor + 5 * near).max(3), (21 / factor + 7 * near).max(4)]
        };
        let t1 = if t1 == 0 { clamp(defaults[0], near + 1) } else { t1 };
        let t2 = if t2 == 0 { clamp(defaults[1], t1) } else { t2 };
        let t3 = if t3 == 0 { clamp(defaults[2], t2) } else { t3 };
        if maxval > full || near > maxval / 2 || !(near < t1 && t1 <= t2 && t2 <= t3) {
            return Err(CodecError::damaged("its JPEG-LS parameters"));
        }
        let range = (maxval + 2 * near) / (2 * near + 1) + 1;
        let bits = |values: i32| 32 - (values - 1).leading_zeros();
        let bpp = bits(maxval + 1).max(2);
        Ok(Parameters {
            maxval,
            near,
            thresholds: [t1, t2, t3],
            reset: if reset == 0 { 64 } else { reset },
            range,
            qbpp: bits(range),
            limit: 2 * (bpp + bpp.max(8)),
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Parameters {
    maxval: i32,
    near: i32,
    thresholds: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
}

impl Parameters {
    /// Q of a gradient (A.3.3).
    fn quantise(&self, gradient: i32) -> i32 {
        let size = gradient.abs();
        let level = if size <= self.near {
            0
        } else {
            1 + self.thresholds.iter().filter(|&&t| size >= t).count() as i32
        };
        level * gradient.signum()
    }

    /// Rx of a prediction and an error (A.4.5 and A.5.3).
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }
}

/// A, B, C and N of a context; run contexts use B for Nn.
#[derive(Debug, Clone, Copy)]
struct Context {
    a: i64,
    b: i32,
    c: i32,
    n: i32,
}

struct Scan<'a> {
    p: Parameters,
    bits: Bits<'a>,
    regular: Vec<Context>,
    run: [Context; 2],
    run_index: usize,
}

impl<'a> Scan<'a> {
    fn new(p: Parameters, data: &'a [u8]) -> Self {
        let context = Context { a: ((p.range + 32) / 64).max(2).into(), b: 0, c: 0, n: 1 };
        Self {
            p,
            bits: Bits { data, at: 0, held: 0, count: 0, stuffed: false },
            regular: vec![context; REGULAR],
            run: [context; 2],
            run_index: 0,
        }
    }

    fn decode(mut self, rows: usize, columns: usize) -> Result<Vec<u16>, CodecError> {
        let mut values = Vec::with_capacity(rows * columns);
        // One column of padding at either side (A.2.1, figure A.1).
        let mut above = vec![0; columns + 2];
        let mut line = vec![0; columns + 2];
        for _ in 0..rows {
            above[columns + 1] = above[columns];
            line[0] = above[1];
            self.line(&above, &mut line).ok_or(CodecError::Unfinished("JPEG-LS"))?;
            values.extend(line[1..=columns].iter().map(|&value| value as u16));
            std::mem::swap(&mut above, &mut line);
        }
        Ok(values)
    }

    /// Decodes a line; none if the data end early or hold an impossible code.
    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Option<()> {
        let columns = line.len() - 2;
        let mut x = 1;
        while x <= columns {
            let (ra, rb, rc, rd) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let quantised = [rd - rb, rb - rc, rc - ra].map(|gradient| self.p.quantise(gradient));
            if quantised == [0; 3] {
                x += self.run(above, &mut line[..=columns], x)?;
            } else {
                line[x] = self.regular(quantised, ra, rb, rc)?;
                x += 1;
            }
        }
        Some(())
    }

    /// One pixel of the regular mode (A.4 to A.6).
    fn regular(&mut self, quantised: [i32; 3], ra: i32, rb: i32, rc: i32) -> Option<i32> {
        let number = 81 * quantised[0] + 9 * quantised[1] + quantised[2];
        let sign = if number < 0 { -1 } else { 1 };
        let context = self.regular[number.unsigned_abs() as usize];
        let edge = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let predicted = (edge + sign * context.c).clamp(0, self.p.maxval);
        let k = golomb_order(context.n, context.a)?;
        let mapped = self.bits.golomb(k, self.p.limit, self.p.qbpp).filter(|&m| m <= 2 * self.p.range)?;
        let flipped = self.p.near == 0 && k == 0 && 2 * context.b <= -context.n;
        let error = match (mapped % 2 == 0, flipped) {
            (true, false) => mapped / 2,
            (false, false) => -(mapped + 1) / 2,
            (true, true) => -(mapped / 2) - 1,
            (false, true) => (mapped - 1) / 2,
        };
        self.regular[number.unsigned_abs() as usize] = self.updated(context, error);
        Some(self.p.reconstruct(predicted, sign * error))
    }

    /// Context after an error (A.6).
    fn updated(&self, mut context: Context, error: i32) -> Context {
        context.b += error * (2 * self.p.near + 1);
        context.a += i64::from(error.abs());
        if context.n == self.p.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        if context.b <= -context.n {
            context.b = (context.b + context.n).max(1 - context.n);
            context.c = (context.c - 1).max(-128);
        } else if context.b > 0 {
            context.b = (context.b - context.n).min(0);
            context.c = (context.c + 1).min(127);
        }
        context
    }

    /// A run from `x` on, with the pixel that ends it (A.7); returns its pixels.
    fn run(&mut self, above: &[i32], line: &mut [i32], x: usize) -> Option<usize> {
        let ra = line[x - 1];
        let left = line.len() - x;
        let mut length = 0;
        while length < left && self.bits.bit()? == 1 {
            let segment = 1 << J[self.run_index];
            length += segment;
            if length <= left && self.run_index < 31 {
                self.run_index += 1;
            }
        }
        if length >= left {
            line[x..].fill(ra);
            return Some(left);
        }
        length += self.bits.bits(J[self.run_index])? as usize;
        if length >= left {
            return None;
        }
        line[x..x + length].fill(ra);
        let end = x + length;
        line[end] = self.run_end(ra, above[end])?;
        self.run_index = self.run_index.saturating_sub(1);
        Some(length + 1)
    }

    /// The pixel that ends a run (A.7.2).
    fn run_end(&mut self, ra: i32, rb: i32) -> Option<i32> {
        let kind = i32::from((ra - rb).abs() <= self.p.near);
        let mut context = self.run[kind as usize];
        let k = golomb_order(context.n, context.a + i64::from(kind * (context.n >> 1)))?;
        let limit = self.p.limit - J[self.run_index] - 1;
        let mapped = self.bits.golomb(k, limit, self.p.qbpp).filter(|&m| m <= 2 * self.p.range)?;
        let doubled = mapped + kind;
        let odd = doubled % 2;
        let size = (doubled + odd) / 2;
        let error = if (k != 0 || 2 * context.b >= context.n) == (odd == 1) { -size } else { size };
        if error < 0 {
            context.b += 1;
        }
        context.a += i64::from((mapped + 1 - kind) >> 1);
        if context.n == self.p.reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        self.run[kind as usize] = context;
        Some(match kind {
            1 => self.p.reconstruct(ra, error),
            _ => self.p.reconstruct(rb, if ra > rb { -error } else { error }),
        })
    }
}

/// The least k with N · 2ᵏ ≥ A (A.5.1).
fn golomb_order(n: i32, a: i64) -> Option<u32> {
    (0..24).find(|&k| i64::from(n) << k >= a)
}

/// Bits from the highest to the lowest; behind a byte 0xFF stands a stuffed 0 (A.1).
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
    stuffed: bool,
}

impl Bits<'_> {
    /// Holds more than 48 bits, or all that are left.
    fn refill(&mut self) {
        while self.count <= 48 {
            let Some(&byte) = self.data.get(self.at) else { return };
            if self.stuffed && byte & 0x80 != 0 {
                // A marker: the scan ends in front of it.
                return;
            }
            let width = if self.stuffed { 7 } else { 8 };
            self.held = self.held << width | u64::from(byte);
            self.count += width;
            self.stuffed = byte == 0xFF;
            self.at += 1;
        }
    }

    fn bits(&mut self, count: u32) -> Option<i32> {
        if self.count < count {
            self.refill();
        }
        self.count = self.count.checked_sub(count)?;
        Some((self.held >> self.count & ((1 << count) - 1)) as i32)
    }

    fn bit(&mut self) -> Option<i32> {
        self.bits(1)
    }

    /// A limited Golomb code (A.5.3).
    fn golomb(&mut self, k: u32, limit: u32, qbpp: u32) -> Option<i32> {
        let most = limit.checked_sub(qbpp + 1)?;
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > most {
                return None;
            }
        }
        if zeros < most { Some((zeros << k) as i32 | self.bits(k)?) } else { Some(self.bits(qbpp)? + 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures C.4 and C.5 of T.87, by hand.
    #[test]
    fn default_thresholds_follow_depth_and_nearness() {
        let thresholds = |precision, near| {
            let stream = Stream { rows: 1, columns: 1, components: 1, precision, preset: [0; 5], near };
            stream.parameters().unwrap().thresholds
        };
        assert_eq!(thresholds(8, 0), [3, 7, 21]);
        assert_eq!(thresholds(8, 2), [9, 17, 35]);
        assert_eq!(thresholds(12, 0), [18, 67, 276]);
        assert_eq!(thresholds(6, 0), [2, 3, 5]);
        assert_eq!(thresholds(6, 1), [3, 6, 12], "nearness counts before the least thresholds");
    }
}
