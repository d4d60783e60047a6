//! `phantom`: synthetic multi-label X-ray sets with exact label counts, patients, scanners and
//! lesion masks. `docs/phantom.md` describes the generator.

mod canvas;
mod elbow;
mod labels;
mod neck;
mod patients;
#[cfg(test)]
mod tests;

use nashost_plugin_api::{
    component::{Component, PluginResult},
    dataset::{Dataset, DatasetInfo, PixelType, Pixels, Record},
    seed::{derive_seed, rng},
};
use rand::Rng as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::{
    canvas::{Scene, Shape, Stroke, View},
    labels::LabelTable,
    patients::{Ownership, Person, Scanner},
};

/// Raised whenever the same configuration draws other pixels.
const GENERATOR: u32 = 1;

/// Body part.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Region {
    /// Cervical spine, lateral: 933 images, 8 labels.
    #[default]
    Neck,
    /// Elbow, AP and lateral: 2740 images, 14 labels.
    Elbow,
}

impl Region {
    /// Name as users write it.
    fn name(self) -> &'static str {
        match self {
            Self::Neck => "neck",
            Self::Elbow => "elbow",
        }
    }

    /// Probability that a patient has a second image.
    fn second_image(self) -> f64 {
        match self {
            Self::Neck => 0.10,
            Self::Elbow => 0.60,
        }
    }
}

/// Whether a split is prescribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhantomSplit {
    /// The study's split: neck 746/93/94, elbow 2378/193/169 images.
    #[default]
    Paper,
    /// None; the host splits by patient.
    None,
}

/// Configuration of [`Phantom`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PhantomConfig {
    /// Body part.
    pub region: Region,
    /// Prescribed split.
    pub split: PhantomSplit,
    /// Seed of patients and images. Labels do not depend on it.
    pub seed: u64,
    /// Mean height of the images, in pixels.
    #[schemars(range(min = 32, max = 4096))]
    pub size: usize,
}

impl Default for PhantomConfig {
    fn default() -> Self {
        Self { region: Region::Neck, split: PhantomSplit::Paper, seed: 0, size: 192 }
    }
}

/// A synthetic X-ray set, drawn image by image when asked.
#[derive(Debug)]
pub struct Phantom {
    config: PhantomConfig,
    table: LabelTable,
    owners: Ownership,
}

impl Component for Phantom {
    const ID: &'static str = "phantom";
    const DESCRIPTION: &'static str = "Synthetic neck or elbow X-rays with exact label counts, patients and lesion masks; nothing to download.";
    type Config = PhantomConfig;

    fn create(config: PhantomConfig) -> PluginResult<Self> {
        if !(32..=4096).contains(&config.size) {
            return Err(format!("size {} is not between 32 and 4096 pixels", config.size).into());
        }
        let table = LabelTable::of(config.region)?;
        let owners = Ownership::draw(&table, config.region, config.seed);
        Ok(Self { config, table, owners })
    }
}

impl Phantom {
    /// Seed of `purpose` for the patient of image `index`.
    fn patient_seed(&self, index: usize, purpose: &str) -> u64 {
        let path = format!("{}/{}/{purpose}", self.config.region.name(), self.owners.patient[index]);
        derive_seed(self.config.seed, &path)
    }

    fn person(&self, index: usize) -> Person {
        Person::draw(&mut rng(self.patient_seed(index, "person")), self.table.is_normal(index))
    }

    /// Elbows: the first image is AP or lateral, the second the other.
    fn is_lateral(&self, index: usize) -> bool {
        match self.config.region {
            Region::Neck => true,
            Region::Elbow => (self.patient_seed(index, "view") ^ self.owners.visit[index] as u64) & 1 == 1,
        }
    }

    /// Draws the anatomy of the patient and the pose of the image.
    fn draw(&self, index: usize) -> PluginResult<(Person, Scene, View)> {
        let positive = &self.table.rows.get(index).ok_or_else(|| no_image(index, self.table.rows.len()))?.1;
        let person = self.person(index);
        let anatomy = &mut rng(self.patient_seed(index, "anatomy"));
        let scene = match self.config.region {
            Region::Neck => neck::scene(positive, anatomy),
            Region::Elbow => elbow::scene(positive, self.is_lateral(index), anatomy),
        };
        let pose = &mut rng(self.patient_seed(index, &format!("pose/{}", self.owners.visit[index])));
        let height = self.config.size as f32 * pose.random_range(0.85..1.15);
        let view = View {
            height: height as usize,
            width: (height * pose.random_range(0.72..1.0)) as usize,
            zoom: person.zoom * pose.random_range(0.97..1.03),
            angle: person.angle + pose.random_range(-0.04..0.04),
            shift: [pose.random_range(-0.03..0.03), pose.random_range(-0.03..0.03)],
            blur: person.blur,
        };
        Ok((person, scene, view))
    }

    /// Adds what the scanner does to every image: background, collimation, marker.
    fn finish(&self, scene: &mut Scene, person: &Person, view: &View) {
        let half_width = view.width as f32 / view.height as f32 / 2.0 / view.zoom;
        if person.scanner == Scanner::C {
            // Lead shutters at both sides.
            for side in [-1.0, 1.0] {
                let shutter = Shape::Block {
                    centre: [side * (half_width + 0.06), 0.0],
                    half: [0.10, 1.0],
                    angle: 0.0,
                    round: 0.0,
                };
                scene.strokes.push(Stroke::plain(shutter, -0.5, 0.02));
            }
        }
        let corner = if person.scanner == Scanner::A { -0.40 } else { 0.40 };
        let marker = Shape::Block {
            centre: [half_width - 0.09, corner],
            half: [0.014, 0.022],
            angle: 0.0,
            round: 0.0,
        };
        scene.strokes.push(Stroke::plain(marker, 0.8, 0.004));
    }
}

fn no_image(index: usize, images: usize) -> String {
    format!("image {index} of {images}")
}

impl Dataset for Phantom {
    fn describe(&self) -> PluginResult<DatasetInfo> {
        Ok(DatasetInfo {
            labels: self.table.labels.clone(),
            normal_label: self.table.labels.last().cloned(),
            channels: 1,
            source: format!(
                "synthetic {} X-rays drawn by nashost (generator {GENERATOR}, seed {}); label counts of the 2023 \
                 NAS study on paediatric X-rays; MIT OR Apache-2.0",
                self.config.region.name(),
                self.config.seed
            ),
        })
    }

    fn records(&self) -> PluginResult<Vec<Record>> {
        let region = self.config.region.name();
        let record = |index: usize| Record {
            id: format!("{region}_{:04}", index + 1),
            group: format!("{region}_p{:04}", self.owners.patient[index] + 1),
            split: (self.config.split == PhantomSplit::Paper).then(|| self.table.rows[index].0),
            targets: self.table.targets(index),
            attributes: self.person(index).attributes(if self.is_lateral(index) { "lateral" } else { "AP" }),
        };
        Ok((0..self.table.rows.len()).map(record).collect())
    }

    fn stamp(&self) -> PluginResult<String> {
        let PhantomConfig { region, seed, size, .. } = &self.config;
        Ok(format!("phantom generator {GENERATOR} region {} seed {seed} size {size}", region.name()))
    }

    fn pixels(&self, index: usize) -> PluginResult<Pixels> {
        let (person, mut scene, view) = self.draw(index)?;
        self.finish(&mut scene, &person, &view);
        let exposure = match self.config.region {
            Region::Neck => neck::EXPOSURE,
            Region::Elbow => elbow::EXPOSURE,
        };
        let noise = &mut rng(self.patient_seed(index, &format!("noise/{}", self.owners.visit[index])));
        let grey = |value: f32| {
            // Film saturates: two bones on top of each other are not twice as bright.
            let light = (exposure[0] + exposure[1] * value.max(0.0)) * person.gain;
            let value = light / (1.0 + 0.4 * light);
            // Four uniform bytes add up to a bell with standard deviation 147.8.
            let bell = noise.random::<u32>().to_le_bytes().map(f32::from).iter().sum::<f32>() - 510.0;
            let value = value.powf(person.gamma) + bell / 147.8 * person.noise;
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        };
        let data = view.render(&scene).into_iter().map(grey).collect();
        Ok(Pixels { height: view.height, width: view.width, channels: 1, dtype: PixelType::U8, data })
    }

    fn mask(&self, index: usize, label: usize) -> PluginResult<Option<Pixels>> {
        if label >= self.table.labels.len() {
            return Err(format!("label {label} of {}", self.table.labels.len()).into());
        }
        let (_, scene, view) = self.draw(index)?;
        let known = scene.lesions.iter().any(|(of, _)| *of == label);
        Ok(known.then(|| Pixels {
            height: view.height,
            width: view.width,
            channels: 1,
            dtype: PixelType::U8,
            data: view.mask(&scene, label),
        }))
    }
}
