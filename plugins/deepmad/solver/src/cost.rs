//! What a unit costs: the official counts as polynomials in its widths.
//!
//! All coefficients are dyadic rationals and all results far below 2⁵³, so counts are exact in f64
//! whatever the order of the terms.

use crate::program::{Kind, Monomials, UnitCost};

impl Monomials {
    /// Returns the cost of a unit with `cin` input channels, `c` output channels and the bottleneck
    /// width `b`.
    #[inline]
    pub fn at(&self, cin: f64, c: f64, b: f64) -> f64 {
        let same = if cin == c { self.same * cin } else { 0.0 };
        self.one
            + same
            + cin * (self.cin + self.cin_c * c)
            + c * self.c
            + b * (self.b + self.cin_b * cin + self.c_b * c + self.b2 * b)
    }

    /// Adds `price` times `other`.
    pub(crate) fn add(&mut self, price: f64, other: &Self) {
        let Self { one, cin, c, b, cin_c, cin_b, c_b, b2, same } = self;
        *one += price * other.one;
        *cin += price * other.cin;
        *c += price * other.c;
        *b += price * other.b;
        *cin_c += price * other.cin_c;
        *cin_b += price * other.cin_b;
        *c_b += price * other.c_b;
        *b2 += price * other.b2;
        *same += price * other.same;
    }

    fn scaled(mut self, factor: f64) -> Self {
        let terms = self;
        self = Self::default();
        self.add(factor, &terms);
        self
    }
}

impl UnitCost {
    /// Returns the cost of `depth` units; `neck` is the index of `b` in the table.
    #[inline]
    pub(crate) fn at(&self, cin: f64, c: f64, b: f64, neck: usize, depth: f64) -> f64 {
        let table = if self.necks.is_empty() { 0.0 } else { depth * self.necks[neck] };
        self.first.at(cin, c, b) + (depth - 1.0) * self.rest.at(0.0, c, b) + table
    }
}

/// Returns the parameters of the units of a block. Bottlenecks up to `necks · step` must be covered.
pub(crate) fn params(kind: Kind, kernel: u32, step: u32, necks: usize) -> UnitCost {
    let k2 = f64::from(kernel * kernel);
    match kind {
        Kind::Conv => {
            UnitCost { first: Monomials { cin_c: k2, c: 2.0, ..Default::default() }, ..Default::default() }
        }
        Kind::Bottleneck => UnitCost {
            // The first unit always projects its shortcut.
            first: Monomials {
                cin_b: 1.0,
                b2: k2,
                c_b: 1.0,
                cin_c: 1.0,
                b: 4.0,
                c: 4.0,
                ..Default::default()
            },
            rest: Monomials { b2: k2, c_b: 2.0, b: 4.0, c: 2.0, ..Default::default() },
            necks: Vec::new(),
        },
        Kind::Depthwise | Kind::DepthwiseSe => UnitCost {
            first: Monomials { cin_b: 1.0, c_b: 1.0, b: 4.0 + k2, c: 2.0, ..Default::default() },
            rest: Monomials { c_b: 2.0, b: 4.0 + k2, c: 2.0, ..Default::default() },
            necks: if kind == Kind::DepthwiseSe {
                (0..=necks).map(|i| excitation_params(f64::from(step) * i as f64)).collect()
            } else {
                Vec::new()
            },
        },
    }
}

/// Parameters of squeeze-and-excitation on `b` channels.
fn excitation_params(b: f64) -> f64 {
    let middle = ((b / 4.0).round_ties_even() / 8.0).floor().max(1.0) * 8.0;
    2.0 * b * middle + 2.0 * middle + 2.0 * b
}

/// Returns the FLOPs of the units of a block that sees maps of `side` × `side`: multiply-adds of the
/// convolutions, two per output of BN, one per output of ReLU, and the pooling of shortcuts.
/// Squeeze-and-excitation counts nothing.
pub(crate) fn flops(kind: Kind, kernel: u32, stride: u32, side: f64) -> UnitCost {
    let k2 = f64::from(kernel * kernel);
    // Per input pixel of the first unit, an output pixel counts `out`.
    let out = 1.0 / f64::from(stride * stride);
    let pooled = if stride == 2 { 1.0 } else { 0.0 };
    let inputs = side * side;
    let outputs = inputs * out;
    let (first, rest) = match kind {
        Kind::Conv => {
            (Monomials { cin_c: k2 * out, c: 3.0 * out, ..Default::default() }, Monomials::default())
        }
        Kind::Bottleneck => (
            Monomials {
                cin: pooled,
                cin_b: 1.0,
                cin_c: out,
                c: 6.0 * out,
                b: 3.0 + 3.0 * out,
                c_b: out,
                b2: k2 * out,
                ..Default::default()
            },
            Monomials { c_b: 2.0, b2: k2, b: 6.0, c: 3.0, ..Default::default() },
        ),
        Kind::Depthwise | Kind::DepthwiseSe => (
            Monomials {
                // Without a projection there is a shortcut only between equal widths.
                same: pooled,
                cin_b: 1.0,
                c: 3.0 * out,
                b: 3.0 + (3.0 + k2) * out,
                c_b: out,
                ..Default::default()
            },
            Monomials { c_b: 2.0, b: 6.0 + k2, c: 3.0, ..Default::default() },
        ),
    };
    UnitCost { first: first.scaled(inputs), rest: rest.scaled(outputs), necks: Vec::new() }
}
