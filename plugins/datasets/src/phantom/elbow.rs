//! The elbow: a humerus and two forearm bones, stretched (AP) or bent (lateral).

use nashost_plugin_api::seed::Rng;
use rand::Rng as _;

use super::canvas::{Point, Scene, Shape, Stroke, offset};

/// Positions of the labels in the table.
mod label {
    pub(super) const SOFT_TISSUE: usize = 0;
    pub(super) const EFFUSION: usize = 1;
    pub(super) const DISTAL_HUMERUS: usize = 2;
    pub(super) const SUPRACONDYLAR: usize = 3;
    pub(super) const MEDIAL_EPICONDYLE: usize = 4;
    pub(super) const LATERAL_EPICONDYLE: usize = 5;
    pub(super) const OLECRANON: usize = 6;
    pub(super) const ANTERIOR_DISLOCATION: usize = 7;
    pub(super) const POSTERIOR_DISLOCATION: usize = 8;
    pub(super) const PROXIMAL_RADIUS: usize = 9;
    pub(super) const RADIAL_HEAD: usize = 10;
    pub(super) const SUBLUXATION: usize = 11;
    pub(super) const ULNAR_METAPHYSIS: usize = 12;
}

/// Grey value of nothing, and of one unit of attenuation.
pub(super) const EXPOSURE: [f32; 2] = [0.035, 1.60];

/// Axes of one bone: y runs along it, away from the joint for the forearm and towards it for the
/// humerus; x is positive on the ulnar (AP) or posterior (lateral) side of a stretched arm.
#[derive(Clone, Copy)]
struct Frame {
    origin: Point,
    angle: f32,
    /// Scale of x: the bones overlap more in a lateral view.
    spread: f32,
}

impl Frame {
    fn at(&self, x: f32, y: f32) -> Point {
        offset(self.origin, self.angle, x * self.spread, y)
    }
}

/// Draws an elbow with the given positive labels.
pub(super) fn scene(positive: &[usize], lateral: bool, rng: &mut Rng) -> Scene {
    let mut sketch = Sketch { scene: Scene::default(), positive, bone: rng.random_range(0.42..0.52), rng };
    let bend = if lateral { 1.1 } else { -0.12 };
    let bend = bend + sketch.rng.random_range(0.0..if lateral { 0.7 } else { 0.24 });
    let spread = if lateral { 0.6 } else { 1.0 };
    let humerus = Frame { origin: [0.06, 0.02], angle: sketch.rng.random_range(-0.06..0.06), spread };
    let forearm = Frame { origin: sketch.dislocated(humerus.origin, lateral), angle: bend, spread };
    sketch.soft_tissue(humerus, forearm);
    sketch.humerus(humerus);
    sketch.ulna(forearm);
    sketch.radius(forearm);
    sketch.effusion(humerus);
    sketch.scene
}

/// A drawing in progress.
struct Sketch<'a> {
    scene: Scene,
    positive: &'a [usize],
    /// Attenuation of bone.
    bone: f32,
    rng: &'a mut Rng,
}

impl Sketch<'_> {
    fn has(&self, label: usize) -> bool {
        self.positive.contains(&label)
    }

    fn lesion(&mut self, label: usize, shape: Shape) {
        self.scene.lesions.push((label, shape));
    }

    fn draw_bone(&mut self, shapes: impl Into<Vec<Shape>>) {
        let stroke = Stroke::bone(shapes, self.bone * self.rng.random_range(0.95..1.05));
        self.scene.strokes.push(stroke);
    }

    /// Draws a dark line across a bone at `centre` if `label` is positive.
    fn crack(&mut self, label: usize, frame: Frame, centre: [f32; 2], half_width: f32) {
        if !self.has(label) {
            return;
        }
        let lean = self.rng.random_range(-0.03..0.03);
        let ends = [
            frame.at(centre[0] - half_width, centre[1] - lean),
            frame.at(centre[0] + half_width, centre[1] + lean),
        ];
        let depth = -self.bone * self.rng.random_range(0.45..0.90);
        self.scene.strokes.push(Stroke::plain(Shape::line(ends[0], ends[1], 0.010), depth, 0.008));
        self.lesion(label, Shape::line(ends[0], ends[1], 0.03));
    }

    /// Origin of the forearm: the joint, unless dislocated.
    fn dislocated(&mut self, joint: Point, lateral: bool) -> Point {
        let size = self.rng.random_range(0.085..0.12);
        let up = if lateral { 0.015 } else { 0.05 };
        let mut origin = joint;
        for (label, side) in [(label::ANTERIOR_DISLOCATION, -1.0), (label::POSTERIOR_DISLOCATION, 1.0)] {
            if self.has(label) {
                origin = [origin[0] + side * size, origin[1] - up];
                self.lesion(label, Shape::line(joint, origin, 0.09));
            }
        }
        origin
    }

    /// Muscle and skin around both bones; swelling is a haze around the joint.
    fn soft_tissue(&mut self, humerus: Frame, forearm: Frame) {
        let joint = humerus.at(0.0, 0.0);
        let arm = [
            Shape::Capsule { ends: [humerus.at(0.0, -0.6), joint], radii: [0.16, 0.14] },
            Shape::Capsule { ends: [joint, forearm.at(0.0, 0.75)], radii: [0.14, 0.10] },
        ];
        self.scene.strokes.push(Stroke::plain(arm, self.rng.random_range(0.10..0.13), 0.05));
        if self.has(label::SOFT_TISSUE) {
            let around = self.rng.random_range(-0.05..0.05);
            let haze = Shape::Ellipse {
                centre: humerus.at(around, 0.0),
                radii: [self.rng.random_range(0.19..0.24), self.rng.random_range(0.15..0.19)],
                angle: forearm.angle / 2.0,
            };
            self.scene.strokes.push(Stroke::plain(haze, self.rng.random_range(0.08..0.13), 0.05));
            self.lesion(label::SOFT_TISSUE, haze);
        }
    }

    /// Shaft, condyles and epicondyles.
    fn humerus(&mut self, frame: Frame) {
        let mut distal = frame;
        if self.has(label::SUPRACONDYLAR) {
            let side = if self.rng.random_bool(0.5) { 1.0 } else { -1.0 };
            distal.origin[0] += side * self.rng.random_range(0.015..0.035);
            distal.angle += side * self.rng.random_range(0.10..0.25);
        }
        let shaft =
            Shape::Capsule { ends: [frame.at(0.0, -0.65), frame.at(0.0, -0.16)], radii: [0.048, 0.052] };
        let flare =
            Shape::Capsule { ends: [distal.at(0.0, -0.15), distal.at(0.0, -0.08)], radii: [0.054, 0.075] };
        let condyles = Shape::line(distal.at(-0.055, -0.05), distal.at(0.055, -0.05), 0.042);
        self.draw_bone([shaft, flare, condyles]);
        self.crack(label::SUPRACONDYLAR, frame, [0.0, -0.13], 0.056 / frame.spread);
        self.crack(label::DISTAL_HUMERUS, frame, [0.0, -0.26], 0.045 / frame.spread);
        for (label, side) in [(label::LATERAL_EPICONDYLE, -1.0), (label::MEDIAL_EPICONDYLE, 1.0)] {
            let (out, drop) = if self.has(label) {
                (self.rng.random_range(0.045..0.065), self.rng.random_range(0.0..0.03))
            } else {
                (0.0, 0.0)
            };
            let fragment = Shape::disc(distal.at(side * (0.105 + out / frame.spread), -0.085 + drop), 0.026);
            self.draw_bone(fragment);
            if self.has(label) {
                self.lesion(label, fragment.grown(0.015));
            }
        }
    }

    /// Olecranon, metaphysis and shaft of the ulna.
    fn ulna(&mut self, frame: Frame) {
        let proximal = [frame.at(0.035, -0.055), frame.at(0.045, 0.06)];
        self.draw_bone([
            Shape::Capsule { ends: proximal, radii: [0.036, 0.045] },
            Shape::Capsule { ends: [proximal[1], frame.at(0.06, 0.75)], radii: [0.040, 0.026] },
        ]);
        self.crack(label::OLECRANON, frame, [0.04, -0.015], 0.036 / frame.spread);
        self.crack(label::ULNAR_METAPHYSIS, frame, [0.045, 0.11], 0.036 / frame.spread);
    }

    /// Head, neck and shaft of the radius.
    fn radius(&mut self, frame: Frame) {
        let mut radius = frame;
        if self.has(label::SUBLUXATION) {
            let side = -self.rng.random_range(0.05..0.075);
            radius.origin = offset(frame.origin, frame.angle, side, -0.02);
            self.lesion(label::SUBLUXATION, Shape::disc(radius.at(-0.06, 0.04), 0.055));
        }
        let head = Shape::Block {
            centre: radius.at(-0.06, 0.04),
            half: [0.042, 0.020],
            angle: radius.angle,
            round: 0.008,
        };
        let neck = Shape::line(radius.at(-0.06, 0.05), frame.at(-0.06, 0.13), 0.026);
        let shaft =
            Shape::Capsule { ends: [frame.at(-0.06, 0.12), frame.at(-0.055, 0.75)], radii: [0.028, 0.034] };
        self.draw_bone([head, neck, shaft]);
        self.crack(label::PROXIMAL_RADIUS, frame, [-0.06, 0.10], 0.024 / frame.spread);
        if self.has(label::RADIAL_HEAD) {
            let chip = Shape::disc(radius.at(-0.115, 0.015), 0.020);
            self.draw_bone(chip);
            let line = Shape::line(radius.at(-0.075, 0.01), radius.at(-0.045, 0.065), 0.009);
            self.scene.strokes.push(Stroke::plain(line, -self.bone * 0.9, 0.006));
            self.lesion(label::RADIAL_HEAD, chip.grown(0.015));
            self.lesion(label::RADIAL_HEAD, line.grown(0.015));
        }
    }

    /// Dark fat pads lifted off the humerus on both sides, like sails.
    fn effusion(&mut self, frame: Frame) {
        if !self.has(label::EFFUSION) {
            return;
        }
        let depth = -self.rng.random_range(0.06..0.09);
        for side in [-1.0, 1.0] {
            let out = 0.075 / frame.spread;
            let pad = Shape::Capsule {
                ends: [frame.at(side * out, -0.24), frame.at(side * (out + 0.03), -0.13)],
                radii: [0.010, 0.032],
            };
            self.scene.strokes.push(Stroke::plain(pad, depth, 0.012));
            self.lesion(label::EFFUSION, pad);
        }
    }
}
