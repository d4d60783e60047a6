//! The supernet's shape, and what it costs.

use serde::{Deserialize, Serialize};

use crate::space::{EDGES, NODES};

/// What a supernet is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Channels of the images.
    pub image_channels: usize,
    /// Height of the images.
    pub height: usize,
    /// Width of the images.
    pub width: usize,
    /// Labels, or classes.
    pub labels: usize,
    /// Channels of the first cells' nodes (`C`).
    pub channels: usize,
    /// Cells, the two reduction cells among them.
    pub layers: usize,
    /// One in `k` channels passes through the operations, the rest goes around them.
    pub k: usize,
}

/// Why a supernet cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// A size of zero.
    #[error("the supernet's {0} is 0, it must be at least 1")]
    Zero(&'static str),
    /// Partial channels need whole channels.
    #[error(
        "channels = {channels} is not divisible by partial_channels = {k}, but one in {k} channels passes \
         through the operations; take a multiple of {k}"
    )]
    Channels {
        /// `C`.
        channels: usize,
        /// `k`.
        k: usize,
    },
    /// A reduction would meet an odd side.
    #[error(
        "images of {height}×{width} cannot be halved by the reduction cells {cells:?}; height and width \
         must be multiples of {factor}"
    )]
    Odd {
        /// Height of the images.
        height: usize,
        /// Width of the images.
        width: usize,
        /// The reduction cells.
        cells: Vec<usize>,
        /// What the sides must be divisible by.
        factor: usize,
    },
    /// Nothing is left to normalise.
    #[error(
        "images of {height}×{width} shrink to a single pixel; batch statistics of single images need more, \
         so take at least {factor} px"
    )]
    Small {
        /// Height of the images.
        height: usize,
        /// Width of the images.
        width: usize,
        /// The least side.
        factor: usize,
    },
}

impl Geometry {
    /// Checks that the supernet can be built.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it cannot.
    pub fn check(&self) -> Result<(), GeometryError> {
        let Self { image_channels, height, width, labels, channels, layers, k } = *self;
        let sizes = [
            (image_channels, "image channels"),
            (height, "image height"),
            (width, "image width"),
            (labels, "number of labels"),
            (channels, "channels"),
            (layers, "layers"),
            (k, "partial_channels"),
        ];
        if let Some((_, name)) = sizes.into_iter().find(|&(size, _)| size == 0) {
            return Err(GeometryError::Zero(name));
        }
        if channels % k != 0 {
            return Err(GeometryError::Channels { channels, k });
        }
        let cells: Vec<usize> = (0..layers).filter(|&cell| self.reduces(cell)).collect();
        let factor = 1 << cells.len();
        if height % factor != 0 || width % factor != 0 {
            return Err(GeometryError::Odd { height, width, cells, factor });
        }
        if height * width == factor * factor {
            return Err(GeometryError::Small { height, width, factor: 2 * factor });
        }
        Ok(())
    }

    /// Returns whether cell `cell` is a reduction cell: those at a third and two thirds of the
    /// layers, rounded down.
    pub fn reduces(&self, cell: usize) -> bool {
        cell == self.layers / 3 || cell == 2 * self.layers / 3
    }

    /// Returns channels of the stem: `3 C`.
    pub fn stem_channels(&self) -> usize {
        3 * self.channels
    }

    /// Returns what each cell takes and makes.
    pub fn cells(&self) -> Vec<CellShape> {
        let (mut before_last, mut last) = (self.stem_channels(), self.stem_channels());
        let mut channels = self.channels;
        let (mut height, mut width) = (self.height, self.width);
        let mut after_reduction = false;
        let mut cells = Vec::with_capacity(self.layers);
        for cell in 0..self.layers {
            let reduction = self.reduces(cell);
            if reduction {
                channels *= 2;
            }
            cells.push(CellShape {
                inputs: [before_last, last],
                channels,
                reduction,
                after_reduction,
                height,
                width,
            });
            if reduction {
                (height, width) = (height / 2, width / 2);
            }
            (before_last, last) = (last, NODES * channels);
            after_reduction = reduction;
        }
        cells
    }

    /// Returns the number of weights, without the alphas.
    pub fn parameters(&self) -> usize {
        self.sum(&|layer| layer.weights)
    }

    /// Returns multiply-adds of convolutions and the classifier for one image.
    pub fn macs(&self) -> usize {
        self.sum(&|layer| layer.weights * layer.pixels - layer.free)
    }

    fn sum(&self, cost: &dyn Fn(&Layer) -> usize) -> usize {
        let layer = |weights, pixels| Layer { weights, pixels, free: 0 };
        let pixels = self.height * self.width;
        let stem = self.stem_channels();
        let mut sum = cost(&layer(self.image_channels * stem * 9, pixels));
        // The stem's normalisation and the classifier's bias are learnt but are no multiply-adds.
        sum += cost(&Layer { weights: 2 * stem, pixels: 1, free: 2 * stem });
        let mut features = stem;
        for cell in self.cells() {
            let CellShape { inputs, channels, reduction, .. } = cell;
            let pixels = cell.height * cell.width;
            sum += cost(&layer(inputs[0] * channels, pixels));
            sum += cost(&layer(inputs[1] * channels, pixels));
            let c = channels / self.k;
            for edge in 0..EDGES {
                let strided = reduction && is_input_edge(edge);
                let out = if reduction { pixels / 4 } else { pixels };
                if strided {
                    sum += cost(&layer(c * c, out));
                }
                for kernel in [9, 25] {
                    sum += cost(&layer(2 * (kernel * c + c * c), out));
                    sum += cost(&layer(kernel * c + c * c, out));
                }
            }
            features = NODES * channels;
        }
        sum += cost(&layer(features * self.labels, 1));
        sum + cost(&Layer { weights: self.labels, pixels: 1, free: self.labels })
    }
}

struct Layer {
    weights: usize,
    pixels: usize,
    free: usize,
}

fn is_input_edge(edge: usize) -> bool {
    (0..NODES).any(|node| crate::space::edges_into(node).take(2).any(|input| input == edge))
}

/// One cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellShape {
    /// Channels of the outputs of the last cell but one and of the last cell.
    pub inputs: [usize; 2],
    /// Channels of each of its nodes.
    pub channels: usize,
    /// Whether it halves the sides.
    pub reduction: bool,
    /// Whether the cell before it did.
    pub after_reduction: bool,
    /// Height of the last cell's output.
    pub height: usize,
    /// Width of the last cell's output.
    pub width: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry() -> Geometry {
        Geometry { image_channels: 3, height: 32, width: 32, labels: 10, channels: 16, layers: 8, k: 4 }
    }

    #[test]
    fn impossible_shapes_are_refused_with_the_reason() {
        geometry().check().unwrap();
        Geometry { image_channels: 1, labels: 2, height: 28, width: 64, ..geometry() }.check().unwrap();
        let refuse = |geometry: Geometry, reason: &str| {
            let error = geometry.check().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refuse(Geometry { channels: 10, ..geometry() }, "not divisible by partial_channels = 4");
        refuse(Geometry { height: 30, ..geometry() }, "multiples of 4");
        refuse(Geometry { width: 31, ..geometry() }, "32×31");
        refuse(Geometry { labels: 0, ..geometry() }, "number of labels");
        refuse(Geometry { height: 4, width: 4, ..geometry() }, "at least 8 px");
    }

    #[test]
    fn reduction_cells_stand_at_the_thirds() {
        for (layers, expected) in
            [(3, vec![1, 2]), (5, vec![1, 3]), (8, vec![2, 5]), (40, vec![13, 26]), (50, vec![16, 33])]
        {
            let geometry = Geometry { layers, ..geometry() };
            let found: Vec<usize> = (0..layers).filter(|&cell| geometry.reduces(cell)).collect();
            assert_eq!(found, expected);
        }
    }
}
