//! Drawing in an image-independent plane: shapes, strokes, and rendering to grey values.

use std::ops::Range;

/// A point or vector. One unit is the height of the image at zoom 1; y points down.
pub(super) type Point = [f32; 2];

/// Returns `origin + dx · right + dy · down`, the axes turned clockwise by `angle` radians.
pub(super) fn offset(origin: Point, angle: f32, dx: f32, dy: f32) -> Point {
    let (sin, cos) = angle.sin_cos();
    [origin[0] + dx * cos - dy * sin, origin[1] + dx * sin + dy * cos]
}

/// A filled shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    /// A segment thickened to `radii[0]` at its start and `radii[1]` at its end.
    Capsule { ends: [Point; 2], radii: [f32; 2] },
    /// An ellipse with semi-axes `radii`, turned by `angle`.
    Ellipse { centre: Point, radii: [f32; 2], angle: f32 },
    /// A rectangle with half-sides `half`, turned by `angle`, corners rounded by `round`.
    Block { centre: Point, half: [f32; 2], angle: f32, round: f32 },
}

impl From<Shape> for Vec<Shape> {
    fn from(shape: Shape) -> Self {
        vec![shape]
    }
}

impl Shape {
    /// Builds a capsule of one radius.
    pub(super) fn line(from: Point, to: Point, radius: f32) -> Self {
        Self::Capsule { ends: [from, to], radii: [radius; 2] }
    }

    /// Builds a disc.
    pub(super) fn disc(centre: Point, radius: f32) -> Self {
        Self::Ellipse { centre, radii: [radius; 2], angle: 0.0 }
    }

    /// Returns the shape with its outline moved outwards by `margin`.
    pub(super) fn grown(self, margin: f32) -> Self {
        match self {
            Self::Capsule { ends, radii } => Self::Capsule { ends, radii: radii.map(|r| r + margin) },
            Self::Ellipse { centre, radii, angle } => {
                Self::Ellipse { centre, radii: radii.map(|r| r + margin), angle }
            }
            Self::Block { centre, half, angle, round } => {
                Self::Block { centre, half: half.map(|h| h + margin), angle, round: round + margin }
            }
        }
    }

    /// Distance of `p` to the outline, negative inside. Exact for blocks and even capsules, close
    /// to the outline a good approximation for the others.
    fn distance(&self, p: Point) -> f32 {
        match *self {
            Self::Capsule { ends: [a, b], radii } => {
                let (along, to) = ([b[0] - a[0], b[1] - a[1]], [p[0] - a[0], p[1] - a[1]]);
                let length2 = (along[0] * along[0] + along[1] * along[1]).max(1e-12);
                let t = ((to[0] * along[0] + to[1] * along[1]) / length2).clamp(0.0, 1.0);
                let (dx, dy) = (to[0] - t * along[0], to[1] - t * along[1]);
                (dx * dx + dy * dy).sqrt() - (radii[0] + t * (radii[1] - radii[0]))
            }
            Self::Ellipse { centre, radii, angle } => {
                let q = turned(p, centre, angle);
                let (x, y) = (q[0] / radii[0], q[1] / radii[1]);
                ((x * x + y * y).sqrt() - 1.0) * radii[0].min(radii[1])
            }
            Self::Block { centre, half, angle, round } => {
                let q = turned(p, centre, angle);
                let (x, y) = (q[0].abs() - half[0] + round, q[1].abs() - half[1] + round);
                let (ox, oy) = (x.max(0.0), y.max(0.0));
                (ox * ox + oy * oy).sqrt() + x.max(y).min(0.0) - round
            }
        }
    }

    /// Smallest and largest coordinates that the shape may reach.
    fn bounds(&self) -> [Point; 2] {
        match *self {
            Self::Capsule { ends: [a, b], radii } => {
                let r = radii[0].max(radii[1]);
                [[a[0].min(b[0]) - r, a[1].min(b[1]) - r], [a[0].max(b[0]) + r, a[1].max(b[1]) + r]]
            }
            Self::Ellipse { centre: c, radii, .. } => {
                let r = radii[0].max(radii[1]);
                [[c[0] - r, c[1] - r], [c[0] + r, c[1] + r]]
            }
            Self::Block { centre: c, half, .. } => {
                let r = half[0].hypot(half[1]);
                [[c[0] - r, c[1] - r], [c[0] + r, c[1] + r]]
            }
        }
    }
}

/// Coordinates of `p` in axes at `centre` turned by `angle`.
fn turned(p: Point, centre: Point, angle: f32) -> Point {
    let (dx, dy) = (p[0] - centre[0], p[1] - centre[1]);
    if angle == 0.0 {
        return [dx, dy];
    }
    let (sin, cos) = angle.sin_cos();
    [dx * cos + dy * sin, dy * cos - dx * sin]
}

/// A union of shapes added to the picture. Strokes add up, as attenuation does along a ray.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stroke {
    /// Where.
    pub(super) shapes: Vec<Shape>,
    /// Value added inside; negative is darker.
    pub(super) fill: f32,
    /// Value added on the outline, fading over `soft`: the cortex of a bone.
    pub(super) rim: f32,
    /// Width over which the outline fades.
    pub(super) soft: f32,
}

impl Stroke {
    /// Soft tissue, air or a line: no rim.
    pub(super) fn plain(shapes: impl Into<Vec<Shape>>, fill: f32, soft: f32) -> Self {
        Self { shapes: shapes.into(), fill, rim: 0.0, soft }
    }

    /// Bone: a brighter cortex around the inside.
    pub(super) fn bone(shapes: impl Into<Vec<Shape>>, fill: f32) -> Self {
        Self { shapes: shapes.into(), fill, rim: fill * 0.45, soft: 0.012 }
    }
}

/// A drawing with the places of its findings.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    /// Painted in order; the order does not matter, since values add up.
    pub(super) strokes: Vec<Stroke>,
    /// Findings: label and a shape that its sign occupies.
    pub(super) lesions: Vec<(usize, Shape)>,
}

/// How a scene is seen: image size, pose of the patient, sharpness.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// Rows.
    pub(super) height: usize,
    /// Columns.
    pub(super) width: usize,
    /// Pixels per unit, over the height.
    pub(super) zoom: f32,
    /// Clockwise rotation of the patient, in radians.
    pub(super) angle: f32,
    /// Shift of the patient, in units.
    pub(super) shift: Point,
    /// Further width over which outlines fade, in units.
    pub(super) blur: f32,
}

impl View {
    /// Size of a pixel in units.
    fn pixel(&self) -> f32 {
        1.0 / (self.zoom * self.height as f32)
    }

    /// Plane coordinates of the centre of pixel (`row`, `column`), and the steps to the next column.
    fn plane(&self, row: usize, column: usize) -> (Point, Point) {
        let pixel = self.pixel();
        let (sin, cos) = self.angle.sin_cos();
        let x = (column as f32 + 0.5 - self.width as f32 / 2.0) * pixel - self.shift[0];
        let y = (row as f32 + 0.5 - self.height as f32 / 2.0) * pixel - self.shift[1];
        ([x * cos + y * sin, y * cos - x * sin], [pixel * cos, -pixel * sin])
    }

    /// Rows and columns that the shapes, reaching `reach` beyond their bounds, may touch.
    fn window(&self, shapes: &[Shape], reach: f32) -> [Range<usize>; 2] {
        let (sin, cos) = self.angle.sin_cos();
        let mut low = [f32::INFINITY; 2];
        let mut high = [f32::NEG_INFINITY; 2];
        for [from, to] in shapes.iter().map(Shape::bounds) {
            for x in [from[0] - reach, to[0] + reach] {
                for y in [from[1] - reach, to[1] + reach] {
                    let at = [x * sin + y * cos + self.shift[1], x * cos - y * sin + self.shift[0]];
                    low = [low[0].min(at[0]), low[1].min(at[1])];
                    high = [high[0].max(at[0]), high[1].max(at[1])];
                }
            }
        }
        [0, 1].map(|axis| {
            let size = [self.height, self.width][axis] as f32;
            let pixel = |unit: f32| (unit / self.pixel() + size / 2.0).clamp(0.0, size);
            pixel(low[axis]).floor() as usize..pixel(high[axis]).ceil() as usize
        })
    }

    /// Calls `paint` with pixel index and signed distance for each pixel within `reach` of the union
    /// of `shapes`.
    fn visit(&self, shapes: &[Shape], reach: f32, mut paint: impl FnMut(usize, f32)) {
        let [rows, columns] = self.window(shapes, reach);
        for row in rows {
            let (mut p, step) = self.plane(row, columns.start);
            for column in columns.clone() {
                let distance = shapes.iter().map(|shape| shape.distance(p)).fold(f32::INFINITY, f32::min);
                if distance < reach {
                    paint(row * self.width + column, distance);
                }
                p = [p[0] + step[0], p[1] + step[1]];
            }
        }
    }

    /// Renders `scene` on a background of 0; one value per pixel, row by row.
    pub(super) fn render(&self, scene: &Scene) -> Vec<f32> {
        let mut values = vec![0.0; self.height * self.width];
        for stroke in &scene.strokes {
            let soft = stroke.soft + self.blur + self.pixel();
            self.visit(&stroke.shapes, soft, |i, distance| {
                let inside = (0.5 - distance / soft).clamp(0.0, 1.0);
                let rim = (1.0 - distance.abs() / soft).max(0.0);
                // Smoothstep instead of a ramp: no visible crease where the outline begins.
                values[i] += stroke.fill * inside * inside * (3.0 - 2.0 * inside) + stroke.rim * rim * rim;
            });
        }
        values
    }

    /// Renders where the sign of `label` is: 255 on the lesion, 0 elsewhere.
    pub(super) fn mask(&self, scene: &Scene, label: usize) -> Vec<u8> {
        let mut mask = vec![0; self.height * self.width];
        for (_, shape) in scene.lesions.iter().filter(|(of, _)| *of == label) {
            self.visit(&[*shape], 0.0, |i, _| mask[i] = u8::MAX);
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> View {
        View { height: 100, width: 80, zoom: 1.0, angle: 0.0, shift: [0.0; 2], blur: 0.0 }
    }

    fn area(view: &View, shape: Shape) -> f32 {
        let scene = Scene { lesions: vec![(0, shape)], ..Scene::default() };
        view.mask(&scene, 0).iter().filter(|&&v| v > 0).count() as f32 / 1e4
    }

    #[test]
    fn areas_are_those_of_the_shapes_at_any_angle() {
        for angle in [0.0, 0.4, -1.2] {
            let view = View { angle, ..view() };
            let pi = std::f32::consts::PI;
            let ellipse = Shape::Ellipse { centre: [0.0; 2], radii: [0.2, 0.1], angle: 0.7 };
            assert!((area(&view, ellipse) - pi * 0.02).abs() < 1e-3);
            let block = Shape::Block { centre: [0.0; 2], half: [0.2, 0.1], angle: 0.3, round: 0.0 };
            assert!((area(&view, block) - 0.08).abs() < 1e-3);
            let line = Shape::line([-0.1, 0.0], [0.1, 0.0], 0.05);
            assert!((area(&view, line) - (0.02 + pi * 0.0025)).abs() < 1e-3);
        }
    }

    #[test]
    fn a_shape_lands_where_the_view_moves_it() {
        let view = View { shift: [0.1, -0.2], ..view() };
        let scene = Scene { lesions: vec![(0, Shape::disc([0.0; 2], 0.05))], ..Scene::default() };
        let mask = view.mask(&scene, 0);
        assert_eq!(mask[30 * 80 + 50], 255);
        assert_eq!(mask[50 * 80 + 40], 0);
        assert!(view.mask(&scene, 1).iter().all(|&v| v == 0));
    }

    #[test]
    fn strokes_add_up_and_fade_at_the_outline() {
        let stroke = Stroke::plain(Shape::disc([0.0; 2], 0.2), 0.25, 0.05);
        let values = view().render(&Scene { strokes: vec![stroke.clone(), stroke], lesions: vec![] });
        assert_eq!(values[50 * 80 + 40], 0.5);
        assert_eq!(values[0], 0.0);
        let edge = values[50 * 80 + 20];
        assert!((0.15..0.35).contains(&edge), "{edge}");
    }
}
