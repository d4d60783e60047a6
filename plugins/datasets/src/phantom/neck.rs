//! The neck: a lateral view of seven vertebrae, looking left.

use nashost_plugin_api::seed::Rng;
use rand::Rng as _;

use super::canvas::{Point, Scene, Shape, Stroke, offset};

/// Positions of the labels in the table.
mod label {
    pub(super) const ALIGNMENT: usize = 0;
    pub(super) const SOFT_TISSUE: usize = 1;
    pub(super) const LISTHESIS: usize = 2;
    pub(super) const FRACTURE: usize = 3;
    pub(super) const DISLOCATION: usize = 4;
    pub(super) const SPINOUS: usize = 5;
    pub(super) const OTHER: usize = 6;
}

/// Grey value of nothing, and of one unit of attenuation.
pub(super) const EXPOSURE: [f32; 2] = [0.145, 1.38];

const VERTEBRAE: usize = 7;
/// Half depth and half height of a vertebral body.
const HALF: [f32; 2] = [0.070, 0.036];
const SPACING: f32 = 0.098;

/// One vertebra.
struct Vertebra {
    centre: Point,
    angle: f32,
    half: [f32; 2],
}

impl Vertebra {
    fn body(&self) -> Shape {
        Shape::Block { centre: self.centre, half: self.half, angle: self.angle, round: 0.012 }
    }

    fn at(&self, dx: f32, dy: f32) -> Point {
        offset(self.centre, self.angle, dx, dy)
    }
}

/// Draws a neck with the given positive labels.
pub(super) fn scene(positive: &[usize], rng: &mut Rng) -> Scene {
    let has = |label| positive.contains(&label);
    let mut scene = Scene::default();
    surroundings(&mut scene, rng);
    let mut spine = spine(has(label::ALIGNMENT), rng);
    if has(label::ALIGNMENT) {
        let inner = spine.windows(2).map(|v| Shape::line(v[0].centre, v[1].centre, HALF[0]));
        scene.lesions.extend(inner.map(|shape| (label::ALIGNMENT, shape)));
    }
    displace(&mut spine, &mut scene, has(label::LISTHESIS), has(label::DISLOCATION), rng);
    if has(label::FRACTURE) {
        fracture(&mut spine, &mut scene, rng);
    }
    processes(&spine, &mut scene, has(label::SPINOUS), rng);
    if has(label::OTHER) {
        sclerosis(&spine, &mut scene, rng);
    }
    prevertebral(&spine, &mut scene, has(label::SOFT_TISSUE), rng);
    scene.strokes.extend(spine.iter().map(|v| Stroke::bone(v.body(), rng.random_range(0.22..0.28))));
    scene
}

/// Skull, jaw, shoulders and the soft tissue of the neck.
fn surroundings(scene: &mut Scene, rng: &mut Rng) {
    let mut jitter = |x: f32| x + rng.random_range(-0.02..0.02);
    let neck = Shape::Capsule { ends: [[0.02, -0.5], [0.03, 0.5]], radii: [jitter(0.22), jitter(0.28)] };
    let skull = Shape::Ellipse { centre: [jitter(0.06), jitter(-0.53)], radii: [0.34, 0.14], angle: 0.1 };
    let jaw = Shape::Capsule { ends: [[-0.36, jitter(-0.34)], [jitter(-0.17), -0.40]], radii: [0.05, 0.045] };
    let shoulders =
        Shape::Ellipse { centre: [jitter(0.06), jitter(0.56)], radii: [0.52, 0.18], angle: -0.05 };
    scene.strokes.extend([
        Stroke::plain(neck, 0.22, 0.10),
        Stroke { soft: 0.03, ..Stroke::bone(skull, 0.26) },
        Stroke { soft: 0.03, ..Stroke::bone(jaw, 0.20) },
        Stroke::plain(shoulders, 0.28, 0.12),
    ]);
    // Muscle and fat: faint patches that mean nothing.
    for _ in 0..8 {
        let centre = [rng.random_range(-0.35..0.35), rng.random_range(-0.45..0.45)];
        let radii = [rng.random_range(0.04..0.14), rng.random_range(0.04..0.14)];
        let patch = Shape::Ellipse { centre, radii, angle: rng.random_range(-1.5..1.5) };
        scene.strokes.push(Stroke::plain(patch, rng.random_range(-0.05..0.05), 0.05));
    }
}

/// Lays the vertebrae along a curve: lordotic if aligned, straight or kyphotic if not.
fn spine(misaligned: bool, rng: &mut Rng) -> Vec<Vertebra> {
    let bulge = if misaligned { rng.random_range(-0.050..0.045) } else { rng.random_range(0.010..0.085) };
    let tilt = rng.random_range(-0.08..0.08);
    (0..VERTEBRAE)
        .map(|i| {
            // −1 at the top, 1 at the bottom.
            let t = i as f32 / (VERTEBRAE - 1) as f32 * 2.0 - 1.0;
            let half_length = SPACING * (VERTEBRAE - 1) as f32 / 2.0;
            let x = 0.02 - bulge * (1.0 - t * t) + tilt * t * half_length;
            let slope = (2.0 * bulge * t) / half_length + tilt;
            Vertebra {
                centre: [x + rng.random_range(-0.008..0.008), t * half_length + 0.02],
                angle: -slope + rng.random_range(-0.03..0.03),
                half: [HALF[0] * (0.92 + 0.05 * i as f32 / 2.0), HALF[1] * rng.random_range(0.94..1.06)],
            }
        })
        .collect()
}

/// Shifts one vertebra (listhesis), or all above a level by much more (dislocation).
fn displace(spine: &mut [Vertebra], scene: &mut Scene, listhesis: bool, dislocation: bool, rng: &mut Rng) {
    if listhesis {
        let v = &mut spine[rng.random_range(2..VERTEBRAE - 1)];
        v.centre = v.at(-rng.random_range(0.025..0.055), 0.0);
        scene.lesions.push((label::LISTHESIS, v.body().grown(0.01)));
    }
    if dislocation {
        let level = rng.random_range(2..VERTEBRAE - 2);
        let shift = -rng.random_range(0.050..0.095);
        for v in &mut spine[..level] {
            v.centre[0] += shift;
        }
        for v in &spine[level - 1..=level] {
            scene.lesions.push((label::DISLOCATION, v.body().grown(0.02)));
        }
    }
}

/// Crushes one vertebra and draws a dark line through it.
fn fracture(spine: &mut [Vertebra], scene: &mut Scene, rng: &mut Rng) {
    let v = &mut spine[rng.random_range(1..VERTEBRAE)];
    v.half = [v.half[0] * 1.08, v.half[1] * rng.random_range(0.80..1.0)];
    let lean = rng.random_range(0.3..0.8) * HALF[0] * if rng.random_bool(0.5) { 1.0 } else { -1.0 };
    let line = Shape::line(v.at(-lean, -v.half[1] * 1.1), v.at(lean, v.half[1] * 1.1), 0.010);
    scene.strokes.push(Stroke::plain(line, -rng.random_range(0.14..0.32), 0.008));
    scene.lesions.push((label::FRACTURE, v.body().grown(0.01)));
}

/// Draws facet joints and spinous processes; one process is torn off if `torn`.
fn processes(spine: &[Vertebra], scene: &mut Scene, torn: bool, rng: &mut Rng) {
    let torn = torn.then(|| rng.random_range(2..VERTEBRAE));
    for (i, v) in spine.iter().enumerate() {
        let facet = Shape::Ellipse { centre: v.at(0.105, 0.0), radii: [0.028, 0.040], angle: v.angle - 0.5 };
        scene.strokes.push(Stroke::bone(facet, 0.10));
        let length = 0.085 + 0.008 * i as f32 + rng.random_range(-0.008..0.008);
        let (root, tip) = (v.at(0.135, 0.012), v.at(0.135 + length, 0.045));
        if torn == Some(i) {
            let drop = rng.random_range(0.010..0.035);
            let middle = v.at(0.135 + length * 0.30, 0.02);
            let gap = [v.at(0.135 + length * 0.65, 0.032 + drop), v.at(0.145 + length, 0.045 + drop)];
            scene.strokes.push(Stroke::bone(Shape::line(root, middle, 0.016), 0.20));
            scene.strokes.push(Stroke::bone(Shape::line(gap[0], gap[1], 0.020), 0.26));
            scene.lesions.push((label::SPINOUS, Shape::line(middle, gap[0], 0.03)));
        } else {
            let process = Shape::Capsule { ends: [root, tip], radii: [0.018, 0.014] };
            scene.strokes.push(Stroke::bone(process, 0.20));
        }
    }
}

/// Draws a dense focus in one vertebra and a spur in front of it.
fn sclerosis(spine: &[Vertebra], scene: &mut Scene, rng: &mut Rng) {
    let v = &spine[rng.random_range(2..VERTEBRAE)];
    let focus = Shape::Ellipse {
        centre: v.at(rng.random_range(-0.03..0.03), 0.0),
        radii: [rng.random_range(0.030..0.042), rng.random_range(0.026..0.034)],
        angle: v.angle,
    };
    let spur =
        Shape::Capsule { ends: [v.at(-0.06, HALF[1]), v.at(-0.105, HALF[1] + 0.016)], radii: [0.016, 0.006] };
    scene.strokes.push(Stroke::plain(focus, rng.random_range(0.08..0.20), 0.016));
    scene.strokes.push(Stroke::bone(spur, rng.random_range(0.06..0.16)));
    scene.lesions.extend([focus.grown(0.005), spur.grown(0.005)].map(|shape| (label::OTHER, shape)));
}

/// Draws the airway in front of the spine; swelling is a bright band that pushes it forward.
fn prevertebral(spine: &[Vertebra], scene: &mut Scene, swollen: bool, rng: &mut Rng) {
    let push = rng.random_range(-0.012..0.012) + if swollen { rng.random_range(0.0..0.025) } else { 0.0 };
    let along = |dx: f32, radius: f32| -> Vec<Shape> {
        spine.windows(2).map(|pair| Shape::line(pair[0].at(dx, 0.0), pair[1].at(dx, 0.0), radius)).collect()
    };
    scene.strokes.push(Stroke::plain(along(-0.145 - push, 0.024), -rng.random_range(0.06..0.10), 0.03));
    if swollen {
        let band = &along(-0.108, 0.030)[1..5];
        scene.strokes.push(Stroke::plain(band, rng.random_range(0.02..0.08), 0.03));
        scene.lesions.extend(band.iter().map(|&shape| (label::SOFT_TISSUE, shape)));
    }
}
