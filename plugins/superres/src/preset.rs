//! ZenNAS structures that a configuration may name. Those of TinyNAS are in
//! [`nashost_tinynas::preset`].

/// A named structure.
#[derive(Debug, Clone, Copy)]
pub struct Preset {
    /// The name users type.
    pub name: &'static str,
    /// The structure, as a PlainNet string.
    pub structure: &'static str,
    /// Where it was published, in the repository idstcv/ZenNAS.
    pub source: &'static str,
}

/// Initial structures of the official searches, and networks that its authors found.
pub const PRESETS: [Preset; 9] = [
    Preset {
        name: "cifar",
        structure: "SuperConvK3BNRELU(3,8,1,1)SuperResK3K3(8,16,1,8,1)SuperResK3K3(16,32,2,16,1)\
                    SuperResK3K3(32,64,2,32,1)SuperResK3K3(64,64,2,32,1)SuperConvK1BNRELU(64,128,1,1)",
        source: "scripts/Zen_NAS_cifar_params1M.sh",
    },
    Preset {
        name: "imagenet",
        // As shipped, the last block declares 256 input channels, which the first mutation repairs.
        structure: "SuperConvK3BNRELU(3,32,2,1)SuperResK3K3(32,64,2,32,1)SuperResK3K3(64,128,2,64,1)\
                    SuperResK3K3(128,256,2,128,1)SuperResK3K3(256,512,2,256,1)SuperConvK1BNRELU(512,512,1,1)",
        source: "scripts/Zen_NAS_ImageNet_latency0.1ms.sh",
    },
    Preset {
        name: "imagenet-idw",
        structure: "SuperConvK3BNRELU(3,8,2,1)SuperResIDWE6K3(8,32,2,8,1)SuperResIDWE6K3(32,48,2,32,1)\
                    SuperResIDWE6K3(48,96,2,48,1)SuperResIDWE6K3(96,128,2,96,1)SuperConvK1BNRELU(128,2048,1,1)",
        source: "scripts/Zen_NAS_ImageNet_flops400M.sh",
    },
    Preset {
        name: "zennet-cifar-0.5m",
        structure: "SuperConvK3BNRELU(3,64,1,1)SuperResK1K5K1(64,168,1,16,3)SuperResK1K3K1(168,80,2,32,4)\
                    SuperResK1K5K1(80,112,2,16,3)SuperResK1K5K1(112,144,1,24,3)SuperResK1K3K1(144,32,2,40,1)\
                    SuperConvK1BNRELU(32,512,1,1)",
        source: "ZenNet/zennet_cifar_model_size05M_res32.txt",
    },
    Preset {
        name: "zennet-cifar-1m",
        structure: "SuperConvK3BNRELU(3,88,1,1)SuperResK1K7K1(88,120,1,16,1)SuperResK1K7K1(120,192,2,16,3)\
                    SuperResK1K5K1(192,224,1,24,4)SuperResK1K5K1(224,96,2,24,2)SuperResK1K3K1(96,168,2,40,3)\
                    SuperResK1K3K1(168,112,1,48,3)SuperConvK1BNRELU(112,512,1,1)",
        source: "ZenNet/zennet_cifar_model_size1M_res32.txt",
    },
    Preset {
        name: "zennet-imagenet-0.2ms",
        structure: "SuperConvK3BNRELU(3,24,2,1)SuperResK1K5K1(24,32,2,32,1)SuperResK1K7K1(32,104,2,64,1)\
                    SuperResK1K5K1(104,512,2,160,1)SuperResK1K5K1(512,344,1,192,1)SuperResK1K5K1(344,688,2,320,4)\
                    SuperResK1K5K1(688,680,1,304,3)SuperConvK1BNRELU(680,2552,1,1)",
        source: "ZenNet/zennet_imagenet1k_latency02ms_res224.txt",
    },
    Preset {
        name: "zennet-imagenet-0.5ms",
        structure: "SuperConvK3BNRELU(3,8,2,1)SuperResK1K7K1(8,64,2,32,1)SuperResK1K3K1(64,152,2,128,1)\
                    SuperResK1K5K1(152,640,2,192,4)SuperResK1K5K1(640,640,1,192,2)SuperResK1K5K1(640,1536,2,384,4)\
                    SuperResK1K5K1(1536,816,1,384,3)SuperResK1K5K1(816,816,1,384,3)SuperConvK1BNRELU(816,5304,1,1)",
        source: "ZenNet/zennet_imagenet1k_latency05ms_res224.txt",
    },
    Preset {
        name: "zennet-imagenet-0.8ms",
        structure: "SuperConvK3BNRELU(3,16,2,1)SuperResK1K5K1(16,64,2,64,1)SuperResK1K3K1(64,240,2,128,2)\
                    SuperResK1K7K1(240,640,2,160,3)SuperResK1K7K1(640,768,1,192,4)SuperResK1K5K1(768,1536,2,384,5)\
                    SuperResK1K5K1(1536,1536,1,384,3)SuperResK1K5K1(1536,2304,1,384,5)SuperConvK1BNRELU(2304,4912,1,1)",
        source: "ZenNet/zennet_imagenet1k_latency08ms_res224.txt",
    },
    Preset {
        name: "zennet-imagenet-1.2ms",
        structure: "SuperConvK3BNRELU(3,32,2,1)SuperResK1K5K1(32,80,2,32,1)SuperResK1K7K1(80,432,2,128,5)\
                    SuperResK1K7K1(432,640,2,192,3)SuperResK1K7K1(640,1008,1,160,5)SuperResK1K7K1(1008,976,1,160,4)\
                    SuperResK1K5K1(976,2304,2,384,5)SuperResK1K5K1(2304,2496,1,384,5)SuperConvK1BNRELU(2496,3072,1,1)",
        source: "ZenNet/zennet_imagenet1k_latency12ms_res224.txt",
    },
];

/// Finds the preset of this name.
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Lists every name a configuration may use, TinyNAS's included.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let tinynas = nashost_tinynas::preset::PRESETS.iter().map(|preset| preset.name);
    PRESETS.iter().map(|preset| preset.name).chain(tinynas)
}

/// Finds the name that `name` is probably meant to be.
pub(crate) fn suggest(name: &str) -> Option<&'static str> {
    names()
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plainnet::parse;

    #[test]
    fn presets_are_networks_and_print_as_they_are_written() {
        for preset in PRESETS {
            let structure = parse(preset.structure).unwrap();
            assert!(structure.check_channels().is_ok(), "{}", preset.name);
            assert_eq!(structure.to_string(), preset.structure);
        }
    }

    #[test]
    fn misspelt_names_get_a_suggestion() {
        assert_eq!(suggest("zennet-cifar-1M"), Some("zennet-cifar-1m"));
        assert_eq!(suggest("cifr"), Some("cifar"));
        assert_eq!(suggest("madnas-r50-lik"), Some("madnas-r50-like"));
        assert_eq!(suggest("attention"), None);
    }
}
