//! Published genotypes.
//!
//! The two of Shapley-NAS, found on CIFAR-10 and on ImageNet, are those of its code, `genotypes.py`;
//! the others stand there too, as in that of DARTS.

use crate::{
    Edge, Genotype,
    Operation::{
        AvgPool3x3 as Avg, Conv7x1_1x7 as Row, DilConv3x3 as Dil3, DilConv5x5 as Dil5, MaxPool3x3 as Max,
        SepConv3x3 as Sep3, SepConv5x5 as Sep5, SepConv7x7 as Sep7, SkipConnect as Skip,
    },
};

/// Names that [`find`] knows.
pub const NAMES: [&str; 6] =
    ["shapley-nas-cifar10", "shapley-nas-imagenet", "darts-v1", "darts-v2", "nasnet", "amoebanet"];

/// Returns the genotype of a name.
pub fn find(name: &str) -> Option<Genotype> {
    let (normal, normal_concat, reduce, reduce_concat): (&[Edge], &[usize], &[Edge], &[usize]) = match name {
        "shapley-nas-cifar10" => (
            &[(Sep3, 0), (Sep3, 1), (Sep3, 1), (Dil3, 0), (Dil3, 2), (Skip, 3), (Sep3, 1), (Dil5, 3)],
            &[2, 3, 4, 5],
            &[(Sep3, 1), (Max, 0), (Dil5, 2), (Sep3, 0), (Sep3, 2), (Max, 0), (Dil3, 3), (Skip, 2)],
            &[2, 3, 4, 5],
        ),
        "shapley-nas-imagenet" => (
            &[(Sep3, 1), (Sep5, 0), (Dil5, 2), (Skip, 1), (Sep3, 2), (Sep5, 0), (Sep3, 1), (Skip, 2)],
            &[2, 3, 4, 5],
            &[(Sep3, 1), (Dil3, 0), (Avg, 2), (Sep5, 1), (Sep3, 3), (Skip, 1), (Sep3, 2), (Sep3, 4)],
            &[2, 3, 4, 5],
        ),
        "darts-v1" => (
            &[(Sep3, 1), (Sep3, 0), (Skip, 0), (Sep3, 1), (Skip, 0), (Sep3, 1), (Sep3, 0), (Skip, 2)],
            &[2, 3, 4, 5],
            &[(Max, 0), (Max, 1), (Skip, 2), (Max, 0), (Max, 0), (Skip, 2), (Skip, 2), (Avg, 0)],
            &[2, 3, 4, 5],
        ),
        "darts-v2" => (
            &[(Sep3, 0), (Sep3, 1), (Sep3, 0), (Sep3, 1), (Sep3, 1), (Skip, 0), (Skip, 0), (Dil3, 2)],
            &[2, 3, 4, 5],
            &[(Max, 0), (Max, 1), (Skip, 2), (Max, 1), (Max, 0), (Skip, 2), (Skip, 2), (Max, 1)],
            &[2, 3, 4, 5],
        ),
        "nasnet" => (
            &[
                (Sep5, 1),
                (Sep3, 0),
                (Sep5, 0),
                (Sep3, 0),
                (Avg, 1),
                (Skip, 0),
                (Avg, 0),
                (Avg, 0),
                (Sep3, 1),
                (Skip, 1),
            ],
            &[2, 3, 4, 5, 6],
            &[
                (Sep5, 1),
                (Sep7, 0),
                (Max, 1),
                (Sep7, 0),
                (Avg, 1),
                (Sep5, 0),
                (Skip, 3),
                (Avg, 2),
                (Sep3, 2),
                (Max, 1),
            ],
            &[4, 5, 6],
        ),
        "amoebanet" => (
            &[
                (Avg, 0),
                (Max, 1),
                (Sep3, 0),
                (Sep5, 2),
                (Sep3, 0),
                (Avg, 3),
                (Sep3, 1),
                (Skip, 1),
                (Skip, 0),
                (Avg, 1),
            ],
            &[4, 5, 6],
            &[
                (Avg, 0),
                (Sep3, 1),
                (Max, 0),
                (Sep7, 2),
                (Sep7, 0),
                (Avg, 1),
                (Max, 0),
                (Max, 1),
                (Row, 0),
                (Sep3, 5),
            ],
            &[3, 4, 6],
        ),
        _ => return None,
    };
    Some(Genotype {
        normal: normal.to_vec(),
        normal_concat: normal_concat.to_vec(),
        reduce: reduce.to_vec(),
        reduce_concat: reduce_concat.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_a_genotype() {
        for name in NAMES {
            find(name).unwrap().check().unwrap();
        }
        assert_eq!(find("darts-v3"), None);
    }
}
