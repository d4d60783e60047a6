//! Published structures, and those that published searches start from.

use crate::{
    block::{Block, Class},
    structure::Structure,
};

/// A named structure.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The name users type.
    pub name: &'static str,
    /// Class of all its super-blocks.
    pub class: Class,
    /// Where it was published, in the repository alibaba/lightweight-neural-architecture-search,
    /// unless it says otherwise.
    pub source: &'static str,
    /// Input channels, output channels and stride of the 3×3 stem.
    stem: [usize; 3],
    /// Output channels, bottleneck, units, kernel and stride of each super-block.
    blocks: &'static [[usize; 5]],
    /// Output channels of the 1×1 head, if there is one.
    head: Option<usize>,
}

impl Preset {
    /// Builds the structure.
    pub fn structure(&self) -> Structure {
        let [input, output, stride] = self.stem;
        let mut blocks = vec![Block::conv(input, output, stride, 3)];
        blocks.extend(self.blocks.iter().map(|&[output, width, units, kernel, stride]| {
            Block::residual(self.class, [1, width, output], stride, kernel, units)
        }));
        blocks.extend(self.head.map(|output| Block::conv(1, output, 1, 1)));
        let mut structure = Structure { blocks };
        structure.thread();
        structure
    }
}

/// Networks of DeepMAD and of the older `madnas` searches, and where searches start (`…-start`).
///
/// No structure of EfficientNet-B0's or MobileNetV2's size was published, only where the search
/// for one starts.
pub const PRESETS: [Preset; 22] = [
    Preset {
        name: "deepmad-r18",
        class: Class::K1KXK1,
        source: "configs/classification/models/deepmad-R18.txt",
        stem: [3, 32, 2],
        blocks: &[
            [96, 40, 1, 5, 2],
            [384, 40, 6, 5, 2],
            [384, 64, 9, 5, 2],
            [1024, 104, 10, 3, 1],
            [672, 104, 12, 5, 2],
        ],
        head: None,
    },
    Preset {
        name: "deepmad-r34",
        class: Class::K1KXK1,
        source: "configs/classification/models/deepmad-R34.txt",
        stem: [3, 24, 2],
        blocks: &[
            [128, 24, 1, 5, 2],
            [512, 48, 10, 5, 2],
            [896, 88, 13, 5, 2],
            [1024, 104, 11, 5, 1],
            [616, 128, 14, 5, 2],
        ],
        head: None,
    },
    Preset {
        name: "deepmad-r50",
        class: Class::K1KXK1,
        source: "configs/classification/models/deepmad-R50.txt; the `DeepMAD` network of the 2023 study, going by its name",
        stem: [3, 32, 2],
        blocks: &[
            [128, 40, 1, 5, 2],
            [512, 48, 11, 5, 2],
            [872, 88, 12, 5, 2],
            [1024, 104, 13, 5, 1],
            [1232, 120, 15, 5, 2],
        ],
        head: None,
    },
    Preset {
        name: "deepmad-29m-224",
        class: Class::K1DWSEK1,
        source: "configs/classification/models/deepmad-29M-224.txt",
        stem: [3, 40, 2],
        blocks: &[
            [40, 240, 2, 5, 1],
            [85, 512, 4, 5, 2],
            [134, 800, 6, 5, 2],
            [201, 1208, 6, 5, 2],
            [312, 1872, 5, 5, 2],
        ],
        head: Some(1792),
    },
    Preset {
        name: "deepmad-29m-288",
        class: Class::K1DWSEK1,
        source: "configs/classification/models/deepmad-29M-288.txt",
        stem: [3, 40, 2],
        blocks: &[
            [61, 368, 4, 5, 2],
            [96, 576, 4, 5, 2],
            [145, 872, 5, 5, 2],
            [217, 1304, 6, 5, 1],
            [328, 1968, 4, 5, 2],
        ],
        head: Some(1792),
    },
    Preset {
        name: "deepmad-50m",
        class: Class::K1DWSEK1,
        source: "configs/classification/models/deepmad-50M.txt",
        stem: [3, 48, 2],
        blocks: &[
            [112, 672, 7, 5, 2],
            [168, 1008, 9, 5, 2],
            [252, 1512, 7, 5, 2],
            [378, 2272, 3, 5, 2],
            [576, 3456, 1, 3, 1],
        ],
        head: Some(2048),
    },
    Preset {
        name: "deepmad-89m",
        class: Class::K1DWSEK1,
        source: "configs/classification/models/deepmad-89M.txt",
        stem: [3, 56, 2],
        blocks: &[
            [136, 816, 10, 5, 2],
            [204, 1224, 9, 5, 2],
            [326, 1952, 7, 5, 2],
            [490, 2944, 4, 5, 2],
            [744, 4464, 1, 3, 1],
        ],
        head: Some(2560),
    },
    Preset {
        name: "madnas-r18-like",
        class: Class::K1KXK1,
        source: "configs/classification/models/R18-like.txt",
        stem: [3, 40, 2],
        blocks: &[
            [256, 64, 2, 3, 2],
            [360, 88, 3, 3, 2],
            [512, 128, 6, 3, 2],
            [512, 176, 4, 3, 2],
            [512, 176, 12, 3, 1],
        ],
        head: None,
    },
    Preset {
        name: "madnas-r50-like",
        class: Class::K1KXK1,
        source: "configs/classification/models/R50-like.txt; the `ZenNAS` network of the 2023 study",
        stem: [3, 16, 2],
        blocks: &[
            [256, 64, 6, 3, 2],
            [360, 88, 8, 3, 2],
            [512, 176, 7, 3, 2],
            [720, 360, 2, 3, 2],
            [2896, 256, 4, 3, 1],
        ],
        head: None,
    },
    Preset {
        name: "madnas-r152-like",
        class: Class::K1KXK1,
        source: "configs/classification/models/R152-like.txt",
        stem: [3, 128, 2],
        blocks: &[
            [512, 88, 4, 3, 2],
            [720, 176, 8, 3, 2],
            [720, 256, 13, 3, 2],
            [1024, 360, 10, 3, 2],
            [1024, 256, 12, 3, 1],
        ],
        head: None,
    },
    Preset {
        name: "maedet-s",
        class: Class::K1KXK1,
        source: "configs/detection/models/maedet_s.txt",
        stem: [3, 32, 2],
        blocks: &[[48, 32, 2, 5, 2], [272, 120, 4, 3, 2], [1024, 80, 10, 5, 2], [2048, 240, 10, 3, 2]],
        head: None,
    },
    Preset {
        name: "maedet-m",
        class: Class::K1KXK1,
        source: "configs/detection/models/maedet_m.txt",
        stem: [3, 64, 2],
        blocks: &[[120, 64, 2, 3, 2], [512, 72, 10, 5, 2], [1632, 112, 10, 5, 2], [2048, 184, 8, 5, 2]],
        head: None,
    },
    Preset {
        name: "maedet-l",
        class: Class::K1KXK1,
        source: "configs/detection/models/maedet_l.txt",
        stem: [3, 80, 2],
        blocks: &[[144, 80, 2, 3, 2], [608, 88, 12, 5, 2], [1912, 136, 12, 5, 2], [2400, 220, 10, 5, 2]],
        head: None,
    },
    Preset {
        name: "resnet-start",
        class: Class::K1KXK1,
        source: "configs/classification/deepmad_R18_FLOPs.py, the same in deepmad_R34_FLOPs.py, deepmad_R50_FLOPs.py and R50_FLOPs.py",
        stem: [3, 32, 2],
        blocks: &[
            [256, 64, 1, 3, 2],
            [512, 128, 1, 3, 2],
            [768, 256, 1, 3, 2],
            [1024, 256, 1, 3, 1],
            [2048, 512, 1, 3, 2],
        ],
        head: None,
    },
    Preset {
        name: "29m-224-start",
        class: Class::K1DWSEK1,
        source: "configs/classification/deepmad_29M_224.py",
        stem: [3, 32, 2],
        blocks: &[
            [72, 432, 1, 3, 2],
            [128, 768, 1, 3, 2],
            [192, 1152, 1, 3, 2],
            [288, 1728, 1, 3, 2],
            [448, 2688, 1, 3, 1],
        ],
        head: Some(1792),
    },
    Preset {
        name: "29m-288-start",
        class: Class::K1DWSEK1,
        source: "configs/classification/deepmad_29M_288.py",
        stem: [3, 16, 2],
        blocks: &[
            [32, 192, 1, 3, 2],
            [48, 288, 1, 3, 2],
            [72, 432, 1, 3, 2],
            [108, 648, 1, 3, 1],
            [162, 972, 1, 3, 2],
        ],
        head: Some(1792),
    },
    Preset {
        name: "50m-start",
        class: Class::K1DWSEK1,
        source: "configs/classification/deepmad_50M.py",
        stem: [3, 48, 2],
        blocks: &[
            [84, 504, 1, 3, 2],
            [144, 864, 1, 3, 2],
            [216, 1296, 1, 3, 2],
            [324, 1944, 1, 3, 2],
            [512, 3072, 1, 3, 1],
        ],
        head: Some(2048),
    },
    Preset {
        name: "89m-start",
        class: Class::K1DWSEK1,
        source: "configs/classification/deepmad_89M.py",
        stem: [3, 64, 2],
        blocks: &[
            [144, 865, 1, 3, 2],
            [216, 1296, 1, 3, 2],
            [324, 1944, 1, 3, 2],
            [486, 2916, 1, 3, 2],
            [729, 4374, 1, 3, 1],
        ],
        head: Some(2560),
    },
    Preset {
        name: "mbv2-start",
        class: Class::K1DWK1,
        source: "configs/classification/MBV2_FLOPs.py",
        stem: [3, 16, 2],
        blocks: &[
            [24, 48, 1, 3, 2],
            [48, 96, 1, 3, 2],
            [64, 128, 1, 3, 2],
            [96, 192, 1, 3, 1],
            [192, 384, 1, 3, 2],
        ],
        head: Some(1280),
    },
    Preset {
        name: "damoyolo-k1kx-start",
        class: Class::K1KX,
        source: "configs/damoyolo/damoyolo_k1kx_small.py, damoyolo_k1kx_tiny.py",
        stem: [12, 32, 1],
        blocks: &[
            [48, 32, 1, 3, 2],
            [96, 48, 1, 3, 2],
            [96, 96, 1, 3, 2],
            [192, 96, 1, 3, 1],
            [384, 192, 1, 3, 2],
        ],
        head: None,
    },
    Preset {
        name: "damoyolo-kxkx-start",
        class: Class::KXKX,
        source: "configs/damoyolo/damoyolo_kxkx_medium.py",
        stem: [12, 32, 1],
        blocks: &[
            [48, 32, 1, 3, 2],
            [96, 48, 1, 3, 2],
            [96, 96, 1, 3, 2],
            [192, 96, 1, 3, 1],
            [384, 192, 1, 3, 2],
        ],
        head: None,
    },
    Preset {
        name: "deepmad-cifar-start",
        class: Class::K1KXK1,
        source: "nashost: the ResNet-like start at a quarter of the width, with a stem of stride 1",
        stem: [3, 16, 1],
        blocks: &[
            [64, 16, 1, 3, 2],
            [128, 32, 1, 3, 2],
            [192, 64, 1, 3, 2],
            [256, 64, 1, 3, 1],
            [512, 128, 1, 3, 2],
        ],
        head: None,
    },
];

/// Finds the preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_networks_of_their_class() {
        for preset in PRESETS {
            let structure = preset.structure();
            assert!(structure.check().is_ok(), "{}", preset.name);
            assert!(structure.depths().count() >= 4, "{}", preset.name);
            assert_eq!(find(preset.name).map(|found| found.source), Some(preset.source));
        }
        assert!(find("resnet").is_none());
    }
}
