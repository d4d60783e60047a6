//! Mean and standard deviation of the training part.

use nashost_plugin_api::dataset::PixelType;
use rayon::prelude::*;

use super::decode::Decoded;

/// Mean and standard deviation in 0…1, one per channel, over all pixels of the images `indices`.
///
/// Sums are exact integers, so the result does not depend on how the work was divided.
pub(super) fn mean_std(decoded: &Decoded, indices: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let plane = decoded.resolution * decoded.resolution;
    let pixels = (indices.len() * plane) as u128;
    let channel = |channel: usize| {
        let sums = |&index: &usize| {
            let bytes = plane * decoded.dtype.size();
            let start = (index * decoded.channels + channel) * bytes;
            plane_sums(&decoded.data[start..start + bytes], decoded.dtype)
        };
        let add = |a: [u128; 2], b: [u128; 2]| [a[0] + b[0], a[1] + b[1]];
        let [sum, squares] = indices.par_iter().map(sums).reduce(|| [0; 2], add);
        // n²·variance = n·Σx² − (Σx)², in integers.
        let scaled = (pixels * squares - sum * sum) as f64;
        let (n, max) = (pixels as f64, decoded.dtype.max());
        (sum as f64 / n / max, scaled.sqrt() / n / max)
    };
    (0..decoded.channels).map(channel).unzip()
}

/// Sum of the values and sum of their squares.
fn plane_sums(plane: &[u8], dtype: PixelType) -> [u128; 2] {
    let add = |[sum, squares]: [u128; 2], value: u64| {
        [sum + u128::from(value), squares + u128::from(value * value)]
    };
    match dtype {
        PixelType::U8 => plane.iter().map(|&value| u64::from(value)).fold([0; 2], add),
        PixelType::U16 => {
            let values = plane.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
            values.map(u64::from).fold([0; 2], add)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(dtype: PixelType, channels: usize, data: Vec<u8>) -> Decoded {
        Decoded { dtype, channels, resolution: 2, data, digest: String::new() }
    }

    #[test]
    fn by_hand() {
        let data =
            vec![0, 0, 255, 255, 51, 51, 51, 51, 9, 9, 9, 9, 9, 9, 9, 9, 255, 255, 255, 255, 51, 51, 51, 51];
        let decoded = decoded(PixelType::U8, 2, data);
        let (mean, std) = mean_std(&decoded, &[0, 2]);
        assert!((mean[0] - 0.75).abs() < 1e-15 && (mean[1] - 0.2).abs() < 1e-15, "{mean:?}");
        assert!((std[0] - (3.0f64 / 16.0).sqrt()).abs() < 1e-15 && std[1] == 0.0, "{std:?}");
    }

    #[test]
    fn sixteen_bits() {
        let values = [0u16, 65535, 0, 65535].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let (mean, std) = mean_std(&decoded(PixelType::U16, 1, values), &[0]);
        assert_eq!((mean[0], std[0]), (0.5, 0.5));
    }
}
